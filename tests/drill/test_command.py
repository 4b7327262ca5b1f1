"""The command `python -m local drill`: what it is given, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

from local.drill.command import SCENARIOS
from local.drill.drill import Options
from tests.conftest import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local", "drill", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--documents", "4"),
        ("--documents", "many"),
        ("--lag", "0"),
        ("--scale", "2"),
        ("--soak", "0"),
        ("--scenario", "flood"),
        ("--sabotage", "rust"),
    ],
)
def test_wrong_arguments_are_named(wrong: tuple[str, str]) -> None:
    """A value that cannot be is refused with its name and what could be, before anything starts."""
    ended = run(*wrong)
    assert ended.returncode == 2
    assert wrong[0] in ended.stderr
    assert wrong[1] in ended.stderr
    assert "Traceback" not in ended.stderr


def test_folder_with_old_data_is_refused(tmp_path: Path) -> None:
    """A drill begins with nothing: what an earlier one has left would be taken for its own."""
    (tmp_path / "one").mkdir()
    ended = run("--data", str(tmp_path))
    assert (ended.returncode, str(tmp_path) in ended.stderr) == (2, True)


def test_every_scenario_is_described() -> None:
    """docs/drill.md has a row for each, and the default is one of them."""
    described = (ROOT / "docs" / "drill.md").read_text(encoding="utf-8")
    assert Options().scenario in SCENARIOS
    assert [name for name in SCENARIOS if f"| `{name}` |" not in described] == []
