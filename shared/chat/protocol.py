"""The chat's wire format: Microsoft's AI Chat Protocol, parsed strictly. Pure.

Request `{"messages": [{"role", "content"}], "context": {...}, "sessionState": ...}`; reply `{"message", "context",
"sessionState"}`; a stream is newline-delimited JSON of deltas. A client may send a reply's message back as it came.
"""

from dataclasses import dataclass
from typing import Any

from shared.body import json_object, no_unknown, shown
from shared.chat.filters import Filters, parse_filters
from shared.errors import BadRequest, TooLarge

ROLES = ("user", "assistant")  # no "system": what the model is told is the deployment's to say, never the caller's
ROUTES = {False: "/api/chat", True: "/api/chat/stream"}  # by whether the answer is streamed
EXAMPLE = '{"messages": [{"role": "user", "content": "..."}]}'
FIELDS = frozenset({"messages", "context", "sessionState", "stream"})
MESSAGE_FIELDS = frozenset({"role", "content", "context"})
CONTEXT_FIELDS = frozenset({"debug", "follow_ups", "filters"})
NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation; `role` is user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ChatLimits:
    """What a request may hold: characters in one message, messages in all."""

    message_characters: int
    messages: int


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked request; the last message is the user's question. `session_state` is returned as it came."""

    messages: tuple[Message, ...]
    debug: bool = False
    session_state: Any = None
    follow_ups: bool = False
    filters: Filters = NO_FILTERS

    @property
    def question(self) -> str:
        """The last message's text."""
        return self.messages[-1].content


def parse_chat_request(body: bytes, limits: ChatLimits, streamed: bool = False) -> ChatRequest:
    """Return the request in `body`; `streamed` is whether it came to the route that streams.

    Raises BadRequest or TooLarge, naming the value and the way out.
    """
    # Bytes bound the work of parsing before anything is parsed: four bytes a character is the most UTF-8 needs.
    most = 4 * limits.message_characters * limits.messages
    if len(body) > most:
        raise TooLarge(f"the request has {len(body)} bytes; at most {most} are accepted")
    value = json_object(body, EXAMPLE)
    no_unknown(value, FIELDS, "the request")
    if "stream" in value and _switch(value, "stream") != streamed:
        raise BadRequest(f"stream is {shown(value['stream'])}; such an answer is given at POST {ROUTES[not streamed]}")
    context = _object_or_none(value.get("context"), "context")
    no_unknown(context, CONTEXT_FIELDS, "context")
    return ChatRequest(
        _messages(value.get("messages"), limits),
        _switch(context, "debug", "context."),
        value.get("sessionState"),
        _switch(context, "follow_ups", "context."),
        parse_filters(context.get("filters")),
    )


def _object_or_none(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"{where} must be an object, not {shown(value)}")
    return value


def _switch(value: dict[str, Any], name: str, where: str = "") -> bool:
    given = value.get(name, False)
    if not isinstance(given, bool):
        raise BadRequest(f"{where}{name} must be true or false, not {shown(given)}")
    return given


def _messages(value: Any, limits: ChatLimits) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise BadRequest('messages must be a list of at least one {"role": "user", "content": "..."}')
    if len(value) > limits.messages:
        raise TooLarge(f"{len(value)} messages; at most {limits.messages} are accepted, leave out the oldest")
    found = [_message(item, position, limits) for position, item in enumerate(value)]
    if found[-1].role != "user":
        raise BadRequest(f"the last message must be the user's, its role is {found[-1].role!r}")
    # An answer that broke off before its first word is in the client's history, and says nothing.
    return tuple(message for message in found if message.content.strip())


def _message(item: Any, position: int, limits: ChatLimits) -> Message:
    where = f"messages[{position}]"
    if not isinstance(item, dict):
        raise BadRequest(f'{where} must be an object such as {{"role": "user", "content": "..."}}, not {shown(item)}')
    no_unknown(item, MESSAGE_FIELDS, where)
    _object_or_none(item.get("context"), f"{where}.context")  # of a reply sent back; nothing in it is believed
    role, content = item.get("role"), item.get("content")
    if role not in ROLES:
        raise BadRequest(
            f"{where}.role must be one of {', '.join(ROLES)}, not {shown(role)}: "
            "what the model is told is not the caller's to set"
        )
    if not isinstance(content, str) or (role == "user" and not content.strip()):
        raise BadRequest(f"{where}.content must be a text that is not empty, not {shown(content)}")
    if len(content) > limits.message_characters:
        raise TooLarge(
            f"{where}.content has {len(content)} characters; at most {limits.message_characters} are accepted"
        )
    return Message(role, content)
