"""The rules of faults on purpose: read from JSON, checked, shown. Pure; `local/faults.py` applies them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DROPS = ("before", "after", "mid")
KEYS = ("method", "path", "times", "skip", "every", "delay_ms", "status", "headers", "body", "drop", "extra")


class RuleError(ValueError):
    """A rule that cannot be taken; the message names the key."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to which requests. Durations are in milliseconds.

    `path` is searched in the decoded path with its query (`/a/b?comp=lease`). Of the requests that match, the first
    `skip` pass; of the rest every `every`-th meets the fault, until it has fired `times` times (None: until deleted).
    """

    method: str | None = None
    path: re.Pattern[str] | None = None
    times: int | None = None
    skip: int = 0
    every: int = 1
    delay_ms: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None  # None: the service's own error body
    drop: str | None = None  # before handling, after handling without a reply, or mid: within the reply
    extra: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request is one of those the rule is about."""
        return self.method in (None, method) and (self.path is None or self.path.search(path) is not None)

    def shown(self) -> dict[str, Any]:
        """Return the rule as JSON, in the form it was given."""
        shown: dict[str, Any] = {key: getattr(self, key) for key in KEYS}
        return {**shown, "path": self.path.pattern if self.path else None, "headers": dict(self.headers)}


def parse_rule(body: bytes, extra: Mapping[str, type]) -> Rule:
    """Read a rule from JSON. Raises RuleError, naming the key that is wrong."""
    try:
        given = json.loads(body)
    except ValueError as fault:
        raise RuleError(f"the rule is not JSON: {fault}") from None
    if not isinstance(given, dict):
        raise RuleError(f"the rule must be an object, not {given!r}")
    _refuse_unknown(given, KEYS, "a rule")
    rule = Rule(
        method=_method(given.get("method")),
        path=_pattern(given.get("path")),
        times=_optional_whole(given, "times", 1),
        skip=_optional_whole(given, "skip", 0) or 0,
        every=_optional_whole(given, "every", 1) or 1,
        delay_ms=_optional_whole(given, "delay_ms", 0) or 0,
        status=_status(_optional_whole(given, "status", 200)),
        headers=_headers(given.get("headers")),
        body=given.get("body"),
        drop=_drop_kind(given.get("drop")),
        extra=_extra(given.get("extra"), extra),
    )
    if not (rule.delay_ms or rule.status or rule.drop or rule.extra):
        raise RuleError("the rule does nothing: give it delay_ms, status, drop or extra")
    if rule.status is None and (rule.headers or rule.body is not None):
        raise RuleError("'headers' and 'body' belong to a reply: give the rule a 'status' too")
    if rule.status is not None and (rule.drop or rule.extra):
        raise RuleError("a rule with 'status' answers by itself: it cannot have 'drop' or 'extra' too")
    return rule


def _refuse_unknown(given: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        may = f"may have {', '.join(known)}" if known else "has none in this service"
        raise RuleError(f"unknown key {', '.join(map(repr, unknown))}: {what} {may}")


def _optional_whole(given: Mapping[str, Any], key: str, least: int) -> int | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise RuleError(f"{key!r} must be a whole number of at least {least}, not {value!r}")
    return value


def _status(value: int | None) -> int | None:
    if value is not None and value > 599:
        raise RuleError(f"'status' must be from 200 to 599, not {value}")
    return value


def _method(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise RuleError(f"'method' must be a text such as \"POST\", not {value!r}")
    return value.upper() if value else None


def _pattern(value: Any) -> re.Pattern[str] | None:
    if value is None:
        return None
    try:
        return re.compile(value)
    except (re.error, TypeError) as fault:
        raise RuleError(f"'path' must be a regular expression, not {value!r}: {fault}") from None


def _headers(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise RuleError(f"'headers' must be an object of texts, not {value!r}")
    return value


def _drop_kind(value: Any) -> str | None:
    if value is not None and value not in DROPS:
        raise RuleError(f"'drop' must be one of {', '.join(DROPS)}, not {value!r}")
    return value if isinstance(value, str) else None


def _extra(value: Any, known: Mapping[str, type]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RuleError(f"'extra' must be an object, not {value!r}")
    _refuse_unknown(value, tuple(known), "'extra'")
    for key, item in value.items():
        if not isinstance(item, known[key]) or (isinstance(item, bool) and known[key] is not bool):
            raise RuleError(f"'extra.{key}' must be of type {known[key].__name__}, not {item!r}")
        if not isinstance(item, bool) and isinstance(item, int | float) and item < 0:
            raise RuleError(f"'extra.{key}' must not be negative: {item!r}")
    return value
