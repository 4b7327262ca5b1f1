"""Calls at a later time, on the host's event loop: one heap there instead of a sleeping thread for each timer."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

LONGEST = 24 * 3600.0  # a longer wait is taken in steps, so that a changed system clock is noticed


class Clock:
    """Schedules calls from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def at(self, moment: datetime, action: Callable[[], None]) -> None:
        """Call an action on the host's loop at a moment (UTC), at once when it has passed."""
        self._loop.call_soon_threadsafe(self._arm, moment, action)

    def _arm(self, moment: datetime, action: Callable[[], None]) -> None:
        seconds = (moment - datetime.now(UTC)).total_seconds()
        if seconds <= 0:
            action()
        elif seconds > LONGEST:
            self._loop.call_later(LONGEST, self._arm, moment, action)
        else:
            self._loop.call_later(seconds, self._arm, moment, action)
