"""Schedules: what happens to the lake, to its events and to the processes. Made from a number, so always alike."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

PATHS = ("a.md", "b.md", "c/a.md", "c/d e.md", "c/d-e.md")
WORDS = ("ash", "birch", "cedar", "elm", "fir")
UNREADABLE = "?"
CALLS = 160  # faults strike calls below this number: about as many as a schedule makes
SECONDS = 12.0

Act = Literal["put", "delete", "relabel", "again", "rename", "restore"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of the lake at a time, and when its event arrives: once for each of `deliveries`, maybe never.

    `text` is the content of "put", a line a chunk; `group` that of "relabel"; `other` the new path of "rename", whose
    `deliveries_of_other` are those of the event for the new path; "restore" promotes the version `back` versions ago.
    """

    at: float
    act: Act
    path: str
    deliveries: tuple[float, ...]
    text: str = ""
    group: str = ""
    other: str = ""
    deliveries_of_other: tuple[float, ...] = ()
    back: int = 1


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that is decided before a run. Numbers of calls count over the whole run."""

    seed: int
    operations: tuple[Operation, ...]
    crashes: tuple[tuple[int, str], ...] = ()
    faults: tuple[int, ...] = ()
    stalls: tuple[int, ...] = ()
    refused_actions: tuple[int, ...] = ()
    workers: int = 3

    @property
    def calm(self) -> bool:
        """Whether every event arrives and nothing fails: then the index is right without a reconcile."""
        delivered = all(one.deliveries and (one.other == "" or one.deliveries_of_other) for one in self.operations)
        return delivered and not (self.crashes or self.faults or self.stalls)


def random_schedule(seed: int) -> Schedule:
    """Return the schedule of a number. A third are calm, so that nothing hides behind the reconcile."""
    dice = random.Random(seed)
    calm = seed % 3 == 0
    paths = PATHS[: dice.choice((1, 2, 2, 3, 5))]
    operations = tuple(_operation(dice, paths, calm) for _ in range(dice.randint(2, 9)))
    sizes = (0, 0, 0, 0) if calm else (dice.randint(0, 3), dice.randint(0, 3), dice.choice((0, 0, 1)), 0)
    crashes, faults, stalls, _ = sizes
    return Schedule(
        seed=seed,
        operations=tuple(sorted(operations, key=lambda one: one.at)),
        crashes=tuple((dice.randrange(CALLS), dice.choice(("before", "after"))) for _ in range(crashes)),
        faults=tuple(dice.randrange(CALLS) for _ in range(faults)),
        stalls=tuple(dice.randrange(CALLS) for _ in range(stalls)),
        refused_actions=tuple(dice.randrange(1, 40) for _ in range(dice.choice((0, 0, 1, 3)))),
        workers=dice.randint(1, 4),
    )


def _operation(dice: random.Random, paths: tuple[str, ...], calm: bool) -> Operation:
    acts: tuple[Act, ...] = ("put", "put", "put", "put", "delete", "relabel", "again", "rename", "restore")
    act = dice.choice(acts)
    text = "\n".join(dice.choice(WORDS) for _ in range(dice.randint(1, 5)))
    return Operation(
        at=round(dice.random() * SECONDS, 2),
        act=act,
        path=dice.choice(paths),
        deliveries=_deliveries(dice, calm),
        text=UNREADABLE if dice.random() < 0.1 else text,
        group=dice.choice(("hr", "board", "")),
        other=dice.choice(PATHS) if act == "rename" else "",
        deliveries_of_other=_deliveries(dice, calm),
        back=dice.randint(1, 3),
    )


def _deliveries(dice: random.Random, calm: bool) -> tuple[float, ...]:
    """Once, twice or never; soon or late."""
    times = dice.choice((1, 1, 1, 2)) if calm else dice.choice((0, 1, 1, 1, 2, 3))
    return tuple(round(dice.random() * dice.choice((0.1, 1.0, 10.0)), 2) for _ in range(times))


def shrink(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """Return a smaller schedule that still fails, from which nothing can be left out."""
    while smaller := next((one for one in _smaller(schedule) if fails(one)), None):
        schedule = smaller
    return schedule


def _smaller(schedule: Schedule) -> Iterator[Schedule]:
    for name in ("operations", "crashes", "faults", "stalls", "refused_actions"):
        held = getattr(schedule, name)
        for n in range(len(held)):
            fewer: dict[str, Any] = {name: (*held[:n], *held[n + 1 :])}
            yield replace(schedule, **fewer)
    for n, one in enumerate(schedule.operations):
        if len(one.deliveries) > 1:
            for m in range(len(one.deliveries)):
                rarer = replace(one, deliveries=(*one.deliveries[:m], *one.deliveries[m + 1 :]))
                yield replace(schedule, operations=(*schedule.operations[:n], rarer, *schedule.operations[n + 1 :]))
    if schedule.workers > 1:
        yield replace(schedule, workers=schedule.workers - 1)
