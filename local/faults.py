"""Faults on purpose, the same way in every local service: rules that delay, refuse or cut off matching requests.

A service started with `--faults` has the path `/-/faults`; started without, it answers there as on any unknown path.

    POST /-/faults {"method": "POST", "path": "/embeddings$", "times": 2, "status": 429}
    GET /-/faults    -> {"rules": [{"id": 1, ..., "matched": 3, "fired": 2}]}
    DELETE /-/faults -> 204, and no request meets a fault any more

With `follow`, and while there are rules, every request is logged as it arrives, with the id its client gave it (Azure's
clients keep one for all tries of a call) and a digest of its body: whether a client has waited as long as a refusal
told it to can be read there.

In a service:

    app = web.Application(...)
    Faults(own_error, {"chunk_delay_ms": int}).install(app)
    rule = fired(request)                # in a handler: the rule this request met, with what it holds in `extra`
    await before_chunk(request)          # in a handler that streams, before each write: where `drop: "mid"` cuts
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from local.fault_rules import Rule, RuleError, parse_rule

logger = logging.getLogger(__name__)

PATH = "/-/faults"
CLIENT_ID = "x-ms-client-request-id"
CHUNKS_BEFORE_CUT = 2  # writes of a streamed reply that still go out when it is cut in the middle

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
type ErrorShape = Callable[[web.Request, int], web.Response]


@dataclass(slots=True)
class _Entry:
    """A rule in force, and how often it was met."""

    id: int
    rule: Rule
    matched: int = 0
    fired: int = 0

    def fires(self, method: str, path: str) -> bool:
        rule = self.rule
        if (rule.times is not None and self.fired >= rule.times) or not rule.matches(method, path):
            return False
        self.matched += 1
        counted = self.matched - rule.skip
        fires = counted > 0 and counted % rule.every == 0
        self.fired += fires
        return fires

    def shown(self) -> dict[str, Any]:
        return {"id": self.id, **self.rule.shown(), "matched": self.matched, "fired": self.fired}


@dataclass(slots=True)
class _Met:
    """The fault that one request met, kept on the request."""

    rule: Rule
    chunks: int = 0


MET = web.RequestKey("fault", _Met)


class Faults:
    """The rules of one service. All of it runs in the service's event loop.

    `error` makes the service's own error response for a status; `extra` names the keys its rules may have in `extra`,
    with the type of each. The first rule that fires decides: a request meets one fault at most. `follow` is for
    services that read whole bodies.
    """

    def __init__(self, error: ErrorShape, extra: Mapping[str, type] | None = None, follow: bool = False) -> None:
        self._error = error
        self._follow = follow
        self._extra = extra or {}
        self._entries: list[_Entry] = []
        self._last_id = 0

    def install(self, app: web.Application) -> None:
        """Put the faults before everything else the application does, authorisation included."""
        app.middlewares.insert(0, self.middleware)

    def add(self, rule: Rule) -> int:
        """Put a rule in force, after those there are; returns its id."""
        self._last_id += 1
        self._entries.append(_Entry(self._last_id, rule))
        return self._last_id

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer the administration of faults, and make requests meet theirs."""
        if request.path == PATH:
            return await self._administer(request)
        path = f"{request.path}?{request.query_string}" if request.query_string else request.path
        told = f"{request.method} {path}"
        if self._follow and self._entries:
            digest = hashlib.sha256(await request.read()).hexdigest()[:12]
            told = f"client={request.headers.get(CLIENT_ID, '-')} body={digest} {told}"
            logger.info("arrived %s", told)
        entry = next((entry for entry in self._entries if entry.fires(request.method, path)), None)
        if entry is None:
            return await handler(request)
        logger.info("fault id=%d fired=%d %s", entry.id, entry.fired, told)
        response = await self._meet(entry.rule, request, handler)
        if wait := response.headers.get("Retry-After"):
            logger.info("refused retry_after=%s %s", wait, told)
        return response

    async def _meet(self, rule: Rule, request: web.Request, handler: Handler) -> web.StreamResponse:
        if rule.delay_ms:
            await asyncio.sleep(rule.delay_ms / 1000)
        if rule.drop == "before":
            return _drop(request)
        if rule.status is not None:
            return self._refusal(rule, rule.status, request)
        request[MET] = _Met(rule)
        if rule.drop == "after":
            try:
                await handler(request)
            except web.HTTPException as reply:  # a reply like any other, and lost like any other
                logger.info("fault lost the reply %d", reply.status)
            return _drop(request)
        response = await handler(request)
        return await _half(request, response) if rule.drop == "mid" else response

    def _refusal(self, rule: Rule, status: int, request: web.Request) -> web.Response:
        if rule.body is None:
            response = self._error(request, status)
        elif isinstance(rule.body, str):
            response = web.Response(status=status, text=rule.body)
        else:
            response = web.json_response(rule.body, status=status)
        for name, value in rule.headers.items():
            response.headers[name] = value
        return response

    async def _administer(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"rules": [entry.shown() for entry in self._entries]})
        if request.method == "DELETE":
            self._entries.clear()
            return web.Response(status=204)
        if request.method != "POST":
            return web.json_response({"error": "use GET, POST or DELETE"}, status=405)
        try:
            self.add(parse_rule(await request.read(), self._extra))
        except RuleError as fault:
            return web.json_response({"error": str(fault)}, status=400)
        return web.json_response(self._entries[-1].shown(), status=201)


def fired(request: web.Request) -> Rule | None:
    """Return the rule that this request met, or None."""
    met = request.get(MET)
    return met.rule if met else None


async def before_chunk(request: web.Request) -> None:
    """Call before each write of a streamed reply: raises ConnectionResetError where a fault cuts the reply off.

    A rule's `extra` may hold `chunk_delay_ms`, where the service allows it: a pause before each write.
    """
    met = request.get(MET)
    if met is None:
        return
    if pause := met.rule.extra.get("chunk_delay_ms"):
        await asyncio.sleep(pause / 1000)
    if met.rule.drop == "mid" and met.chunks >= CHUNKS_BEFORE_CUT:
        _close(request)
        raise ConnectionResetError("a fault cut the reply off")
    met.chunks += 1


def _drop(request: web.Request) -> web.Response:
    """Close the connection; the response that aiohttp wants back goes nowhere."""
    _close(request)
    return web.Response(status=503)


def _close(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()  # what has been written still goes out


async def _half(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Send the head and half of the body, and close. A reply that was streamed is closed without its end."""
    if not response.prepared:
        body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
        cut = web.StreamResponse(status=response.status, reason=response.reason, headers=response.headers)
        cut.content_length = max(len(body), 1)  # more than is sent: the reader must see that something is missing
        await cut.prepare(request)
        await cut.write(body[: len(body) // 2])
        response = cut
    _close(request)
    return response
