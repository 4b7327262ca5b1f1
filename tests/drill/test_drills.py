"""Whole drills, small ones: every scenario shows what it must, and every sabotaged app fails for its own reason."""

from pathlib import Path

import pytest

from local.drill.command import SCENARIOS, perform
from local.drill.drill import Options
from local.drill.releases import RELEASES
from local.drill.report import text

SABOTAGED = ("health-always-200", "swap-before-verify", "primary-listing", "no-embedding-store", "delete-first")
ENDED_EARLY = "the scenario runs to its end"


def small(folder: Path, scenario: str = "region-loss", sabotage: str = "") -> Options:
    """Return a drill of twenty documents in which Traffic Manager's seconds are short."""
    return Options(scenario=scenario, documents=20, scale=0.3, sabotage=sabotage, folder=folder)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario_shows_what_it_must(scenario: str, tmp_path: Path) -> None:
    """Every check of the scenario holds."""
    found = perform(small(tmp_path, scenario), print)
    assert found.passed, text(found)


@pytest.mark.slow
@pytest.mark.parametrize("sabotage", SABOTAGED)
def test_sabotaged_app_fails_for_the_right_reason(sabotage: str, tmp_path: Path) -> None:
    """The check that is about the sabotage fails, and no other."""
    found = perform(small(tmp_path, sabotage=sabotage), print)
    failed = {check.name for check in found.checks if not check.passed} - {ENDED_EARLY}
    assert failed == {RELEASES[sabotage].found_by}, text(found)
