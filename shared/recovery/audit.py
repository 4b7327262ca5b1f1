"""The audit record of acts that change what answers: who did what, why and when.

Entries lie in the region's own storage below `audit/`, one blob an act, named by time; none is ever changed.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from shared.state import RegionalState

PREFIX = "audit/"
SHOWN = 100


@dataclass(frozen=True, slots=True)
class Act:
    """One act. `who` is the caller's verified name, or how they were let in; `at` is an ISO time in UTC."""

    act: str
    who: str
    reason: str
    at: str
    details: dict[str, Any]


async def record(state: RegionalState, act: str, who: str, reason: str, **details: Any) -> None:
    """Keep a record of an act; call it before the act, so that none goes unrecorded."""
    now = datetime.now(UTC)
    entry = Act(act, who, reason, now.isoformat(timespec="milliseconds"), details)
    await state.write(f"{PREFIX}{now:%Y%m%dT%H%M%S.%fZ}-{act}.json", asdict(entry))


async def latest(state: RegionalState) -> list[dict[str, Any]]:
    """Return the last acts, newest first."""
    names = (await state.names(PREFIX))[-SHOWN:]
    entries = [await state.read(name) for name in reversed(names)]
    return [entry for entry in entries if isinstance(entry, dict)]
