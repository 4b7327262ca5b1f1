"""Which worker runs which test files, and in which order: a plugin beside pytest-xdist (`-p tests.order`).

A file's tests stay together, as with `--dist loadfile`. Beyond that, files that share a running region go to one
worker, one after the other; and what takes longest begins first, so that no worker is left with it when all others are
done.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

# The files that share one region, in the order in which they follow each other: what looks at all that was kept comes
# before what fills it.
REGION = (
    "tests/region/test_whole_region.py",
    "tests/region/test_chat_streams.py",
    "tests/region/test_acts.py",
    "tests/region/test_recovery.py",
    "tests/region/test_crashes.py",
    "tests/region/test_openapi.py",
)
# What takes long, longest first; of the others those with the most tests are first.
LONGEST: tuple[str, ...] = (
    REGION[0],
    "tests/shared/recovery/test_equality.py",
    "tests/shared/recovery/test_steps.py",
    "tests/soak/test_schedules.py",
    "tests/infra/test_checkov.py",
    "tests/web/test_real_app.py",
    "tests/region/test_killed_rebuilds.py",
    "tests/shared/chat/test_access.py",
    "tests/local/functions_host/test_host.py",
    "tests/region/test_storm.py",
    "tests/web/test_recovery_page.py",
    "tests/region/test_operators.py",
    "tests/web/test_axe.py",
    "tests/local/test_processes.py",
    "tests/local/test_azurite.py",
    "tests/bench/test_simulation.py",
    "tests/region/test_callers_who_leave.py",
    "tests/infra/test_scripts.py",
    "tests/orchestrations/test_death.py",
    "tests/shared/recovery/test_secondary.py",
    "tests/region/test_limits.py",
)


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """Return what a test stays together with: its file, or the first of the files that share its region."""
    file = nodeid.split("::", 1)[0]
    return REGION[0] if file in REGION else file


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests into the order in which they are given to workers; within a file it stays as it is."""
    units = [unit_of(item.nodeid) for item in items]
    places = {unit: place for place, unit in enumerate(LONGEST)}

    def rank(item: pytest.Item) -> tuple[int, int, str, int]:
        unit, file = unit_of(item.nodeid), item.nodeid.split("::", 1)[0]
        within = REGION.index(file) if file in REGION else 0
        return places.get(unit, len(LONGEST)), -units.count(unit), unit, within

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give out whole units, in the order of the tests."""
    config.option.loadscopereorder = False
    return _Scheduling(config, log)
