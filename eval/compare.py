"""The baseline: figures that were committed, and what moved since. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SAME = 0.005  # figures nearer than this have not moved
LOWER_IS_BETTER = ("passed_swapped", "passed_contradicted")
NOT_COMPARED = ("pairs", "questions", "markers", "checks", "answered_list")


@dataclass(frozen=True, slots=True)
class Move:
    """A figure that differs from the baseline's; None where one of the two does not have it."""

    name: str
    before: float | None
    now: float | None

    @property
    def worse(self) -> bool:
        """Whether the figure got worse; one that is gone is worse."""
        if self.before is None or self.now is None:
            return self.now is None
        lower = self.name.rsplit(".", 1)[-1] in LOWER_IS_BETTER
        return self.now > self.before if lower else self.now < self.before


def moves(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Move]:
    """Return the figures that moved, by name; of parts that were not measured now nothing is said."""
    parts = [name for name in now if name in before]
    old = {name: value for part in parts for name, value in flat(before[part], part)}
    new = {name: value for part in now for name, value in flat(now[part], part)}
    names = dict.fromkeys((*new, *old))
    found = [Move(name, old.get(name), new.get(name)) for name in names]
    return [move for move in found if move.before is None or move.now is None or abs(move.before - move.now) >= SAME]


def flat(value: Any, name: str) -> Iterator[tuple[str, float]]:
    """Yield every figure below a value with its dotted name; counts and texts are not compared."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in NOT_COMPARED:
                yield from flat(inner, f"{name}.{key}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)
