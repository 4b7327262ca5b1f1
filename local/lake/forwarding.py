"""Pass a request on to Azurite and stream its reply back."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from local.azurite import ACCOUNT, KEY
from local.faults import fired
from local.lake.signing import signature

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "proxy-connection", "te", "upgrade"})
_BLOCK = 1 << 16

Seen = Callable[[int, CIMultiDict[str]], Any]
Edit = Callable[[bytes], bytes]


class Forwarder:
    """Sends requests to `upstream`, an address without a path."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream.rstrip("/")
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> "Forwarder":
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def forward(
        self,
        request: web.Request,
        raw_path: str,
        seen: Seen | None = None,
        *,
        edit: Edit | None = None,
        resign: bool = False,
        changed: Mapping[str, str] | None = None,
        without: frozenset[str] = frozenset(),
        body: bytes | None = None,
    ) -> web.StreamResponse:
        """Send the request on and return the reply.

        `seen` gets status and headers before they are sent, and may change the headers; `edit` gets the whole body.
        `resign` puts a new signature on what was `changed` or left out by `without` (lower-case header names).
        `body` is the request's, where that has been read already.
        """
        headers = CIMultiDict(
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in _HOP and name.lower() not in without
        )
        headers.update(changed or {})
        if resign:
            headers["Authorization"] = signature(request.method, raw_path, headers, ACCOUNT, KEY)
        async with self._send(request, raw_path, headers, body) as reply:
            out = CIMultiDict((name, value) for name, value in reply.headers.items() if name.lower() not in _HOP)
            result = seen(reply.status, out) if seen else None
            if inspect.isawaitable(result):
                await result
            if (fault := fired(request)) and fault.drop == "after":  # the reply will be lost: nothing of it may go out
                return web.Response(status=reply.status, body=await reply.read())
            if edit:
                out.pop("Content-Length", None)
                return web.Response(body=edit(await reply.read()), status=reply.status, headers=out)
            return await _streamed(request, reply, out)

    def _send(
        self, request: web.Request, raw_path: str, headers: CIMultiDict[str], read: bytes | None
    ) -> aiohttp.client._RequestContextManager:
        body = read if read is not None else request.content if request.body_exists else None
        url = URL(self.upstream + raw_path, encoded=True)  # the signature covers the path exactly as it was sent
        skip = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
        return self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False, skip_auto_headers=skip
        )


async def _streamed(request: web.Request, reply: aiohttp.ClientResponse, out: CIMultiDict[str]) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, reason=reply.reason, headers=out)
    bodiless = request.method == "HEAD" or reply.status in (204, 304)
    if not bodiless and "Content-Length" not in out:
        response.enable_chunked_encoding()
    await response.prepare(request)
    if not bodiless:
        async for block in reply.content.iter_chunked(_BLOCK):
            await response.write(block)
        await response.write_eof()
    return response
