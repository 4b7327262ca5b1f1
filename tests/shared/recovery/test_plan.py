"""The plan of a rebuild: the request, the guard, the pages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadRequest, Refused
from shared.recovery.plan import REASON_CHARACTERS, RebuildRequest, guard, pages, parse_rebuild_request


def parse(value: Any) -> RebuildRequest:
    return parse_rebuild_request(json.dumps(value).encode())


@pytest.mark.parametrize("body", [b"", b"  \n", b"{}"])
def test_an_empty_body_means_the_defaults(body: bytes) -> None:
    """A bare POST is a rebuild from the primary that writes, is guarded and begins anew."""
    assert parse_rebuild_request(body) == RebuildRequest("", "primary", dry_run=False, force=False, resume=False)


def test_every_field_is_read() -> None:
    """What the operator asks for is what is planned."""
    asked = {"reason": "drill", "source": "primary", "dry_run": True, "force": True, "resume": True}
    assert parse(asked) == RebuildRequest("drill", "primary", dry_run=True, force=True, resume=True)


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


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """Broken, undecodable and endlessly nested bodies are the caller's mistake."""
    with pytest.raises(BadRequest, match="not JSON"):
        parse_rebuild_request(body)


@pytest.mark.parametrize(
    ("listed", "live"),
    [(1, 0), (500, 1_000), (1_000, 1_000), (2_000, 1_000), (1, 1)],
)
def test_a_plausible_listing_passes(listed: int, live: int) -> None:
    """A listing at or above the share passes, and so does any when nothing is live yet."""
    guard(listed, live, 0.5, force=False)


@pytest.mark.parametrize(("listed", "live"), [(0, 0), (0, 1_000), (499, 1_000), (1, 1_000)])
def test_an_implausible_listing_is_stopped_unless_forced(listed: int, live: int) -> None:
    """An empty or much shrunken listing is refused, the message says how to go on, and force goes on."""
    with pytest.raises(Refused, match='"force": true'):
        guard(listed, live, 0.5, force=False)
    guard(listed, live, 0.5, force=True)


def test_the_refusal_has_the_numbers() -> None:
    """An operator sees both counts and the setting behind the share."""
    with pytest.raises(Refused, match=r"lists 3 documents but the live index has 100.*0\.5.*REBUILD_MIN_SHARE"):
        guard(3, 100, 0.5, force=False)


@given(st.lists(st.text(max_size=5), max_size=40), st.integers(1, 10))
def test_pages_hold_every_path_once_in_order(paths: list[str], size: int) -> None:
    """Only the last page may be short, and none is empty."""
    made = list(pages(paths, size))
    assert [path for page in made for path in page] == paths
    assert all(len(page) == size for page in made[:-1])
    assert all(made)
