"""Work for a caller who waits for it, and no longer than that."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from shared.errors import CallerGone

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25  # between two looks at whether the caller is still there


async def while_there[T](
    work: Awaitable[T], gone: Callable[[], Awaitable[bool]], look_seconds: float = LOOK_SECONDS
) -> T:
    """Return what `work` returns. When `gone` says that the caller is, the work is cancelled: raises CallerGone."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=look_seconds)
            if not task.done() and await gone():
                logger.info("chat stopped: the caller went away before the answer")
                raise CallerGone("the caller went away before the answer")
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
