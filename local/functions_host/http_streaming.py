"""HTTP functions of apps that stream (azurefunctions-extensions-http-fastapi).

The worker then runs an HTTP server of its own. For each request the host starts the invocation and forwards the raw
request, marked with the invocation's id, and passes the response on as it comes.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from local.functions_host.front_end import passed_on
from local.functions_host.http_limits import limited
from local.functions_host.worker import Result

logger = logging.getLogger(__name__)

INVOCATION_HEADER = "x-ms-invocation-id"
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
OWN = HOP_BY_HOP | {"server", "date"}  # what the outer server says itself
ANSWERING = "answering"  # set on a request whose answer has begun
ANSWERED_SECONDS = (
    5.0  # an answer that needed no function (a request that the worker's server refused) is passed on then
)


class StreamRelay:
    """Forwards requests, whose bodies may have so many bytes, to the worker's HTTP server."""

    def __init__(self, address: str, body_bytes: int) -> None:
        self._address = address
        self._body_bytes = body_bytes
        self._session: aiohttp.ClientSession | None = None
        self._running: set[asyncio.Future[Result]] = set()

    async def forward(
        self, request: web.Request, invocation_id: str, invoke: Callable[[], Awaitable[Result]]
    ) -> web.StreamResponse:
        """Invoke the function and relay its response. Raises FunctionFailed when it raised before it answered."""
        invocation: asyncio.Future[Result] = asyncio.ensure_future(invoke())
        # The function runs to its end even when the client has gone: what it had begun is not left half done.
        self._running.add(invocation)
        invocation.add_done_callback(self._finished)
        upstream = asyncio.ensure_future(self._send(request, invocation_id))
        try:
            response = await self._first(invocation, upstream)
            return await self._relay(request, response)
        finally:
            upstream.cancel()
            if upstream.done() and not upstream.cancelled() and upstream.exception() is None:
                upstream.result().close()  # closes the connection: that is how the app's generator learns of it

    async def stop(self) -> None:
        """Close the connections."""
        for invocation in self._running:
            invocation.cancel()
        if self._session is not None:
            await self._session.close()

    def _finished(self, invocation: asyncio.Future[Result]) -> None:
        self._running.discard(invocation)
        if not invocation.cancelled():
            invocation.exception()  # logged where it was raised; asked for here so that nothing warns of it

    async def _first(
        self, invocation: asyncio.Future[Result], upstream: asyncio.Future[aiohttp.ClientResponse]
    ) -> aiohttp.ClientResponse:
        started: set[asyncio.Future[Any]] = {invocation, upstream}
        await asyncio.wait(started, return_when=asyncio.FIRST_COMPLETED)
        fault = upstream.exception() if upstream.done() else None
        if fault is not None and isinstance(fault.__cause__, web.HTTPRequestEntityTooLarge):
            raise fault.__cause__
        if not invocation.done():
            await asyncio.wait({invocation}, timeout=ANSWERED_SECONDS)
        if invocation.done():
            invocation.result()  # raises what the function raised
        else:
            invocation.cancel()
        return await upstream

    async def _send(self, request: web.Request, invocation_id: str) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # No connection is used twice: the worker's server drops idle ones at a time of its own choosing.
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
            )
        headers = CIMultiDict(
            (name, value) for name, value in passed_on(request).items() if name.lower() not in HOP_BY_HOP | {"expect"}
        )
        headers[INVOCATION_HEADER] = invocation_id
        url = URL(self._address + request.raw_path, encoded=True)
        data = limited(request, self._body_bytes) if request.can_read_body else None
        return await self._session.request(request.method, url, headers=headers, data=data, allow_redirects=False)

    async def _relay(self, request: web.Request, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=upstream.status, reason=upstream.reason)
        for raw_name, raw_value in upstream.raw_headers:
            name = raw_name.decode("latin-1")
            if name.lower() not in OWN:
                response.headers.add(name, raw_value.decode("latin-1"))
        request[ANSWERING] = True
        await response.prepare(request)
        try:
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        except (aiohttp.ClientError, OSError) as fault:
            # The status line has been sent: an answer that broke off must look like one.
            logger.warning("http path=%s the response broke off: %r", request.path, fault)
            if request.transport is not None:
                request.transport.abort()
        return response
