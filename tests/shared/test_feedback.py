"""Feedback on answers: parsed strictly, kept in the region's own storage, replaced and withdrawn by its id."""

import asyncio
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadRequest, TooLarge, TooManyRequests
from shared.feedback import BODY_BYTES, MOST_PASSAGES, FeedbackBook, FeedbackService, parse_feedback
from shared.settings import Settings
from tests.conftest import running

ID = "0123456789abcdef0123456789abcdef"
PASSAGE: dict[str, Any] = {
    "n": 1,
    "path": "a.md",
    "version_id": "v-1",
    "heading": "Hotels",
    "page": 2,
    "passage": "165",
}
GIVEN: dict[str, Any] = {
    "id": ID,
    "rating": "down",
    "question": "How much?",
    "answer": "165 EUR. [1]",
    "comment": "no",
    "generation": "documents-1",
    "passages": [PASSAGE],
}


def body(**changes: Any) -> bytes:
    """Return the body of a rating with some fields changed."""
    return json.dumps(GIVEN | changes).encode()


def test_parses_a_rating() -> None:
    """Every field is taken; what is left out is empty."""
    feedback = parse_feedback(body())
    assert (feedback.id, feedback.rating, feedback.comment, feedback.model) == (ID, "down", "no", "")
    (passage,) = feedback.passages
    assert (passage.n, passage.path, passage.version_id, passage.page, passage.passage) == (1, "a.md", "v-1", 2, "165")
    assert parse_feedback(json.dumps({"id": ID, "rating": None}).encode()).rating is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "short"}, "16 to 64"),
        ({"id": "../../" + ID}, "16 to 64"),
        ({"id": None}, "not null"),
        ({"rating": "sideways"}, "up, down, or null"),
        ({"rating": ["up"]}, "up, down, or null"),
        ({"question": 7}, "question must be a text, not 7"),
        ({"question": "\ud800"}, "half a character"),
        ({"stars": 5}, r"unknown fields \['stars'\]"),
        ({"passages": {}}, "passages must be a list"),
        ({"passages": ["a"]}, r"passages\[0\] must be an object"),
        ({"passages": [PASSAGE, PASSAGE | {"n": 0}]}, r"passages\[1\].n must be a number from 1, not 0"),
        ({"passages": [PASSAGE | {"n": True}]}, r"passages\[0\].n"),
        ({"passages": [PASSAGE | {"n": 1.5}]}, r"passages\[0\].n must be a number from 1, not 1.5"),
        ({"passages": [PASSAGE | {"page": "two"}]}, r"passages\[0\].page"),
        ({"passages": [PASSAGE | {"url": "x"}]}, r"passages\[0\] has unknown fields \['url'\]"),
        ({"passages": [PASSAGE | {"path": None}]}, r"passages\[0\].path must be a text"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], message: str) -> None:
    """A wrong field is refused, and the message names it."""
    with pytest.raises(BadRequest, match=message):
        parse_feedback(body(**changes))


def test_a_rating_must_be_there() -> None:
    """A body without a rating does not withdraw one by accident."""
    with pytest.raises(BadRequest, match="rating must be"):
        parse_feedback(json.dumps({"id": ID}).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"comment": "x" * 2_001},
        {"answer": "x" * 40_001},
        {"passages": [PASSAGE] * (MOST_PASSAGES + 1)},
        {"passages": [PASSAGE | {"passage": "x" * (BODY_BYTES // 10)}] * 11},
    ],
)
def test_what_is_too_large_is_refused(changes: dict[str, Any]) -> None:
    """Texts, lists and the whole body have limits."""
    with pytest.raises(TooLarge, match="at most"):
        parse_feedback(body(**changes))


@given(st.binary(max_size=300) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(repr))
def test_any_body_is_parsed_or_refused(given_body: bytes | str) -> None:
    """Nothing but BadRequest comes of whatever is sent."""
    with pytest.raises(BadRequest):
        parse_feedback(given_body if isinstance(given_body, bytes) else given_body.encode(errors="replace"))


def test_ratings_are_kept_replaced_and_withdrawn(settings: Settings) -> None:
    """One entry an answer: the last rating holds, null takes it back, and entries carry region and time."""

    async def scenario() -> None:
        async with running(settings) as made:
            book = FeedbackBook(made.state, "north")
            assert [entry async for entry in book.entries()] == []
            await book.note(parse_feedback(body(rating="up")))
            assert await book.note(parse_feedback(body())) == {"id": ID, "rating": "down"}
            await book.note(parse_feedback(body(id="f" * 32, passages=[])))
            first, second = [entry async for entry in book.entries()]
            assert (first["id"], first["rating"], first["region"]) == (ID, "down", "north")
            assert first["passages"][0]["passage"] == "165"
            assert first["at"].endswith("+00:00")
            assert second["passages"] == []
            await book.note(parse_feedback(body(rating=None)))
            await book.note(parse_feedback(body(rating=None)))
            assert [entry["id"] async for entry in book.entries()] == ["f" * 32]

    asyncio.run(scenario())


def test_callers_rate_as_often_as_they_may_ask(settings: Settings) -> None:
    """Over the limit a caller is told when to come back, and nothing is kept; another caller is not held up."""

    async def scenario() -> None:
        async with running(dataclasses.replace(settings, chat_requests_per_minute=1)) as made:
            served = FeedbackService(made)
            await served.take(body(), {}, "10.0.0.1")
            with pytest.raises(TooManyRequests) as caught:
                await served.take(body(id="e" * 32), {}, "10.0.0.1")
            assert caught.value.retry_after > 0
            await served.take(body(id="f" * 32), {}, "10.0.0.2")
            lines = [json.loads(line) async for line in served.lines()]
            assert [line["id"] for line in lines] == [ID, "f" * 32]

    asyncio.run(scenario())
