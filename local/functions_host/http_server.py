"""The HTTP server: routes to functions, keys, time limit, and the host's own paths."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from local.functions_host.config import HttpConfig
from local.functions_host.cors import Cors
from local.functions_host.http_classic import to_response, to_rpc
from local.functions_host.http_limits import Throttle, TooManyRequests, refuse_length
from local.functions_host.http_streaming import ANSWERING, StreamRelay
from local.functions_host.invoker import Invoker
from local.functions_host.keys import Keys
from local.functions_host.model import Function
from local.functions_host.protos import RpcHttp, TraceContext, TypedData
from local.functions_host.routing import Match, Router, parse_route
from local.functions_host.worker import Call, FunctionFailed, Result

logger = logging.getLogger(__name__)

LIMIT_SETTING = "FUNCTIONS_HOST_HTTP_TIMEOUT_SECONDS"
LIMIT_SECONDS = 230.0  # Azure's front end gives up then
RESERVED = ("/admin/", "/runtime/webhooks/")
HOME = "<!doctype html><title>Function app</title><h1>The function app is running</h1>\n"

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpServer:
    """Serves the app's HTTP functions and whatever paths other parts of the host mount."""

    def __init__(
        self, functions: Iterable[Function], config: HttpConfig, invoker: Invoker, keys: Keys | None, cors: Cors | None
    ) -> None:
        self._invoker = invoker
        self._config = config
        self._keys = keys
        self._cors = cors
        self._throttle = Throttle(config)
        self._relay: StreamRelay | None = None
        self._mounted: list[tuple[str, Handler]] = []
        self._running: set[asyncio.Future[Result]] = set()
        self._limit = float(os.environ.get(LIMIT_SETTING) or LIMIT_SECONDS)
        http = [function for function in functions if function.trigger.type == "httpTrigger"]
        self.routes = [
            parse_route(
                route_of(function, config.route_prefix), methods_of(function), function, f"function {function.name!r}"
            )
            for function in http
        ]
        self._router = Router(self.routes)

    def stream_through(self, relay: StreamRelay) -> None:
        """Serve all functions through the worker's streaming server."""
        self._relay = relay

    def mount(self, prefix: str, handler: Handler) -> None:
        """Serve a path and all below it with a handler of the host."""
        self._mounted.append((prefix, handler))

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=self._config.body_bytes)
        app.router.add_route("*", "/{path:(?s:.*)}", self._handle)  # also what holds an encoded line break
        app.on_response_prepare.append(self._add_headers)
        return app

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(self._config.headers)
        if self._cors is not None:
            await self._cors.mark(request, response)

    async def stop(self) -> None:
        """End what is running."""
        for invocation in list(self._running):
            invocation.cancel()
        if self._relay is not None:
            await self._relay.stop()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._cors is not None and (answer := self._cors.preflight(request)):
            return answer
        refuse_length(request, self._config.body_bytes)
        path = request.path
        if self._keys is not None and path.startswith("/admin/"):
            given = request.headers.get("x-functions-key") or request.query.get("code")
            if not self._keys.allows("admin", "", given):
                return web.Response(status=401)
        for prefix, handler in self._mounted:
            if path == prefix or path.startswith(prefix + "/"):
                return await handler(request)
        if path.lower().startswith(RESERVED):
            return web.Response(status=404)
        found = self._router.find(request.method, request.rel_url.raw_path)
        if isinstance(found, Match):
            return await self._function(request, found)
        if found:
            return web.Response(status=405, headers={"Allow": ", ".join(sorted(found))})
        if path == "/" and request.method in ("GET", "HEAD"):
            return web.Response(text=HOME, content_type="text/html")
        return web.Response(status=404)

    async def _function(self, request: web.Request, match: Match[Function]) -> web.StreamResponse:
        function = match.route.target
        if self._keys is not None:
            given = request.headers.get("x-functions-key") or request.query.get("code")
            if not self._keys.allows(function.trigger.text("authLevel", "function").lower(), function.name, given):
                return web.Response(status=401)
        try:
            async with asyncio.timeout(self._limit):
                return await (self._streamed(request, match) if self._relay else self._whole(request, match))
        except TooManyRequests:
            logger.warning("function=%s refused: as many requests are outstanding as host.json allows", function.name)
            return web.Response(status=429)
        except FunctionFailed:
            return web.Response(status=500)
        except TimeoutError:
            logger.error("function=%s did not answer within %.0f s", function.name, self._limit)
            return _too_late(request)

    async def _whole(self, request: web.Request, match: Match[Function]) -> web.StreamResponse:
        function = match.route.target
        body = await request.read()
        trigger = to_rpc(request, body, match.values)
        call = Call({}, values=_values(request, match), trace=_trace(request))
        await self._throttle.enter()
        # Not awaited directly: the function runs to its end, and keeps its slot, even when the client goes away.
        running = asyncio.ensure_future(self._invoker.call(function, trigger, call))
        self._running.add(running)
        running.add_done_callback(lambda _: self._throttle.leave())
        running.add_done_callback(self._finished)
        result = await asyncio.shield(running)
        outputs = [binding.name for binding in function.outputs if binding.type == "http"]
        return to_response(result, outputs[0] if outputs else "$return")

    async def _streamed(self, request: web.Request, match: Match[Function]) -> web.StreamResponse:
        assert self._relay is not None
        call = Call({}, values=_values(request, match), trace=_trace(request))
        # The request itself goes to the worker's server; the invocation carries the route values only.
        url = f"{request.scheme}://{request.host}{request.raw_path}"
        trigger = TypedData(http=RpcHttp(method=request.method, url=url, params=dict(match.values)))
        await self._throttle.enter()
        held = 2  # by the function, and by the passing on of its answer: either may end first

        def let_go() -> None:
            nonlocal held
            held -= 1
            if not held:
                self._throttle.leave()

        async def invoke() -> Result:
            try:
                return await self._invoker.call(match.route.target, trigger, call)
            finally:
                let_go()

        try:
            return await self._relay.forward(request, call.invocation_id, invoke)
        finally:
            let_go()

    def _finished(self, running: asyncio.Future[Result]) -> None:
        self._running.discard(running)
        if not running.cancelled():
            running.exception()  # logged where it was raised; asked for here so that nothing warns of it


def route_of(function: Function, prefix: str) -> str:
    """Return a function's whole route template, its name when it has none of its own."""
    own = function.trigger.text("route", function.name).strip("/") or function.name
    return f"{prefix}/{own}".strip("/")


def methods_of(function: Function) -> list[str]:
    """Return the methods that a function takes; none means all."""
    return [str(method).upper() for method in function.trigger.properties.get("methods") or []]


def _trace(request: web.Request) -> TraceContext:
    return TraceContext(request.headers.get("traceparent", ""), request.headers.get("tracestate", ""))


def _values(request: web.Request, match: Match[Function]) -> dict[str, TypedData]:
    """Return what binding expressions may name: query parameters and route values."""
    return {name: TypedData(string=value) for name, value in {**request.query, **match.values}.items()}


def _too_late(request: web.Request) -> web.StreamResponse:
    if request.transport is not None and request.get(ANSWERING):
        request.transport.abort()  # part of the answer is out: it can only be broken off
    return web.Response(status=504)
