"""Releases that are wrong on purpose: each still finds what it patches, and the app itself has no such switch."""

import subprocess
import sys
from pathlib import Path

import pytest

from local.drill.releases import RELEASES, _put, prepare
from tests.conftest import ROOT

LOOK = """
import local.drill.releases as releases
from {module} import {owner}
before = vars({owner})[{name!r}]
releases.apply({release!r})
assert vars({owner})[{name!r}] is not before, "nothing was patched"
"""
PATCHED = {
    "health-always-200": ("shared.health", "HealthCheck", "run"),
    "swap-before-verify": ("orchestrations.rebuild", "_Rebuild", "_pages"),
    "primary-listing": ("shared.clients", "Services", "source"),
    "no-embedding-store": ("shared.embeddings.store", "EmbeddingStore", "record"),
    "delete-first": ("shared.sync", "Indexer", "prepare"),
    "garbled-digits": ("shared.documents.extraction", "Extraction", "extract"),
    "forgets-chunks": ("shared.index.chunks", "Chunks", "upload"),
}


@pytest.mark.parametrize("release", RELEASES)
def test_patch_still_fits_the_app(release: str, tmp_path: Path) -> None:
    """In a folder of its own, the release replaces the part of the app that it is about."""
    module, owner, name = PATCHED[release]
    folder = prepare(release, tmp_path / "app")
    script = LOOK.format(module=module, owner=owner, name=name, release=release)
    ended = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert f"release {release}: {RELEASES[release].what}" in ended.stderr


def test_patch_with_other_arguments_is_no_patch() -> None:
    """A part of the app that has got another argument is not replaced by one that does not know it."""

    class Part:
        def act(self, path: str, live: bool) -> None: ...

    def unaware(self: Part, path: str) -> None: ...

    with pytest.raises(TypeError, match="act takes 3 arguments, its replacement 2"):
        _put(Part, "act", unaware)


def test_release_folder_loads_the_real_app_last(tmp_path: Path) -> None:
    """Its function_app.py applies the patch and then loads the real one, which is linked, not copied."""
    folder = prepare("delete-first", tmp_path / "app")
    assert (folder / "release.py").resolve() == ROOT / "function_app.py"
    assert (folder / "shared").resolve() == ROOT / "shared"
    lines = (folder / "function_app.py").read_text().splitlines()
    assert lines.index("apply('delete-first')") < lines.index("from release import app")


def test_the_app_knows_nothing_of_sabotage() -> None:
    """No part that is deployed mentions it."""
    deployed = [ROOT / "function_app.py", *(ROOT / "shared").rglob("*.py"), *(ROOT / "orchestrations").rglob("*.py")]
    assert not [file for file in deployed if "sabotage" in file.read_text(encoding="utf-8").lower()]
