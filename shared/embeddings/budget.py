"""One budget of embedding tokens a process: live indexing goes before a rebuild, and a 429 holds everybody.

The bucket fills continuously, as the service's own does: at most a minute's quota at once, and never more than the
quota a minute in the long run. Where no quota is known, only the number of calls and the service's own refusals bound
the rate.
"""

import asyncio
import bisect
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MINUTE = 60.0  # seconds


@dataclass(slots=True)
class TokenBucket:
    """What may be sent now under a quota of `limit` tokens a minute; 0 is no limit. Full at first."""

    limit: int
    clock: Callable[[], float] = time.monotonic
    _level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._level, self._at = float(self.limit), self.clock()

    def wait_for(self, cost: int) -> float:
        """Return the seconds until `cost` tokens may be sent. A cost above the limit waits for a full bucket."""
        if not self.limit:
            return 0.0
        self._fill()
        return max(0.0, (min(cost, self.limit) - self._level) * MINUTE / self.limit)

    def take(self, cost: int) -> None:
        """Take tokens; a negative cost gives them back. What the bucket lacks is owed, and filled up first."""
        self._fill()
        self._level = min(float(self.limit), self._level - cost)

    def _fill(self) -> None:
        now = self.clock()
        self._level = min(float(self.limit), self._level + (now - self._at) * self.limit / MINUTE)
        self._at = now


@dataclass(slots=True)
class Grant:
    """Leave to make one call: the seconds waited for it, and whether the service served it."""

    waited: float
    refused: bool = False


class Budget:
    """Who may call the embedding model when. Belongs to one event loop.

    Calls are let in one at a time, live ones first, then in the order they came: a large call at the head is not
    overtaken by small ones of its kind, so that it is served at some time.
    """

    def __init__(self, tokens_per_minute: int, concurrency: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.tokens_per_minute = tokens_per_minute
        self._clock = clock
        self._bucket = TokenBucket(tokens_per_minute, clock)
        self._free = concurrency
        self._paused_until = clock()
        self._queue: list[tuple[bool, int]] = []  # sorted: (waits behind live calls, number)
        self._numbers = itertools.count()
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def call(self, tokens: int, live: bool) -> AsyncIterator[Grant]:
        """Wait for leave to send this many tokens, and hold one of the calls under way until the block ends.

        A grant that the caller marks `refused` gives its tokens back: the service did not count them as served.
        """
        grant = Grant(await self._enter(tokens, live))
        try:
            yield grant
        finally:
            self._free += 1
            if grant.refused:
                self._bucket.take(-tokens)
            self._tell()

    def pause(self, seconds: float) -> None:
        """Let no call start before this many seconds have passed: the service has asked for it."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    @property
    def waiting(self) -> int:
        """How many calls wait for leave."""
        return len(self._queue)

    async def _enter(self, tokens: int, live: bool) -> float:
        ticket = (not live, next(self._numbers))
        started: float | None = None
        bisect.insort(self._queue, ticket)
        try:
            while (wait := self._wait(ticket, tokens)) != 0.0:
                started = self._clock() if started is None else started
                changed = self._changed
                try:
                    await asyncio.wait_for(changed.wait(), wait)
                except TimeoutError:
                    continue  # the time has come: look again
            self._free -= 1
            self._bucket.take(tokens)
        finally:
            self._queue.remove(ticket)
            self._tell()
        return 0.0 if started is None else self._clock() - started

    def _wait(self, ticket: tuple[bool, int], tokens: int) -> float | None:
        """Return the seconds until this call may start, or None when that hangs on other calls."""
        if self._queue[0] != ticket or not self._free:
            return None
        return max(0.0, self._paused_until - self._clock(), self._bucket.wait_for(tokens))

    def _tell(self) -> None:
        """Make everybody who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()
