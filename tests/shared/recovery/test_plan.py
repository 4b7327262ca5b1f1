"""The plan of a rebuild: the request, the guards, the estimate."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadRequest, Refused
from shared.recovery.plan import (
    BYTES_PER_CHUNK,
    REASON_CHARACTERS,
    Estimator,
    RebuildPlan,
    RebuildRequest,
    guard,
    guard_failures,
    parse_cancel_request,
    parse_rebuild_request,
    parse_rollback_request,
    plan_from,
)
from tests.shared.recovery.entries import entry


def parse(value: Any) -> RebuildRequest:
    return parse_rebuild_request(json.dumps(value).encode())


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}"])
def test_an_empty_body_means_the_defaults(body: bytes) -> None:
    """A bare POST is a rebuild from the primary that writes, is guarded and begins anew."""
    assert parse_rebuild_request(body) == RebuildRequest("", "primary", dry_run=False, force=False, resume=False)


def test_every_field_is_read() -> None:
    """What the operator asks for is what is planned."""
    asked = {"reason": "drill", "source": "secondary", "dry_run": True, "force": True, "resume": True}
    assert parse(asked) == RebuildRequest("drill", "secondary", dry_run=True, force=True, resume=True)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "must be an object"),
        ("now", "must be an object"),
        ({"froce": True}, r"unknown fields \['froce'\]; known are"),
        ({"reason": 7}, "reason must be a text"),
        ({"reason": "x" * (REASON_CHARACTERS + 1)}, f"at most {REASON_CHARACTERS} characters"),
        ({"source": "tertiary"}, "'tertiary' cannot be read"),
        ({"source": ["primary"]}, "cannot be read"),
        ({"dry_run": "yes"}, "dry_run must be true or false, not 'yes'"),
        ({"force": 1}, "force must be true or false, not 1"),
        ({"resume": None}, "resume must be true or false, not None"),
    ],
)
def test_a_wrong_request_names_the_value(value: Any, says: str) -> None:
    """A misspelt or mistyped field never turns into a rebuild that was not asked for."""
    with pytest.raises(BadRequest, match=says):
        parse(value)


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"{", "not JSON"), (b"\x0b", "not JSON"), (b"\xff", "not UTF-8"), (b"[" * 100_000, "nested too deep")],
)
def test_what_is_no_json_is_refused(body: bytes, says: str) -> None:
    """Broken, undecodable and endlessly nested bodies are the caller's mistake."""
    with pytest.raises(BadRequest, match=says):
        parse_rebuild_request(body)


@pytest.mark.parametrize(
    ("listed", "live", "stored"),
    [(1, 0, 0), (500, 1_000, 0), (1_000, 1_000, 0), (2_000, 1_000, 0), (1, 1, 1), (1, None, 0), (500, None, 1_000)],
)
def test_a_plausible_listing_passes(listed: int, live: int | None, stored: int) -> None:
    """A listing at or above the share passes, and so does any when nothing is live nor stored yet."""
    guard(listed, live, stored, 0.5, force=False)
    guard(1_000, 1_000, 10_000, 0.5, force=False)  # a live index knows better than the store


@pytest.mark.parametrize(
    ("listed", "live", "stored"),
    [(0, 0, 0), (0, None, 0), (0, 1_000, 0), (499, 1_000, 0), (1, 1_000, 1), (499, None, 1_000), (0, None, 1_000)],
)
def test_an_implausible_listing_is_stopped_unless_forced(listed: int, live: int | None, stored: int) -> None:
    """An empty or much shrunken listing is refused, the message says how to go on, and force goes on."""
    with pytest.raises(Refused, match='"force": true'):
        guard(listed, live, stored, 0.5, force=False)
    guard(listed, live, stored, 0.5, force=True)


