"""Answer a question from the index: condense, retrieve, ground, answer, cite."""

import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import openai
from azure.search.documents.models import VectorizedQuery

from shared.chat.citations import MarkerFilter, markers
from shared.chat.passages import Hit, Passage, access_filter, choose, newest_versions, visible
from shared.chat.prompt import answer_messages, condense_messages
from shared.chat.protocol import ChatRequest
from shared.clients import Services
from shared.documents import count_tokens
from shared.errors import NotReady, Throttled
from shared.index.schema import SCALARS, VECTOR, IndexedChunk

logger = logging.getLogger(__name__)

NEAREST = 50  # candidates of the vector leg; the text leg has as many by the service's default
FETCHED = 30  # results looked at before superseded versions and repeats are dropped
NOTHING_FOUND = "Nothing in these documents answers that."
DEFAULT_RETRY_AFTER = 5.0  # seconds, where the model gave none

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Grounding:
    """What an answer stands on: the query that was searched, the generation searched, the passages chosen."""

    query: str
    generation: str
    passages: tuple[Passage, ...]


class Chat:
    """Chat over one region's index."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    async def answer(self, request: ChatRequest, groups: frozenset[str]) -> Event:
        """Return the whole reply. Raises NotReady or Throttled."""
        text = ""
        last: Event = {}
        async for event in self.events(request, groups):
            text += event.get("delta", {}).get("content", "")
            last = event
        return {
            "message": {"role": "assistant", "content": text},
            "context": last["context"],
            "sessionState": request.session_state,
        }

    async def events(self, request: ChatRequest, groups: frozenset[str]) -> AsyncIterator[Event]:
        """Yield the reply as it comes: first the passages found, then deltas, last the citations that were used."""
        started = time.monotonic()
        grounding = await self.ground(request, groups)
        retrieved = time.monotonic()
        found = [passage.citation() for passage in grounding.passages]
        index = {"generation": grounding.generation, "region": self._settings.region}
        yield {"context": {"citations": found, "index": index, "query": grounding.query}}
        text = ""
        async for piece in self._text(request.question, grounding.passages):
            text += piece
            yield {"delta": {"role": "assistant", "content": piece}}
        used = [citation for citation in found if citation["n"] in markers(text)]
        context: Event = {
            "citations": used,
            "answered": bool(used),
            "index": index,
            "model": self._settings.openai_model,
            "timings": {
                "retrieval_ms": round((retrieved - started) * 1000),
                "answer_ms": round((time.monotonic() - retrieved) * 1000),
            },
        }
        if request.debug:
            scores = [{"n": passage.n, "score": passage.score} for passage in grounding.passages]
            context["debug"] = {"query": grounding.query, "passages": found, "scores": scores}
        logger.info(
            "chat generation=%s passages=%d cited=%d retrieval_ms=%d answer_ms=%d",
            grounding.generation,
            len(found),
            len(used),
            context["timings"]["retrieval_ms"],
            context["timings"]["answer_ms"],
        )
        yield {"delta": {"content": ""}, "context": context, "sessionState": request.session_state, "done": True}

    async def ground(self, request: ChatRequest, groups: frozenset[str]) -> Grounding:
        """Return the passages for a question: hybrid search, access checked twice, superseded versions dropped."""
        generation = await self._services.generations.require_live()
        query = await self._query(request)
        vectors = await self._services.embedder.embed([query])
        results = await self._services.search_client(generation).search(
            search_text=query,
            vector_queries=[VectorizedQuery(vector=vectors[0].tolist(), k_nearest_neighbors=NEAREST, fields=VECTOR)],
            filter=access_filter(groups),
            select=list(SCALARS),
            top=FETCHED,
        )
        hits = [Hit(IndexedChunk.from_fields(item), item["@search.score"]) async for item in results]
        passages = choose(
            newest_versions(visible(hits, groups)),
            self._settings.chat_passages,
            self._settings.chat_context_tokens,
            count_tokens,
        )
        return Grounding(query, generation, passages)

    async def _query(self, request: ChatRequest) -> str:
        """Return the search query: the question itself, or the conversation condensed into one."""
        if len(request.messages) == 1:
            return request.question
        with _model_errors():
            reply = await self._services.model.chat.completions.create(
                model=self._settings.openai_model,
                messages=condense_messages(request.messages),
                timeout=self._settings.chat_timeout_seconds,
            )
        return (reply.choices[0].message.content or "").strip() or request.question

    async def _text(self, question: str, passages: tuple[Passage, ...]) -> AsyncIterator[str]:
        if not passages:
            yield NOTHING_FOUND
            return
        cleaner = MarkerFilter(len(passages))
        with _model_errors():
            stream = await self._services.model.chat.completions.create(
                model=self._settings.openai_model,
                messages=answer_messages(question, passages),
                stream=True,
                timeout=self._settings.chat_timeout_seconds,
            )
            # Leaving the block, also because the client went away, closes the connection and so stops the model.
            async with stream:
                async for event in stream:
                    piece = event.choices[0].delta.content if event.choices else None
                    if piece and (shown := cleaner.feed(piece)):
                        yield shown
        if rest := cleaner.end():
            yield rest


def to_line(event: Event) -> bytes:
    """Return one line of a streamed reply."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class _model_errors:  # reads as a statement at its uses
    """Turn the model's refusals into the app's own errors."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, openai.RateLimitError):
            given = error.response.headers.get("retry-after", "")
            wait = float(given) if given.replace(".", "", 1).isdigit() else DEFAULT_RETRY_AFTER
            raise Throttled("the model is out of quota for the moment", retry_after=wait) from error
        if isinstance(error, openai.APIConnectionError | openai.InternalServerError):
            raise NotReady(f"the model endpoint does not answer: {error}") from error
