"""How far the index is behind the lake: measured at every change that it takes up, kept where the status finds it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from shared.state import RegionalState
from shared.sync import Outcome
from shared.telemetry import lag

LAG = "freshness/lag.json"
WRITE_SECONDS = 5.0  # between two notes of one process: a burst of changes must not become a burst of writes


class Freshness:
    """Notes how long the last change took from the lake into the index."""

    def __init__(self, state: RegionalState, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self._next = clock()

    async def note(self, outcome: Outcome) -> None:
        """Measure a change that has just become searchable; what changed nothing says nothing."""
        if outcome.result != "indexed" or outcome.changed is None:
            return
        seconds = lag(outcome.changed)
        if self._clock() < self._next:
            return
        self._next = self._clock() + WRITE_SECONDS
        at = datetime.now(UTC).isoformat(timespec="seconds")
        await self._state.write(LAG, {"seconds": round(seconds, 1), "path": outcome.path, "at": at})

    async def last(self) -> dict[str, Any] | None:
        """Return `seconds`, `path` and `at` of the last noted change, or None before the first."""
        value = await self._state.read(LAG)
        return value if isinstance(value, dict) else None
