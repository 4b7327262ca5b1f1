"""A region of each test file's own."""

import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.region import Region


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A region over a copy of the sample lake."""
    folder = tmp_path_factory.mktemp("region")
    shutil.copytree(ROOT / "sample-lake", folder / "lake")
    started = Region(folder / "lake", folder / "data")
    started.start()
    yield started
    started.stop()
