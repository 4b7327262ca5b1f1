"""A server for the browser tests: it serves `web/` and plays scripted replies.

It stands in for the API's timing only (when a piece arrives, when an error comes); what the API really says is tested
where the API is. A script is a list of steps: a dict is sent as one line, `HOLD` waits until the test calls
`release()`, `CUT` drops the connection.
"""

import asyncio
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiohttp import web

from shared.feedback import parse_feedback
from shared.site import SECURITY_HEADERS, WEB

HOLD: Final = "hold"
CUT: Final = "cut"

type Step = dict[str, Any] | str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that is an error: problem+json with `status`, and Retry-After when `retry_after` (seconds) is given."""

    status: int
    detail: str
    retry_after: int | None = None


@dataclass(slots=True)
class Replies:
    """What the server says, and what it was asked.

    `chat` holds one script or refusal for each question, the last is repeated; `left` is set when the page goes away.
    `parts` is the text of every document. `ratings` has what was sent as feedback; `rating_refusal` refuses it.
    """

    chat: list[Sequence[Step] | Refusal] = field(default_factory=list)
    status: dict[str, Any] | None = None
    suggestions: list[str] | None = None
    versions: list[dict[str, Any]] | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    ratings: list[dict[str, Any]] = field(default_factory=list)
    rating_refusal: Refusal | None = None
    left: threading.Event = field(default_factory=threading.Event)


class PageServer:
    """Runs in a thread of its own while it is entered as a context manager; `origin` is its loopback address."""

    def __init__(self) -> None:
        self.replies = Replies()
        self.origin = ""
        self._loop = asyncio.new_event_loop()
        self._held = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="page-server")

    def __enter__(self) -> Self:
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def reset(self) -> Replies:
        """Forget all scripts and questions, and return the new, empty replies."""
        self.replies = Replies()
        return self.replies

    def release(self) -> None:
        """Let the script that waits at a HOLD go on."""
        self._loop.call_soon_threadsafe(self._held.set)

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/", self._index)
        app.router.add_get("/web/{file}", self._file)
        app.router.add_get("/api/status", self._status)
        app.router.add_get("/api/suggestions", self._suggestions)
        app.router.add_post("/api/chat/stream", self._chat)
        app.router.add_post("/api/feedback", self._feedback)
        app.router.add_get("/api/documents/{id}/versions", self._versions)
        app.router.add_get("/api/documents/{id}/versions/{version}", self._version)
        app.router.add_get("/api/documents/{id}/versions/{version}/text", self._text)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.origin = f"http://{host}:{port}"
        return runner

    async def _index(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB / "index.html", headers=dict(SECURITY_HEADERS))

    async def _file(self, request: web.Request) -> web.FileResponse:
        file = WEB / request.match_info["file"]
        if not file.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(file)

    async def _status(self, _: web.Request) -> web.Response:
        if self.replies.status is None:
            raise web.HTTPNotFound
        return web.json_response(self.replies.status)

    async def _suggestions(self, _: web.Request) -> web.Response:
        if self.replies.suggestions is None:
            raise web.HTTPNotFound
        return web.json_response({"questions": self.replies.suggestions})

    async def _feedback(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.replies.rating_refusal is not None:
            return _refuse(self.replies.rating_refusal)
        feedback = parse_feedback(body)  # the page must send what the app takes
        self.replies.ratings.append(json.loads(body))
        return web.json_response({"id": feedback.id, "rating": feedback.rating})

    async def _versions(self, request: web.Request) -> web.Response:
        if self.replies.versions is None:
            raise web.HTTPNotFound
        return web.json_response({"document_id": request.match_info["id"], "versions": self.replies.versions})

    async def _text(self, request: web.Request) -> web.Response:
        start, count = int(request.query["from"]), int(request.query["count"])
        parts = [{"ordinal": place, "text": text} for place, text in enumerate(self.replies.parts)]
        wanted = parts[start : start + count]
        if not wanted:
            return _refuse(Refusal(404, "not indexed"))
        return web.json_response({"count": len(parts), "parts": wanted})

    async def _version(self, request: web.Request) -> web.Response:
        return web.Response(text=f"version {request.match_info['version']}")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        replies = self.replies
        replies.bodies.append(await request.json())
        script = replies.chat.pop(0) if len(replies.chat) > 1 else replies.chat[0]
        if isinstance(script, Refusal):
            return _refuse(script)
        response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
        await response.prepare(request)
        try:
            await self._play(request, response, script)
        except (ConnectionResetError, asyncio.CancelledError):
            replies.left.set()
            raise
        return response

    async def _play(self, request: web.Request, response: web.StreamResponse, script: Sequence[Step]) -> None:
        for step in script:
            if isinstance(step, dict):
                await response.write(json.dumps(step).encode() + b"\n")
            elif step == HOLD:
                await self._hold(request)
            elif request.transport is not None:
                request.transport.abort()
                return

    async def _hold(self, request: web.Request) -> None:
        self._held.clear()
        while not self._held.is_set():
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the page went away")
            try:
                await asyncio.wait_for(self._held.wait(), 0.05)
            except TimeoutError:
                continue


def _refuse(refusal: Refusal) -> web.Response:
    body = {"type": "about:blank", "title": "Refused", "status": refusal.status, "detail": refusal.detail}
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    return web.json_response(body, status=refusal.status, headers=headers, content_type="application/problem+json")
