"""A model endpoint that answers as a test wants it: any text, any pace, any refusal. Embeddings are the real ones."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.settings import Settings

Answer = Callable[[list[dict[str, str]]], "Reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the endpoint does: the pieces of an answer, or a refusal. `pause` is in seconds, before each piece."""

    pieces: Sequence[str] = ()
    pause: float = 0.0
    finish: str = "stop"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    broken: bool = False  # the stream ends with an error event instead
    silent: bool = False  # the stream tells no usage
    choiceless: bool = False  # the reply has no choice


@dataclass(slots=True)
class ScriptedModel:
    """The endpoint. It remembers what it was asked, and how many answers are being written now."""

    embeddings: str
    answer: Answer
    prompts: list[list[dict[str, str]]] = field(default_factory=list)
    writing: int = 0
    stopped: int = 0  # answers whose reader went away
    finished: int = 0
    embeddings_left: int | None = None  # calls for embeddings that are answered; the others are refused for long
    _session: aiohttp.ClientSession | None = None

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/openai/v1/chat/completions", self._chat)
        app.router.add_post("/openai/v1/embeddings", self._embed)
        return app

    async def _embed(self, request: web.Request) -> web.Response:
        assert self._session is not None
        if self.embeddings_left is not None:
            if not self.embeddings_left:
                return web.json_response({"error": {"message": "x"}}, status=429, headers={"Retry-After": "900"})
            self.embeddings_left -= 1
        async with self._session.post(f"{self.embeddings}/embeddings", json=await request.json()) as reply:
            return web.Response(body=await reply.read(), status=reply.status, content_type="application/json")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.prompts.append(asked["messages"])
        reply = self.answer(asked["messages"])
        if reply.status != 200:
            return web.json_response({"error": reply.error}, status=reply.status, headers=reply.headers)
        usage = {"prompt_tokens": 100, "completion_tokens": len(reply.pieces), "total_tokens": 100 + len(reply.pieces)}
        if not asked.get("stream"):
            await self._write(reply)
            message = {"role": "assistant", "content": "".join(reply.pieces)}
            choice = {"index": 0, "message": message, "finish_reason": reply.finish}
            choices = [] if reply.choiceless else [choice]
            return web.json_response(_event(choices, usage, "chat.completion"))
        return await self._stream(request, reply, usage)

    async def _write(self, reply: Reply) -> None:
        """Take the time that a whole answer takes."""
        self.writing += 1
        try:
            await asyncio.sleep(reply.pause * len(reply.pieces))
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        finally:
            self.writing -= 1

    async def _stream(self, request: web.Request, reply: Reply, usage: dict[str, int]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.writing += 1
        try:
            for piece in reply.pieces:
                await asyncio.sleep(reply.pause)
                await _send(response, _event([{"index": 0, "delta": {"content": piece}, "finish_reason": None}]))
            if reply.broken:
                await _send(response, {"error": {"message": "the model is gone", "type": "server_error"}})
                return response
            await _send(response, _event([{"index": 0, "delta": {}, "finish_reason": reply.finish}]))
            if not reply.silent:
                await _send(response, _event([], usage))
            await response.write(b"data: [DONE]\n\n")
            self.finished += 1
        except (ConnectionError, asyncio.CancelledError):
            self.stopped += 1
            raise
        finally:
            self.writing -= 1
        return response


def _event(
    choices: list[Any], usage: dict[str, int] | None = None, kind: str = "chat.completion.chunk"
) -> dict[str, Any]:
    value = {"id": "x", "object": kind, "created": 0, "model": "scripted", "choices": choices}
    return {**value, "usage": usage} if usage else value


async def _send(response: web.StreamResponse, value: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(value).encode() + b"\n\n")


@asynccontextmanager
async def scripted(settings: Settings, answer: Answer, **changed: Any) -> AsyncIterator[tuple[ScriptedModel, Settings]]:
    """Yield such an endpoint, and settings whose model it is."""
    model = ScriptedModel(settings.openai_endpoint, answer)
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer local"}) as session,
        TestServer(model.application(), handler_cancellation=True) as server,
    ):
        model._session = session
        endpoint = str(server.make_url("/openai/v1"))
        own = uuid.uuid4().hex[:8]  # a test may have several: each has containers and an index of its own
        names = ("lake_container", "embeddings_container", "state_container", "search_index")
        named: dict[str, Any] = {name: f"{getattr(settings, name)}-{own}" for name in names}
        yield model, replace(settings, openai_endpoint=endpoint, **named, **changed)


def always(*pieces: str, **options: Any) -> Answer:
    """Return an answer that is the same to everything."""
    return lambda messages: Reply(pieces, **options)
