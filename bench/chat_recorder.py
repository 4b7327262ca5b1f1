"""`python -m bench.chat_recorder`: a search service and a model that answer at once, with what the real ones said.

A request that was never seen goes on to the real service and its answer is kept; the same request again is answered
from memory. What is left of an answer's time then is the app's own, and the loopback's.
"""

import argparse
import asyncio
import hashlib
import signal
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web

KEPT_HEADERS = ("Content-Type", "ETag", "OData-Version")
DROPPED_HEADERS = frozenset({"host", "content-length", "connection", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Recorder:
    """Stands before one service."""

    def __init__(self, target: str, session: aiohttp.ClientSession) -> None:
        self._target = target.rstrip("/")
        self._session = session
        self._answers: dict[bytes, Answer] = {}

    async def start(self) -> str:
        """Listen on a free loopback port; returns the address."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        key = hashlib.sha256(f"{request.method} {request.raw_path}\n".encode() + body).digest()
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = await self._asked(request, body)
        return web.Response(body=answer.body, status=answer.status, headers=dict(answer.headers))

    async def _asked(self, request: web.Request, body: bytes) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in DROPPED_HEADERS}
        url = self._target + request.raw_path
        async with self._session.request(request.method, url, data=body, headers=headers) as reply:
            kept = {name: reply.headers[name] for name in KEPT_HEADERS if name in reply.headers}
            return Answer(reply.status, kept, await reply.read())


async def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="bench.chat_recorder", description="answer for search and model from memory")
    parser.add_argument("--search", required=True, help="address of the real search service")
    parser.add_argument("--model", required=True, help="address of the real model service")
    options = parser.parse_args()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with aiohttp.ClientSession() as session:
        search = await Recorder(options.search, session).start()
        model = await Recorder(options.model, session).start()
        print(f"ready {search} {model}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
