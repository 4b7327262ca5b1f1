"""The host's own API for its functions: what there is, and running one by hand.

https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from local.functions_host.model import Function
from local.functions_host.worker import FunctionFailed

logger = logging.getLogger(__name__)

PATH = "/admin/functions"

# Given a function and the input as text, starts to run it. Raises ValueError when the input is not one.
type Starter = Callable[[Function, str], Awaitable[None]]


class Admin:
    """`GET /admin/functions`, `GET /admin/functions/NAME` (and `/status`), `POST /admin/functions/NAME`."""

    def __init__(
        self, functions: Sequence[Function], disabled: frozenset[str], starters: Mapping[str, Starter], origin: str
    ) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._disabled = disabled
        self._starters = starters
        self._origin = origin
        self._running: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """End what is running."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request for the path or one below it."""
        name, _, part = request.path.removeprefix(PATH).strip("/").partition("/")
        function = self._functions.get(name.lower())
        if (name and function is None) or part not in ("", "status"):
            return web.Response(status=404)
        if request.method == "POST" and function is not None and not part:
            return await self._run(request, function)
        if request.method not in ("GET", "HEAD"):
            allowed = "GET, HEAD, POST" if function is not None and not part else "GET, HEAD"
            return web.Response(status=405, headers={"Allow": allowed})
        if function is None:
            return web.json_response([self._shown(one) for one in self._functions.values()])
        return web.json_response({"isDisabled": function.name in self._disabled} if part else self._shown(function))

    def _shown(self, function: Function) -> dict[str, Any]:
        disabled = function.name in self._disabled
        bindings = [dict(binding.properties) for binding in (function.trigger, *function.others)]
        return {
            "name": function.name,
            "href": f"{self._origin}{PATH}/{function.name}",
            "language": "python",
            "isDisabled": disabled,
            "config": {"name": function.name, "disabled": disabled, "bindings": bindings},
        }

    async def _run(self, request: web.Request, function: Function) -> web.Response:
        starter = self._starters.get(function.trigger.type)
        if function.name in self._disabled:
            return web.Response(status=400, text=f"the function {function.name!r} is disabled")
        if starter is None:
            kind = function.trigger.type
            return web.Response(status=400, text=f"a function with a {kind} is not run by hand in this host")
        try:
            run = starter(function, _input(await request.read()))
        except ValueError as fault:
            return web.Response(status=400, text=str(fault))
        task = asyncio.ensure_future(self._finish(run))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return web.Response(status=202)

    async def _finish(self, run: Awaitable[None]) -> None:
        try:
            await run
        except FunctionFailed:
            pass  # logged where it was raised; nobody waits for this
        except Exception:
            logger.exception("a function that was started by hand could not be run")


def _input(body: bytes) -> str:
    """Return the input in `{"input": ...}` as text; no body is an empty input. Raises ValueError."""
    if not body.strip():
        return ""
    try:
        given = json.loads(body)
    except ValueError as fault:
        raise ValueError(f"the body is not JSON: {fault}") from None
    if not isinstance(given, dict) or given.keys() - {"input"}:
        raise ValueError('the body must be an object with "input"')
    value = given.get("input", "")
    return value if isinstance(value, str) else json.dumps(value)
