"""The OpenAI-compatible HTTP endpoint over the local models."""

import asyncio
import base64
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from local.faults import Faults, before_chunk, fired
from local.model_service import extractive
from local.model_service.embedding import DIMENSIONS, MODEL, MiniLM
from local.model_service.passages import parse
from local.model_service.protocol import (
    ApiError,
    ChatRequest,
    chat_request,
    check_tokens,
    embeddings_request,
    json_object,
)
from local.model_service.quota import UNSTATED_ANSWER_TOKENS, Quota, throttled

logger = logging.getLogger(__name__)

BODY_BYTES = 64 * 1024 * 1024
PREFIXES = ("/openai/v1", "/v1")
FAULT_RETRY_SECONDS = 1.0  # what an injected 429 or 503 asks for, when its rule has no headers of its own
FAULT_CODES = {404: "DeploymentNotFound", 408: "Timeout", 500: "InternalServerError", 503: "ServiceUnavailable"}
# What rules may have in `extra`: a pause before each event of a stream; an error event after the answer's first word.
FAULT_EXTRA = {"chunk_delay_ms": int, "stream_error": str}


class ChatModel(Protocol):
    """A chat model: its public name, what it is, and its answer as it comes."""

    name: str
    description: str

    def reply(self, request: ChatRequest) -> AsyncGenerator[str]:
        """Yield the answer in pieces, a token each."""


class ExtractiveChat:
    """The default: quotes sentences of the passages it is given."""

    name = extractive.MODEL
    description = "local stand-in: quotes the best sentences of the passages, writes nothing of its own"

    def __init__(self, model: MiniLM) -> None:
        self._model = model

    async def reply(self, request: ChatRequest) -> AsyncGenerator[str]:
        """Yield the answer word by word, as a language model would."""
        text = await asyncio.to_thread(self._answer, request)
        for position, word in enumerate(text.split(" ")):
            yield word if position == 0 else f" {word}"
            await asyncio.sleep(0)  # let a client that went away be noticed

    def _answer(self, request: ChatRequest) -> str:
        system = "\n".join(text for role, text in request.messages if role in ("system", "developer"))
        turns = [(role, text) for role, text in request.messages if role in ("user", "assistant")]
        if "Task: condense" in system:
            return extractive.condense(turns)
        prompt = parse(turns[-1][1]) if turns else None
        if prompt is None or not prompt[0]:
            return extractive.ONLY_QUOTES
        if "Task: follow-ups" in system:
            return extractive.follow_ups(*prompt)
        return extractive.answer(self._model, *prompt)


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of an answer before it begins: what its events have in common, and its prompt's size and quota."""

    common: dict[str, Any]
    prompt_tokens: int
    headers: dict[str, str]


