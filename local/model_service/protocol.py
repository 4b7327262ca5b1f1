"""OpenAI's request and error formats, checked: what is not supported answers 400 and is named. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_INPUTS = 2_048  # inputs of one embeddings request, as the service has it
MAX_INPUT_TOKENS = 8_191  # tokens of one input
MAX_REQUEST_TOKENS = 300_000  # tokens of one request
MAX_STOPS = 4  # stop sequences of one chat request

_EMBEDDING_FIELDS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})
_CHAT_FIELDS = frozenset(
    [
        "model",
        "messages",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "n",
        "seed",
        "user",
        "presence_penalty",
        "frequency_penalty",
        "store",
        "metadata",
    ]
)
# Bounds of the sampling parameters, both inclusive.
_RANGES = {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2)}


class ApiError(Exception):
    """An error in OpenAI's form, and the headers that go with it."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the error object."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        if self.status == 429:
            kind = "too_many_requests"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """A checked embeddings request."""

    model: str
    texts: tuple[str, ...]
    base64: bool


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked chat request; messages are (role, text). `max_tokens` is None for no bound."""

    model: str
    messages: tuple[tuple[str, str], ...]
    stream: bool
    include_usage: bool
    max_tokens: int | None
    stop: tuple[str, ...]


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a request body."""
    try:
        value = json.loads(body)
    except ValueError as fault:
        raise ApiError(400, f"We could not parse the JSON body of your request: {fault}") from fault
    if not isinstance(value, dict):
        raise ApiError(400, "The JSON body of your request must be an object.")
    return value


def embeddings_request(value: dict[str, Any], model: str, dimensions: int) -> EmbeddingsRequest:
    """Check an embeddings request against the one model there is."""
    _known(value, _EMBEDDING_FIELDS)
    if value.get("model") != model:
        raise _no_model(value.get("model"), model)
    if value.get("dimensions", dimensions) != dimensions:
        raise ApiError(400, f"This model has {dimensions} dimensions, not {value['dimensions']!r}.", "dimensions")
    encoding = value.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise ApiError(400, f"{encoding!r} is not one of ['float', 'base64'].", "encoding_format")
    given = value.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ApiError(400, "'input' must be a text or a list of texts; token ids are not supported here.", "input")
    if len(texts) > MAX_INPUTS:
        raise ApiError(400, f"'input' has {len(texts)} items; the array may have at most {MAX_INPUTS}.", "input")
    if any(not text for text in texts):
        raise ApiError(400, "'input' must not contain an empty text.", "input")
    return EmbeddingsRequest(model, tuple(texts), encoding == "base64")


def check_tokens(counts: list[int]) -> None:
    """Refuse inputs over the service's token limits."""
    if max(counts) > MAX_INPUT_TOKENS:
        raise ApiError(
            400, f"An input has {max(counts)} tokens; the maximum context length is {MAX_INPUT_TOKENS}.", "input"
        )
    if sum(counts) > MAX_REQUEST_TOKENS:
        raise ApiError(400, f"The request has {sum(counts)} tokens; at most {MAX_REQUEST_TOKENS} are taken.", "input")


def chat_request(value: dict[str, Any], model: str) -> ChatRequest:
    """Check a chat request."""
    _known(value, _CHAT_FIELDS)
    if value.get("model") != model:
        raise _no_model(value.get("model"), model)
    if value.get("n") not in (None, 1):
        raise ApiError(400, "Only n = 1 is supported here.", "n")
    for name, (low, high) in _RANGES.items():
        number = value.get(name)
        if number is not None and (not isinstance(number, int | float) or not low <= number <= high):
            raise ApiError(400, f"{name!r} must be a number from {low} to {high}, not {number!r}.", name)
    messages = value.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "'messages' must be a list with at least one message.", "messages")
    return ChatRequest(
        model=model,
        messages=tuple(_message(item, position) for position, item in enumerate(messages)),
        stream=_flag(value, "stream"),
        include_usage=_include_usage(value),
        max_tokens=_max_tokens(value),
        stop=_stops(value),
    )


def _flag(value: dict[str, Any], name: str) -> bool:
    given = value.get(name)
    if given is not None and not isinstance(given, bool):
        raise ApiError(400, f"{name!r} must be true or false, not {given!r}.", name)
    return bool(given)


def _include_usage(value: dict[str, Any]) -> bool:
    options = value.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict) or set(options) - {"include_usage"}:
        raise ApiError(400, "'stream_options' supports only {'include_usage': true or false} here.", "stream_options")
    if not value.get("stream"):
        raise ApiError(400, "'stream_options' is only allowed when 'stream' is true.", "stream_options")
    return _flag(options, "include_usage")


def _max_tokens(value: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        most = value.get(name)
        if most is None:
            continue
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise ApiError(400, f"{name!r} must be a positive integer, not {most!r}.", name)
        return most
    return None


def _stops(value: dict[str, Any]) -> tuple[str, ...]:
    stop = value.get("stop")
    if stop is None:
        return ()
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or len(stops) > MAX_STOPS or not all(isinstance(one, str) and one for one in stops):
        raise ApiError(400, f"'stop' must be a text or a list of up to {MAX_STOPS}, none of them empty.", "stop")
    return tuple(stops)


def _message(item: Any, position: int) -> tuple[str, str]:
    where = f"messages[{position}]"
    role = item.get("role") if isinstance(item, dict) else None
    if role not in ("system", "developer", "user", "assistant"):
        raise ApiError(400, f"{where} has the role {role!r}; supported are system, developer, user, assistant.", where)
    content = item.get("content")
    if isinstance(content, list):  # the list form, as far as it is text
        if not all(isinstance(part, dict) and part.get("type") == "text" for part in content):
            raise ApiError(400, f"{where} has content that is not text; only text is supported here.", where)
        content = "".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str):
        raise ApiError(400, f"{where}.content must be a text.", where)
    return role, content


def _known(value: dict[str, Any], fields: frozenset[str]) -> None:
    unknown = sorted(set(value) - fields)
    if unknown:
        raise ApiError(400, f"Unsupported parameter here: {unknown[0]!r}.", unknown[0], "unsupported_parameter")


def _no_model(given: Any, model: str) -> ApiError:
    return ApiError(404, f"The model {given!r} does not exist here; there is {model!r}.", "model", "model_not_found")