def test_the_refusal_has_the_numbers() -> None:
    """An operator sees both counts and the setting behind the share."""
    with pytest.raises(Refused, match=r"lists 3 documents but the live index has 100.*0\.5.*REBUILD_MIN_SHARE"):
        guard(3, 100, 0, 0.5, force=False)
    with pytest.raises(Refused, match=r"lists 3 documents but the embedding store has 100"):
        guard(3, None, 100, 0.5, force=False)


@pytest.mark.parametrize(("failed", "stops"), [(0, False), (10, False), (11, True), (1_000, True)])
def test_too_many_failures_stop_a_rebuild(failed: int, stops: bool) -> None:
    """Up to the share is a warning, beyond it a person decides; force is that person's decision."""
    said = guard_failures(failed, 1_000, 0.01, force=False)
    assert bool(said) is stops
    if stops:
        assert f"{failed} of 1000 documents" in said
    assert guard_failures(failed, 1_000, 0.01, force=True) == ""


def test_stored_documents_are_counted_exactly() -> None:
    """What the embedding store holds costs no tokens, and its chunks are known."""
    estimator = Estimator(tokens_per_chunk=100)
    for chunks in (3, 4):
        estimator.add(entry(f"{chunks}.md", size=chunks * 500, chunks=chunks))
    found = estimator.estimate(0, 0.0, None)
    assert (found.chunks, found.stored_documents, found.stored_chunks, found.tokens_to_embed) == (7, 2, 7, 0)
    assert (estimator.documents, estimator.bytes) == (2, 3_500)
    assert (found.embedding_minutes, found.embedding_cost, found.indexing_minutes) == (None, None, None)


def test_unknown_documents_are_estimated_from_those_of_their_kind() -> None:
    """Sizes are turned into chunks by the ratio of stored documents with the same extension, or by a default."""
    estimator = Estimator(tokens_per_chunk=100)
    estimator.add(entry("known.pdf", size=10_000, chunks=5))
    estimator.add(entry("new.pdf", size=40_000))
    estimator.add(entry("new.md", size=round(BYTES_PER_CHUNK * 10)))
    found = estimator.estimate(tokens_per_minute=1_500, price_per_million_tokens=2.0, chunks_per_second=0.5)
    assert found.chunks == 5 + 20 + 10
    assert found.tokens_to_embed == 30 * 100
    assert (found.embedding_minutes, found.embedding_cost) == (2.0, 0.006)
    assert found.indexing_minutes == round(35 / 0.5 / 60, 2)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.none() | st.integers(1, 500)), max_size=40))
def test_every_document_is_estimated_at_a_chunk_at_least(documents: list[tuple[int, int | None]]) -> None:
    """No document is planned as nothing, whatever its size."""
    estimator = Estimator(tokens_per_chunk=150)
    for n, (size, chunks) in enumerate(documents):
        estimator.add(entry(f"{n}.md", size=size, chunks=chunks))
    assert estimator.estimate(0, 0.0, None).chunks >= len(documents)


def test_plan_survives_json() -> None:
    """A plan travels through the orchestration's history unchanged."""
    estimator = Estimator(150)
    estimator.add(entry("a.md", size=10))
    estimate = estimator.estimate(1, 1.0, 1.0)
    plan = RebuildPlan("1", "documents-1", None, "secondary", False, 1, 1, 10, estimate, "2026-01-01T00:00:00+00:00")
    assert plan_from(json.loads(json.dumps(asdict(plan)))) == plan


def test_rollback_and_cancel_name_what_is_wrong() -> None:
    """Both take a reason; a rollback may name its generation."""
    assert parse_rollback_request(b"").generation is None
    assert parse_rollback_request(b'{"generation": "g", "reason": "bad answers"}').reason == "bad answers"
    assert parse_cancel_request(b'{"reason": "mistake"}') == "mistake"
    with pytest.raises(BadRequest, match="not 7"):
        parse_rollback_request(b'{"generation": 7}')
    with pytest.raises(BadRequest, match="unknown fields"):
        parse_cancel_request(b'{"id": "1"}')
