"""One region for the files that can share it, as a fresh clone would run it: with the sample lake as it is."""

import filecmp
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.region import Region, eventually

SAMPLE = ROOT / "sample-lake"


@pytest.fixture(scope="package")
def running_region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A region over a copy of the sample lake."""
    folder = tmp_path_factory.mktemp("region")
    shutil.copytree(SAMPLE, folder / "lake")
    started = Region(folder / "lake", folder / "data")
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def region(running_region: Region) -> Region:
    """The region, with every document of the sample lake and no other, whatever an earlier file has done to them."""
    lake = running_region.lake
    for path in added(lake):
        (lake / path).unlink()
    documents = sum(1 for path in files(SAMPLE) if not path.parts[0].startswith("."))

    def as_before() -> bool:
        status = running_region.get("/api/status")
        return (status["documents"], status["problems"]) == (documents, 0)

    eventually(as_before, "the index has the sample lake and nothing else", running_region.log)
    return running_region


def added(lake: Path) -> set[Path]:
    """Return what a lake has beside the sample, which must be as it was itself."""
    here, sample = files(lake), files(SAMPLE)
    assert all(filecmp.cmp(lake / path, SAMPLE / path, shallow=False) for path in sample), "a test changed the sample"
    return here - sample


def files(folder: Path) -> set[Path]:
    """Return all files below a folder, relative to it."""
    return {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
