"""JSON in requests and replies: whatever comes is read or refused, and whatever was read can be written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.body import MOST_NESTED, json_bytes, json_object
from shared.chat.protocol import ChatLimits, parse_chat_request
from shared.errors import BadRequest
from shared.feedback import parse_feedback
from shared.recovery.plan import parse_cancel_request, parse_rebuild_request, parse_rollback_request
from shared.retry import parse_retry_request

PARSERS = [
    lambda body: parse_chat_request(body, ChatLimits(4_000, 50)),
    parse_feedback,
    parse_rebuild_request,
    parse_rollback_request,
    parse_cancel_request,
    parse_retry_request,
]
FRAGMENTS = [
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b":",
        b",",
        b"\\",
        b"\\ud800",
        b"\\uDC00",
        b"\xed\xa0\x80",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
    ),
    *(
        b"1e999",
        b"-1e999",
        b"NaN",
        b"Infinity",
        b"9" * 5_000,
        b"null",
        b"true",
        b"0",
        b"\0",
        b"[" * 70,
        b"\xf0\x9f\xa7\x8a",
    ),
    *(
        b'"messages"',
        b'"role"',
        b'"user"',
        b'"content"',
        b'"sessionState"',
        b'"context"',
        b'"reason"',
        b'"id"',
        b'"path"',
    ),
]
QUESTION = '{"messages": [{"role": "user", "content": "x"}], "sessionState": %s}'
bodies = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=4), max_size=30).map(b"".join)


@given(bodies | st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_any_bytes_are_read_or_refused(body: bytes, encoding: str) -> None:
    """No body raises anything but a refusal, and what is read can be written; nothing is guessed but UTF-8."""
    for parse in PARSERS:
        for given_body in (body, body.decode("latin-1").encode(encoding)):
            try:
                parse(given_body)
            except BadRequest as refused:
                json_bytes(str(refused)).decode()
    try:
        value = json_object(body, "{}")
    except BadRequest:
        return
    assert json.loads(json_bytes(value), parse_constant=pytest.fail) == value


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8: invalid continuation byte at byte 7"),
        ('{"a": "x"}'.encode("utf-16"), "not UTF-8"),
        ('{"a": "\ud800"}'.encode("utf-16", "surrogatepass"), "not UTF-8"),
        ('{"a": "x"}'.encode("utf-16-be"), "not JSON"),
        (b'{"a": "\\ud800"}', r"\\ud800 is half a character"),
        (b'{"\\uDFFF": 1}', r"\\udfff is half a character"),
        (b'{"a": 1e999}', "not JSON: 1e999 is beyond"),
        (b'{"a": -Infinity}', "not JSON: -Infinity"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b'{"a": ' + b"[" * MOST_NESTED + b"]" * MOST_NESTED + b"}", "nested too deep; at most 64"),
        (b'{"a":' * 200_000, "not JSON|nested too deep"),
    ],
)
def test_what_cannot_be_kept_is_refused(body: bytes, says: str) -> None:
    """What is no UTF-8, half a character, no finite number or nested without end is the caller's mistake, by name."""
    with pytest.raises(BadRequest, match=says):
        json_object(body, "{}")


@pytest.mark.parametrize("state", ['"\\ud83e\\uddca"', "1.5e300", "[" * 63 + "]" * 63, '"\\\\ud800"'])
def test_what_can_be_kept_is_read(state: str) -> None:
    """Whole characters written as escapes, large numbers and moderate nesting come through."""
    made = parse_chat_request((QUESTION % state).encode(), ChatLimits(100, 4))
    assert made.session_state == json.loads(state)


def test_a_byte_order_mark_is_let_pass() -> None:
    """Some programs on Windows write one before UTF-8."""
    assert json_object(b'\xef\xbb\xbf{"a": 1}', "{}") == {"a": 1}


@given(st.text(st.characters(), max_size=50) | st.dictionaries(st.text(st.characters()), st.text(st.characters())))
def test_everything_can_be_written(value: Any) -> None:
    """A reply with any text in it, halves of characters included, is UTF-8 and says the same when it is read."""
    assert json.loads(json_bytes(value).decode()) == value
