"""Convergence under schedules: events late, twice, out of order or lost, several workers, crashes at every call."""

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.soak.schedule import Schedule, random_schedule, shrink
from tests.soak.variants import PLANTED
from tests.soak.world import Variant, World, fault_of, run

SCHEDULES = 1_000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The app's log of a thousand schedules helps nobody."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_every_random_schedule_converges() -> None:
    """At no moment is an indexed document missing or answered from two versions, and the end is a recomputation's."""
    failed = next((seed for seed in range(SCHEDULES) if fault_of(random_schedule(seed))), None)
    if failed is not None:
        small = shrink(random_schedule(failed), lambda schedule: fault_of(schedule) is not None)
        pytest.fail(f"schedule {failed}: {fault_of(small)}\n{small}")


def test_the_schedules_are_as_varied_as_they_claim() -> None:
    """Among them are calm ones and ones with crashes, refusals, stalls, lost, late and repeated events."""
    made = [random_schedule(seed) for seed in range(SCHEDULES)]
    deliveries = [operation.deliveries for one in made for operation in one.operations]
    assert sum(one.calm for one in made) > SCHEDULES / 4
    assert sum(bool(one.crashes) for one in made) > SCHEDULES / 4
    assert sum(bool(one.faults) for one in made) > SCHEDULES / 4
    assert sum(bool(one.stalls) for one in made) > SCHEDULES / 10
    assert sum(bool(one.refused_actions) for one in made) > SCHEDULES / 4
    assert min(map(len, deliveries)) == 0 and max(map(len, deliveries)) == 3
    assert {operation.act for one in made for operation in one.operations} == {
        *("put", "delete", "relabel", "again", "rename", "restore")
    }


@pytest.mark.parametrize("seed", [3, 54, 57, 63, 99, 105])
def test_a_crash_before_or_after_any_call_does_no_harm(seed: int) -> None:
    """A process that dies at whichever call to a service leaves what the next one completes."""
    schedule = random_schedule(seed)
    calls = _calls(schedule)
    assert calls > 20
    for number in range(calls):
        for moment in ("before", "after"):
            fault = fault_of(replace(schedule, crashes=((number, moment),)))
            assert fault is None, f"{moment} call {number}: {fault}"


@pytest.mark.parametrize("seed", [48, 54, 105])
def test_a_refusal_or_a_stall_of_any_call_does_no_harm(seed: int) -> None:
    """Whichever call is refused, or answered after the lock has lapsed: the index stays right."""
    schedule = random_schedule(seed)
    for number in range(_calls(schedule)):
        assert fault_of(replace(schedule, faults=(number,))) is None, f"call {number} refused"
        assert fault_of(replace(schedule, stalls=(number,))) is None, f"call {number} stalled"


@pytest.mark.parametrize("variant", PLANTED, ids=lambda variant: variant.name)
def test_a_planted_bug_is_caught(variant: Variant) -> None:
    """The same schedules find each known bug of peers."""
    assert any(fault_of(random_schedule(seed), variant) for seed in range(SCHEDULES))


def _calls(schedule: Schedule) -> int:
    """Number of calls that the app makes until all events are handled."""
    world = World(schedule)
    assert run(world.run(), schedule.seed) is None
    return world.calls
