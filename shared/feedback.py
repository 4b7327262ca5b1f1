"""What readers think of answers: kept with question, passages and generation, so that answers can be evaluated.

A rating belongs to one answer by an id that the page makes up; rating the answer again replaces it, and null withdraws
it. Who rated is not kept. Entries lie in the region's own storage below `feedback/`, one blob an answer.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from itertools import batched
from typing import Any

from shared.body import json_bytes, json_object, no_unknown, shown
from shared.clients import Services
from shared.errors import BadRequest, TooLarge
from shared.identity import caller
from shared.limits import Limiter, Limits, caller_key
from shared.state import RegionalState

PREFIX = "feedback/"
RATINGS = ("up", "down")
BODY_BYTES = 262_144  # a long answer with the passages of a whole context fits several times
COMMENT_CHARACTERS = 2_000
TEXT_CHARACTERS = 40_000
NAME_CHARACTERS = 2_000  # the longest path that blob storage takes has 1,024
MOST_PASSAGES = 50
READ_AT_ONCE = 16
EXAMPLE = '{"id": "4f9d2c...", "rating": "up", "question": "...", "answer": "...", "passages": []}'

_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True, slots=True)
class RatedPassage:
    """A passage that an answer was made from, as the reader saw it. `n` is its number in the answer."""

    n: int
    path: str
    version_id: str
    document_id: str = ""
    heading: str = ""
    page: int | None = None
    passage: str = ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """A reader's rating of one answer. `rating` is up, down, or None to withdraw it."""

    id: str
    rating: str | None
    question: str
    answer: str
    query: str
    comment: str
    generation: str
    model: str
    passages: tuple[RatedPassage, ...]


FIELDS = frozenset(field.name for field in fields(Feedback))
PASSAGE_FIELDS = frozenset(field.name for field in fields(RatedPassage))


def parse_feedback(body: bytes) -> Feedback:
    """Return the feedback in `body`. Raises BadRequest or TooLarge, naming the value and the way out."""
    if len(body) > BODY_BYTES:
        raise TooLarge(f"the feedback has {len(body)} bytes; at most {BODY_BYTES} are accepted")
    value = json_object(body, EXAMPLE)
    no_unknown(value, FIELDS, "the feedback")
    given = value.get("id")
    if not isinstance(given, str) or not _ID.fullmatch(given):
        raise BadRequest(f"id must have 16 to 64 letters, digits, '-' or '_', not {shown(given)}")
    if "rating" not in value or value["rating"] not in (*RATINGS, None):
        raise BadRequest(f"rating must be up, down, or null to withdraw it, not {shown(value.get('rating'))}")
    return Feedback(
        id=given,
        rating=value["rating"],
        question=_text(value, "question", TEXT_CHARACTERS),
        answer=_text(value, "answer", TEXT_CHARACTERS),
        query=_text(value, "query", TEXT_CHARACTERS),
        comment=_text(value, "comment", COMMENT_CHARACTERS),
        generation=_text(value, "generation", NAME_CHARACTERS),
        model=_text(value, "model", NAME_CHARACTERS),
        passages=_passages(value.get("passages", [])),
    )


def _passages(value: Any) -> tuple[RatedPassage, ...]:
    if not isinstance(value, list):
        raise BadRequest(f"passages must be a list, not {shown(value)}")
    if len(value) > MOST_PASSAGES:
        raise TooLarge(f"{len(value)} passages; at most {MOST_PASSAGES} are accepted")
    return tuple(_passage(item, f"passages[{position}]") for position, item in enumerate(value))


def _passage(item: Any, where: str) -> RatedPassage:
    if not isinstance(item, dict):
        raise BadRequest(f"{where} must be an object, not {shown(item)}")
    no_unknown(item, PASSAGE_FIELDS, where)
    return RatedPassage(
        n=_count(item.get("n"), f"{where}.n"),
        path=_text(item, "path", NAME_CHARACTERS, where),
        version_id=_text(item, "version_id", NAME_CHARACTERS, where),
        document_id=_text(item, "document_id", NAME_CHARACTERS, where),
        heading=_text(item, "heading", NAME_CHARACTERS, where),
        page=None if item.get("page") is None else _count(item["page"], f"{where}.page"),
        passage=_text(item, "passage", TEXT_CHARACTERS, where),
    )


def _count(value: Any, where: str) -> int:
    if isinstance(value, float) and value.is_integer():  # JSON tells no 2.0 from 2
        return _count(int(value), where)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadRequest(f"{where} must be a number from 1, not {shown(value)}")
    return value


def _text(value: dict[str, Any], name: str, most: int, where: str = "") -> str:
    text = value.get(name, "")
    full = f"{where}.{name}" if where else name
    if not isinstance(text, str):
        raise BadRequest(f"{full} must be a text, not {shown(text)}")
    if len(text) > most:
        raise TooLarge(f"{full} has {len(text)} characters; at most {most} are accepted")
    return text


class FeedbackBook:
    """The ratings kept in one region."""

    def __init__(self, state: RegionalState, region: str) -> None:
        self._state = state
        self._region = region

    async def note(self, feedback: Feedback) -> dict[str, Any]:
        """Keep a rating in place of the answer's former one, or forget that; returns what holds now."""
        name = f"{PREFIX}{feedback.id}.json"
        if feedback.rating is None:
            await self._state.remove(name)
        else:
            at = datetime.now(UTC).isoformat(timespec="seconds")
            await self._state.write(name, {**asdict(feedback), "region": self._region, "at": at})
        return {"id": feedback.id, "rating": feedback.rating}

    async def entries(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every entry: the fields of Feedback, and the region and the ISO time (UTC) it was kept at."""
        for names in batched(await self._state.names(PREFIX), READ_AT_ONCE, strict=False):
            for entry in await asyncio.gather(*(self._state.read(name) for name in names)):
                if isinstance(entry, dict):  # withdrawn while the list was read
                    yield entry


class FeedbackService:
    """Feedback as it is served: a caller may rate as often a minute as ask. Belongs to one event loop."""

    def __init__(self, services: Services) -> None:
        settings = services.settings
        self._book = FeedbackBook(services.state, settings.region)
        self._trusted = settings.auth_enabled
        self._limiter = Limiter(Limits(settings.chat_requests_per_minute, 0, settings.chat_concurrency))

    async def take(self, body: bytes, headers: Mapping[str, str], peer: str) -> dict[str, Any]:
        """Keep the rating in a request; returns what holds now. Raises what is wrong with it, or TooManyRequests."""
        feedback = parse_feedback(body)
        who = caller(headers, self._trusted)
        with self._limiter.admit(caller_key(who, headers, peer)):
            return await self._book.note(feedback)

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield every entry as a line of JSON."""
        async for entry in self._book.entries():
            yield json_bytes(entry) + b"\n"
