"""Limits of host.json on HTTP functions: how many run at once, how many may be waiting, how large a body may be."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from local.functions_host.config import HttpConfig


class TooManyRequests(Exception):
    """As many requests are running and waiting as host.json allows."""


class Throttle:
    """`maxConcurrentRequests` run, the others wait in order; beyond `maxOutstandingRequests` in all, none is taken."""

    def __init__(self, config: HttpConfig) -> None:
        self._slots = asyncio.Semaphore(config.max_concurrent) if config.max_concurrent else None
        self._most = config.max_outstanding
        self._outstanding = 0

    async def enter(self) -> None:
        """Take a slot, when there is one. Raises TooManyRequests."""
        if self._most is not None and self._outstanding >= self._most:
            raise TooManyRequests
        self._outstanding += 1
        try:
            if self._slots is not None:
                await self._slots.acquire()
        except asyncio.CancelledError:  # the client did not want to wait
            self._outstanding -= 1
            raise

    def leave(self) -> None:
        """Give a slot back."""
        self._outstanding -= 1
        if self._slots is not None:
            self._slots.release()


def refuse_length(request: web.Request, limit: int) -> None:
    """Refuse a body that says itself that it is too large, before any of it is read. Raises HTTP 413."""
    if request.content_length is not None and request.content_length > limit:
        raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=request.content_length)


async def limited(request: web.Request, limit: int) -> AsyncIterator[bytes]:
    """Yield a body as it comes. Raises HTTP 413 when there is more than the limit."""
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)
        yield chunk