class ModelService:
    """Routes and their handlers. The quotas, a minute, are each model's own; 0 is none."""

    def __init__(
        self,
        embedder: MiniLM,
        chat: ChatModel,
        api_key: str = "",
        tokens_per_minute: int = 0,
        requests_per_minute: int = 0,
        faults: bool = False,
    ) -> None:
        self._embedder = embedder
        self._chat = chat
        self._api_key = api_key
        self._faults = faults
        self._embedding_turn = asyncio.Lock()
        self._embedding_quota = Quota(tokens_per_minute, requests_per_minute)
        self._chat_quota = Quota(tokens_per_minute, requests_per_minute)

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(middlewares=[self._errors], client_max_size=BODY_BYTES)
        app.router.add_get("/health", self._health)
        for prefix in PREFIXES:
            app.router.add_get(f"{prefix}/models", self._models)
            app.router.add_post(f"{prefix}/embeddings", self._embeddings)
            app.router.add_post(f"{prefix}/chat/completions", self._completions)
        if self._faults:
            Faults(injected, FAULT_EXTRA, follow=True).install(app)
        return app

    @web.middleware
    async def _errors(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        started = time.monotonic()
        try:
            self._authorise(request)
            response = await handler(request)
        except ApiError as error:
            response = refusal(error)
        except web.HTTPException as error:
            response = refusal(ApiError(error.status, f"{error.reason}: {request.method} {request.path}"))
        except asyncio.CancelledError:
            logger.info("%s %s stopped: the reader went away", request.method, request.path)
            raise
        spent = (time.monotonic() - started) * 1000
        logger.info("%s %s status=%d ms=%.0f", request.method, request.path, response.status, spent)
        return response

    def _authorise(self, request: web.Request) -> None:
        if not self._api_key or request.path == "/health":
            return
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._api_key not in (bearer, request.headers.get("api-key")):
            raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "status": "ok",
                "chat": self._chat.name,
                "embeddings": MODEL,
                "vectors_computed": self._embedder.computed,
                "throttled": {"chat": self._chat_quota.throttled, "embeddings": self._embedding_quota.throttled},
            }
        )

    async def _models(self, request: web.Request) -> web.Response:
        about = {self._chat.name: self._chat.description, MODEL: "all-MiniLM-L6-v2, int8, 384 dimensions"}
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "warmlake-local", "description": text}
            for name, text in about.items()
        ]
        return web.json_response({"object": "list", "data": data})

    async def _embeddings(self, request: web.Request) -> web.Response:
        asked = embeddings_request(json_object(await request.read()), MODEL, DIMENSIONS)
        counts = await asyncio.to_thread(lambda: [self._embedder.count(text) for text in asked.texts])
        check_tokens(counts)
        headers = self._embedding_quota.charge(sum(counts))
        data: list[dict[str, Any]] = []
        for index, text in enumerate(asked.texts):
            # One text a turn: a question does not wait behind another request's long batch.
            async with self._embedding_turn:
                vector = await asyncio.to_thread(self._embedder.embed, text)
            encoded = base64.b64encode(vector.astype("<f4").tobytes()).decode() if asked.base64 else vector.tolist()
            data.append({"object": "embedding", "index": index, "embedding": encoded})
        usage = {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
        return web.json_response({"object": "list", "data": data, "model": MODEL, "usage": usage}, headers=headers)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        asked = chat_request(json_object(await request.read()), self._chat.name)
        prompt = sum(self._embedder.count(text) for _, text in asked.messages)
        headers = self._chat_quota.charge(prompt + (asked.max_tokens or UNSTATED_ANSWER_TOKENS))
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": self._chat.name}
        # Closing the source at once, whatever ends this block, stops a model whose reader went away.
        async with aclosing(self._chat.reply(asked)) as source:
            if asked.stream:
                return await self._stream(request, asked, source, Head(head, prompt, headers))
            text, tokens, reason = "", 0, "stop"
            async for piece, finish in bounded(source, asked):
                text, tokens = text + piece, tokens + bool(piece)
                reason = finish or reason
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        answer = {**head, "object": "chat.completion", "choices": [choice], "usage": usage(prompt, tokens)}
        return web.json_response(answer, headers=headers)

    async def _stream(
        self, request: web.Request, asked: ChatRequest, source: AsyncIterator[str], head: Head
    ) -> web.StreamResponse:
        kind = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers={**kind, **head.headers})
        await response.prepare(request)

        async def event(value: dict[str, Any]) -> None:
            await before_chunk(request)
            await response.write(b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n")

        async def send(delta: dict[str, Any], finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
            await event({**head.common, "object": "chat.completion.chunk", "choices": [choice]})

        rule = fired(request)
        broken = rule.extra.get("stream_error") if rule else None

        try:
            await send({"role": "assistant", "content": ""})
            tokens, reason = 0, "stop"
            async for piece, finish in bounded(source, asked):
                reason = finish or reason
                if piece:
                    tokens += 1
                    await send({"content": piece})
                    if broken:
                        await event(ApiError(500, broken).body())
                        return response
            await send({}, reason)
            if asked.include_usage:
                counted = usage(head.prompt_tokens, tokens)
                await event({**head.common, "object": "chat.completion.chunk", "choices": [], "usage": counted})
            await response.write(b"data: [DONE]\n\n")
            return response
        except ConnectionError:  # the reader went away: leaving this block stops the model
            logger.info("%s %s stopped: the reader went away", request.method, request.path)
            return response


def usage(prompt: int, completion: int) -> dict[str, int]:
    """Return the token counts of an answer."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def refusal(error: ApiError) -> web.Response:
    """Return an error as a response."""
    return web.json_response(error.body(), status=error.status, headers=error.headers)


def injected(request: web.Request, status: int) -> web.Response:
    """Return the error that the service would answer with a status, for a rule that has no body of its own."""
    if status == 429:
        return refusal(throttled(FAULT_RETRY_SECONDS, "refused by a fault rule"))
    error = ApiError(status, "Refused by a fault rule.", code=FAULT_CODES.get(status, str(status)))
    if status == 503:
        error.headers["Retry-After"] = str(int(FAULT_RETRY_SECONDS))
    return refusal(error)


async def bounded(pieces: AsyncIterator[str], asked: ChatRequest) -> AsyncIterator[tuple[str, str | None]]:
    """Yield pieces within the request's bounds; the second part is why the answer ended early, if it did.

    What may be the beginning of a stop sequence is held back until it is decided.
    """
    held, count = "", 0
    async for piece in pieces:
        held, count = held + piece, count + 1
        found = [position for stop in asked.stop if (position := held.find(stop)) >= 0]
        if found:
            yield held[: min(found)], "stop"
            return
        decided = len(held) - _undecided(held, asked.stop)
        yield held[:decided], None
        held = held[decided:]
        if asked.max_tokens is not None and count >= asked.max_tokens:
            yield held, "length"
            return
    if held:
        yield held, None


def _undecided(text: str, stops: tuple[str, ...]) -> int:
    """Return the length of the longest end of the text that begins a stop sequence."""
    lengths = (length for stop in stops for length in range(1, len(stop)) if text.endswith(stop[:length]))
    return max(lengths, default=0)
