"""Chat as it is served: who asks, how much they may ask, and the answer whole or as a stream."""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from shared.chat.answer import Chat, Event, to_line
from shared.chat.protocol import ChatLimits, ChatRequest, parse_chat_request
from shared.clients import Services
from shared.errors import WarmlakeError, problem
from shared.identity import caller
from shared.limits import Limiter, Limits, caller_key

logger = logging.getLogger(__name__)


class ChatService:
    """Answers requests within the limits of their callers. Belongs to one event loop."""

    def __init__(self, services: Services) -> None:
        settings = services.settings
        self._chat = Chat(services)
        self._trusted = settings.auth_enabled
        self._sizes = ChatLimits(settings.chat_message_max_characters, settings.chat_max_messages)
        self.limiter = Limiter(
            Limits(settings.chat_requests_per_minute, settings.chat_tokens_per_minute, settings.chat_concurrency)
        )

    async def answer(self, body: bytes, headers: Mapping[str, str], peer: str) -> Event:
        """Return the reply to a request. Raises what is wrong with it, TooManyRequests, NotReady or Throttled."""
        request = parse_chat_request(body, self._sizes)
        who = caller(headers, self._trusted)
        with self.limiter.admit(caller_key(who, headers, peer)) as charge:
            budget = self._chat.budget()
            try:
                return await self._chat.answer(request, who.groups, budget)
            finally:
                charge(budget.spent)

    async def stream(self, body: bytes, headers: Mapping[str, str], peer: str) -> AsyncGenerator[bytes]:
        """Return the reply as lines. Raises as `answer` does for whatever fails before the first of them."""
        request = parse_chat_request(body, self._sizes, streamed=True)
        who = caller(headers, self._trusted)
        events = self._events(request, who.groups, caller_key(who, headers, peer))
        return _lines(await anext(events), events)

    async def _events(self, request: ChatRequest, groups: frozenset[str], key: str) -> AsyncGenerator[Event]:
        with self.limiter.admit(key) as charge:
            budget = self._chat.budget()
            try:
                async with aclosing(self._chat.events(request, groups, budget)) as events:
                    async for event in events:
                        yield event
            finally:  # also when the reader goes away, or the model breaks off
                charge(budget.spent)


async def _lines(first: Event, events: AsyncGenerator[Event]) -> AsyncGenerator[bytes]:
    async with aclosing(events):  # a reader that went away ends this block, and with it the model's call
        yield to_line(first)
        try:
            async for event in events:
                yield to_line(event)
        except WarmlakeError as error:  # the status line is long gone: the error is the last, well-formed event
            logger.warning("chat stream failed: %s", error)
            yield _error_line(error)
        except Exception as error:
            logger.exception("chat stream failed")
            yield _error_line(error)


def _error_line(error: BaseException) -> bytes:
    _, headers, body = problem(error)
    wait = headers.get("Retry-After")
    told = {**body, **body.pop("error")}  # in an event the problem is the error: code and message stand beside the rest
    return to_line({"error": {**told, "retry_after": int(wait)} if wait else told})
