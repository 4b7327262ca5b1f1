"""JSON as it comes in a request and goes out in a reply: read strictly, written whatever it holds. Pure."""

import json
import math
from typing import Any, NoReturn

from shared.errors import BadRequest

MOST_NESTED = 64  # lists and objects inside each other; what is read must also be written again


def json_object(body: bytes, example: str) -> dict[str, Any]:
    """Return the object in `body`. Raises BadRequest for anything else; `example` shows what is expected.

    Every text in it can be encoded and every number is finite: it can be stored, sent on and sent back.
    """
    value = _value(body)
    if not isinstance(value, dict):
        raise BadRequest(f"the body must be an object such as {example}, not {shown(value)}")
    return value


def json_bytes(value: Any) -> bytes:
    """Return a value as UTF-8 JSON. Half a surrogate pair, as in a path of the request, is written as its escape."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def no_unknown(value: dict[str, Any], known: frozenset[str], where: str) -> None:
    """Raise BadRequest when `value`, which stands at `where`, has fields that are not `known`."""
    if unknown := sorted(set(value) - known):
        raise BadRequest(f"{where} has unknown fields {unknown}; known are {sorted(known)}")


def shown(value: Any) -> str:
    """Return a JSON value as a short text, for messages."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _value(body: bytes) -> Any:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise BadRequest(f"the body is not UTF-8: {fault.reason} at byte {fault.start}") from fault
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except ValueError as fault:
        raise BadRequest(f"the body is not JSON: {fault!s:.200}") from fault
    except RecursionError:
        raise _too_deep() from None
    _refuse_depth(value)
    if "\\u" in text:
        _refuse_half_characters(value)
    return value


def _refuse_depth(value: Any) -> None:
    """Raise BadRequest when lists and objects are nested deeper than MOST_NESTED."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MOST_NESTED):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    if level:
        raise _too_deep()


def _refuse_half_characters(value: Any) -> None:
    """Raise BadRequest for half a surrogate pair: it is no text, and only an escape can bring it in."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as fault:
        raise BadRequest(
            f"the body is not text: \\u{ord(fault.object[fault.start]):04x} is half a character"
        ) from fault


def _too_deep() -> BadRequest:
    return BadRequest(
        f"the body is nested too deep; at most {MOST_NESTED} lists and objects inside each other are read"
    )


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number:.40} is beyond what a number can be")
    return value
