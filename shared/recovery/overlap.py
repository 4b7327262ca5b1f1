"""Several calls under way at once, their results in order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterable
from typing import Any

type _Work[T] = Iterable[Coroutine[Any, Any, T]] | AsyncIterable[Coroutine[Any, Any, T]]


async def overlapped[T](work: _Work[T], depth: int) -> AsyncIterator[T]:
    """Yield what each coroutine returns, in the order of `work`, while the next ones are under way, `depth` at most.

    Raises what the first failing one raises, after the others have ended.
    """
    under_way: deque[asyncio.Task[T]] = deque()
    try:
        async for one in _each(work):
            under_way.append(asyncio.create_task(one))
            if len(under_way) >= depth:
                yield await under_way.popleft()
        while under_way:
            yield await under_way.popleft()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _each[T](work: _Work[T]) -> AsyncIterator[Coroutine[Any, Any, T]]:
    if isinstance(work, AsyncIterable):
        async for one in work:
            yield one
    else:
        for one in work:
            yield one
