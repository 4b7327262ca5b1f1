"""Work on many documents side by side, within a time: what an HTTP call or a timer's run has to end with."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

LAST_SECONDS = 30.0  # for what is under way when the time is over; then it is ended, as by a crash


async def within[T, R](
    seconds: float, items: Sequence[T], work: Callable[[T], Awaitable[R]], at_once: int
) -> list[R | BaseException | None]:
    """Return for each item what `work` returned or raised, or None where it was not begun: after `seconds` nothing is.

    The first `at_once` are begun whatever the time, so that who comes again and again gets on.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + max(0.0, seconds)
    slots = asyncio.Semaphore(at_once)

    async def one(position: int, item: T) -> R | None:
        async with slots:
            if position >= at_once and clock() > until:
                return None
            async with asyncio.timeout_at(until + LAST_SECONDS):
                return await work(item)

    return await asyncio.gather(*(one(*place) for place in enumerate(items)), return_exceptions=True)


def said(fault: BaseException) -> str:
    """Return what a fault says, for a report."""
    return f"it took longer than {LAST_SECONDS:.0f} s" if isinstance(fault, TimeoutError) else str(fault) or repr(fault)
