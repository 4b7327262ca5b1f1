"""The chat's wire format: Microsoft's AI Chat Protocol, parsed strictly. Pure.

Request `{"messages": [{"role", "content"}], "context": {...}, "sessionState": ...}`; reply `{"message", "context",
"sessionState"}`; a stream is newline-delimited JSON of deltas.
"""

import json
from dataclasses import dataclass
from typing import Any

from shared.errors import BadRequest, TooLarge

ROLES = ("user", "assistant")
FIELDS = frozenset({"messages", "context", "sessionState"})
MESSAGE_FIELDS = frozenset({"role", "content"})
CONTEXT_FIELDS = frozenset({"debug"})


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
    debug: bool
    session_state: Any

    @property
    def question(self) -> str:
        """The last message's text."""
        return self.messages[-1].content


def parse_chat_request(body: bytes, limits: ChatLimits) -> ChatRequest:
    """Return the request in `body`. Raises BadRequest or TooLarge, naming the value and the way out."""
    # Bytes bound the work of parsing before anything is parsed: four bytes a character is the most UTF-8 needs.
    most = 4 * limits.message_characters * limits.messages
    if len(body) > most:
        raise TooLarge(f"the request has {len(body)} bytes; at most {most} are accepted")
    value = _object(body)
    _no_unknown(value, FIELDS, "the request")
    context = value.get("context")
    if context is None:
        context = {}
    if not isinstance(context, dict):
        raise BadRequest(f"context must be an object, not {_shown(context)}")
    _no_unknown(context, CONTEXT_FIELDS, "context")
    debug = context.get("debug", False)
    if not isinstance(debug, bool):
        raise BadRequest(f"context.debug must be true or false, not {_shown(debug)}")
    return ChatRequest(_messages(value.get("messages"), limits), debug, value.get("sessionState"))


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise BadRequest(f"the body is not JSON: {fault}") from fault
    if not isinstance(value, dict):
        raise BadRequest(f'the body must be an object such as {{"messages": [...]}}, not {_shown(value)}')
    return value


def _messages(value: Any, limits: ChatLimits) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise BadRequest('messages must be a list of at least one {"role": "user", "content": "..."}')
    if len(value) > limits.messages:
        raise TooLarge(f"{len(value)} messages; at most {limits.messages} are accepted, leave out the oldest")
    messages = tuple(_message(item, position, limits) for position, item in enumerate(value))
    if messages[-1].role != "user":
        raise BadRequest(f"the last message must be the user's, its role is {messages[-1].role!r}")
    return messages


def _message(item: Any, position: int, limits: ChatLimits) -> Message:
    where = f"messages[{position}]"
    if not isinstance(item, dict):
        raise BadRequest(f'{where} must be an object such as {{"role": "user", "content": "..."}}, not {_shown(item)}')
    _no_unknown(item, MESSAGE_FIELDS, where)
    role, content = item.get("role"), item.get("content")
    if role not in ROLES:
        raise BadRequest(f"{where}.role must be one of {', '.join(ROLES)}, not {_shown(role)}")
    if not isinstance(content, str) or not content.strip():
        raise BadRequest(f"{where}.content must be a text that is not empty, not {_shown(content)}")
    if len(content) > limits.message_characters:
        raise TooLarge(
            f"{where}.content has {len(content)} characters; at most {limits.message_characters} are accepted"
        )
    return Message(role, content)


def _no_unknown(value: dict[str, Any], known: frozenset[str], where: str) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        raise BadRequest(f"{where} has unknown fields {unknown}; known are {sorted(known)}")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
