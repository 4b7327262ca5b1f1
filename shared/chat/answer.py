"""Answer a question from the index: condense, retrieve, ground, answer, check, cite."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import openai

from shared.body import json_bytes
from shared.chat.checking import Checker, MarkerStream
from shared.chat.follow_ups import TOKENS as FOLLOW_UP_TOKENS
from shared.chat.follow_ups import parse_follow_ups
from shared.chat.links import LinkFilter
from shared.chat.model import Budget, ChatModel, ContentFiltered
from shared.chat.nearness import Nearness
from shared.chat.prompt import answer_messages, condense_messages, follow_up_messages, recent
from shared.chat.protocol import ChatRequest, Message
from shared.chat.retrieval import Grounding, Retriever
from shared.clients import Services
from shared.documents import count_tokens
from shared.errors import NotReady, Throttled
from shared.telemetry import answered

NOTHING_FOUND = "Nothing in these documents answers that."
FILTERED = "The content filter of the model does not let this question or its answer pass. Please ask in another way."
EMPTY = "The model gave no answer. Please ask again, perhaps in other words."
NOTHING = "nothing_found"  # the reason, whether no passage is near or the model finds no answer in those that are
QUERY_TOKENS = 200  # of a condensed question
CONDENSING = 1 / 3  # of the time, at most: a question that is searched as it was asked beats none
EMBEDDING_RETRY_AFTER = 5.0  # seconds, when the embedding model did not answer within the budget

Event = dict[str, Any]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Turn:
    """One answer in the making. Times are of `time.monotonic`, in seconds."""

    request: ChatRequest
    budget: Budget
    started: float = field(default_factory=time.monotonic)
    condensed: float = 0.0
    retrieved: float = 0.0
    first_delta: float = 0.0
    text: str = ""
    refused: str | None = None
    checker: Checker | None = None
    nearness: Nearness | None = None
    uncondensed: str = ""  # why the question was searched as it was asked, where it was to be condensed
    follow_ups: list[str] = field(default_factory=list)


class Chat:
    """Chat over one region's index."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self._model = ChatModel(services.model, services.settings.openai_model)
        self._retriever = Retriever(services)

    def budget(self) -> Budget:
        """Return what one answer may take."""
        return Budget(self._settings.chat_timeout_seconds)

    async def answer(self, request: ChatRequest, groups: frozenset[str], budget: Budget | None = None) -> Event:
        """Return the whole reply. Raises NotReady or Throttled."""
        text = ""
        last: Event = {}
        async with aclosing(self.events(request, groups, budget)) as events:
            async for event in events:
                text += event.get("delta", {}).get("content", "")
                last = event
        return {
            "message": {"role": "assistant", "content": text},
            "context": last["context"],
            "sessionState": request.session_state,
        }

    async def events(
        self, request: ChatRequest, groups: frozenset[str], budget: Budget | None = None
    ) -> AsyncGenerator[Event]:
        """Yield the reply as it comes: first the passages found, then deltas, last the citations that were used.

        Closing the generator stops the model. However it ends, `budget` has what it took. Raises NotReady or Throttled.
        """
        turn = _Turn(request, budget or self.budget())
        grounding = await self._grounding(turn, groups)
        found = [passage.citation() for passage in grounding.passages]
        index = {"generation": grounding.generation, "region": self._settings.region}
        opening = {"citations": found, "index": index, "query": grounding.query}
        yield {"delta": {"role": "assistant"}, "context": opening}
        async with aclosing(self._text(turn, grounding)) as pieces:
            async for piece in pieces:
                turn.first_delta = turn.first_delta or time.monotonic()
                turn.text += piece
                yield {"delta": {"role": "assistant", "content": piece}}
        if request.follow_ups and turn.checker and turn.checker.checks.used():
            turn.follow_ups = await self._follow_ups(turn, grounding)
        context = self._context(turn, grounding, found, index)
        yield {"delta": {"content": ""}, "context": context, "sessionState": request.session_state, "done": True}

    async def ground(self, request: ChatRequest, groups: frozenset[str]) -> Grounding:
        """Return the passages for a question: hybrid search, access checked twice, superseded versions dropped."""
        return await self._grounding(_Turn(request, self.budget()), groups)

    async def _grounding(self, turn: _Turn, groups: frozenset[str]) -> Grounding:
        access = await self._services.access_rules.access(groups)
        query = await self._query(turn)
        turn.condensed = time.monotonic()
        try:
            async with asyncio.timeout(turn.budget.left):
                grounding = await self._retriever.find(query, access, turn.request.filters)
        except TimeoutError:
            raise NotReady("finding the passages took too long") from None
        except openai.APIError as error:
            raise Throttled(
                f"the embedding model does not answer: {type(error).__name__}", EMBEDDING_RETRY_AFTER
            ) from error
        turn.retrieved = time.monotonic()
        return grounding

    async def _query(self, turn: _Turn) -> str:
        """Return the search query: the question itself, or the conversation condensed into one."""
        request = turn.request
        if len(request.messages) == 1:
            return request.question
        messages = condense_messages(request.messages, self._settings.chat_history_tokens, count_tokens)
        budget = turn.budget.part(CONDENSING)
        try:
            return await self._model.text(messages, QUERY_TOKENS, budget) or request.question
        except (ContentFiltered, Throttled, NotReady) as fault:  # whether it may be answered is decided where it is
            turn.uncondensed = str(fault) or type(fault).__name__
            logger.warning("a question is searched as it was asked: %s", turn.uncondensed)
            return request.question
        finally:
            turn.budget.add(budget)

    def _turns(self, request: ChatRequest) -> Sequence[Message]:
        """Return the latest of the conversation, the question included, within the budget of tokens."""
        return recent(request.messages, self._settings.chat_history_tokens, count_tokens)

    async def _text(self, turn: _Turn, grounding: Grounding) -> AsyncGenerator[str]:
        """Yield the answer, checked. What is yielded is final."""
        settings = self._settings
        enough = grounding.relevance.enough(settings.chat_min_cosine, settings.chat_min_coverage)
        if not grounding.passages or not enough:
            turn.refused = NOTHING
            yield NOTHING_FOUND
            return
        turn.nearness = Nearness(self._services.embedder.embed, turn.budget)
        turn.checker = Checker(grounding.passages, turn.nearness)
        turns = self._turns(turn.request)
        messages = answer_messages(grounding.query, grounding.passages, settings.chat_model_cites, turns)
        source = self._model.stream(messages, settings.chat_answer_tokens, turn.budget)
        try:
            async with aclosing(source), aclosing(self._checked(source, turn.checker)) as pieces:
                async for piece in pieces:
                    yield piece
            if not turn.text.strip():
                turn.refused = "empty"
                yield EMPTY
            elif not turn.checker.checks.claims():
                turn.refused = NOTHING
        except ContentFiltered:
            turn.refused = "content_filter"
            yield f"\n\n{FILTERED}" if turn.text else FILTERED

    async def _checked(self, source: AsyncIterator[str], checker: Checker) -> AsyncGenerator[str]:
        """Yield a model's answer without foreign links and with checked markers."""
        links, markers = LinkFilter(self._settings.chat_link_hosts), MarkerStream(checker)
        async for piece in source:
            async for shown in markers.feed(links.feed(piece)):
                if shown:
                    yield shown
        async for shown in markers.feed(links.end()):
            yield shown
        async for shown in markers.end():
            if shown:
                yield shown

    async def _follow_ups(self, turn: _Turn, grounding: Grounding) -> list[str]:
        """Return further questions; a model that has no time for them leaves the answer as good as it is."""
        turns = self._turns(turn.request)
        messages = follow_up_messages(grounding.query, turn.text, grounding.passages, turns)
        try:
            reply = await self._model.text(messages, FOLLOW_UP_TOKENS, turn.budget)
        except (ContentFiltered, Throttled, NotReady):
            return []
        asked = [message.content for message in turn.request.messages if message.role == "user"]
        return parse_follow_ups(reply, asked)

    def _context(self, turn: _Turn, grounding: Grounding, found: list[Event], index: Event) -> Event:
        """Return the final context, and note the answer where operators see it."""
        checks = turn.checker.checks if turn.checker else None
        used = checks.used() if checks else frozenset()
        now = time.monotonic()
        context: Event = {
            "citations": [citation for citation in found if citation["n"] in used],
            "answered": bool(used),
            "refused": turn.refused,
            "truncated": turn.budget.truncated,
            "index": index,
            "model": self._settings.openai_model,
            "query": grounding.query,
            "checks": checks.counts() if checks else {},
            "unsupported": checks.unsupported() if checks else [],
            "usage": turn.budget.usage(),
            "timings": {
                "condense_ms": _ms(turn.condensed - turn.started),
                "retrieval_ms": _ms(turn.retrieved - turn.condensed),
                "first_delta_ms": _ms((turn.first_delta or now) - turn.started),
                "check_ms": _ms(checks.seconds if checks else 0.0),
                "answer_ms": _ms(now - turn.retrieved),
                "total_ms": _ms(now - turn.started),
            },
        }
        if turn.request.follow_ups:
            context["follow_ups"] = turn.follow_ups
        if turn.request.debug:
            verdicts = [verdict.as_dict() for verdict in checks.verdicts] if checks else []
            context["debug"] = {
                **grounding.debug(),
                "checks": verdicts,
                "filters": turn.request.filters.shown(),
                "uncondensed": turn.uncondensed,
                "checked_by_words": turn.nearness.fault if turn.nearness else "",
            }
        answered(grounding.generation, len(found), len(used), turn.retrieved - turn.started, now - turn.retrieved)
        return context


def to_line(event: Event) -> bytes:
    """Return one line of a streamed reply."""
    return json_bytes(event) + b"\n"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
