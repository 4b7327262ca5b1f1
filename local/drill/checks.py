"""What a drill must show: one line each, with what was found. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A condition, whether it held, and the figures that say so. `name` is stable: sabotage is told by it."""

    name: str
    passed: bool
    says: str


def at_most(names: list[str], most: int = 5) -> str:
    """Return names in one line, the first few of many."""
    shown = "; ".join(names[:most])
    return f"{shown}; and {len(names) - most} more" if len(names) > most else shown
