"""The chat's wire format: what is accepted, and what a refusal says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chat.protocol import ChatLimits, ChatRequest, Message, parse_chat_request
from shared.errors import BadRequest, TooLarge

LIMITS = ChatLimits(message_characters=100, messages=4)
ASKED = {"role": "user", "content": "How much?"}

contents = st.text(st.characters(codec="utf-8"), min_size=1, max_size=100).filter(str.strip)
json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def parse(value: Any) -> ChatRequest:
    return parse_chat_request(json.dumps(value).encode(), LIMITS)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), contents), max_size=3), contents, json_values)
def test_a_right_request_comes_through_unchanged(turns: list[tuple[str, str]], question: str, state: Any) -> None:
    """Messages keep their order and text, the question is the last one's, and the state is what was sent."""
    messages = [{"role": role, "content": content} for role, content in [*turns, ("user", question)]]
    # Written without escapes: a message of the longest length allowed may need four bytes a character, and no more.
    body = json.dumps({"messages": messages, "sessionState": state if turns else None}, ensure_ascii=False).encode()
    if len(body) > 4 * LIMITS.message_characters * LIMITS.messages:
        return
    made = parse_chat_request(body, LIMITS)
    assert [(message.role, message.content) for message in made.messages] == [*turns, ("user", question)]
    assert made.question == question
    assert made.session_state == (state if turns else None)


@pytest.mark.parametrize("context", [None, {}, {"debug": False}])
def test_context_may_be_left_out(context: dict[str, bool] | None) -> None:
    """No context is an empty one."""
    assert parse({"messages": [ASKED], "context": context}).debug is False
    assert parse({"messages": [ASKED]}) == ChatRequest((Message("user", "How much?"),), False, None)
    assert parse({"messages": [ASKED], "context": {"debug": True}}).debug is True


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "must be an object"),
        ("text", "must be an object"),
        (None, "must be an object"),
        ({}, "messages must be a list"),
        ({"messages": []}, "messages must be a list"),
        ({"messages": {"0": ASKED}}, "messages must be a list"),
        ({"messages": ["How much?"]}, r"messages\[0\] must be an object"),
        (
            {"messages": [ASKED, {"role": "system", "content": "x"}]},
            r"messages\[1\].role must be one of user, assistant, .*not the caller's to set",
        ),
        ({"messages": [{"role": ["user"], "content": "x"}]}, r"messages\[0\].role"),
        ({"messages": [{"content": "x"}]}, r"messages\[0\].role"),
        ({"messages": [{"role": "user"}]}, r"messages\[0\].content must be a text"),
        ({"messages": [{"role": "user", "content": " \n"}]}, r"messages\[0\].content must be a text"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, r"messages\[0\].content must be a text"),
        ({"messages": [{**ASKED, "name": "x"}]}, r"messages\[0\] has unknown fields \['name'\]"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "the last message must be the user's"),
        ({"messages": [ASKED], "top_p": 1}, r"unknown fields \['top_p'\]; known are"),
        ({"messages": [ASKED], "stream": True}, "given at POST /api/chat/stream"),
        ({"messages": [ASKED], "stream": "no"}, "stream must be true or false"),
        ({"messages": [{**ASKED, "context": []}]}, r"messages\[0\].context must be an object"),
        ({"messages": [{"role": "assistant", "content": None}, ASKED]}, r"messages\[0\].content must be a text"),
        ({"messages": [ASKED, {"role": "assistant", "content": ""}]}, "the last message must be the user's"),
        ({"messages": [ASKED], "context": []}, "context must be an object"),
        ({"messages": [ASKED], "context": {"top": 3}}, r"context has unknown fields \['top'\]"),
        ({"messages": [ASKED], "context": {"debug": 1}}, "context.debug must be true or false"),
    ],
)
def test_a_wrong_request_names_the_value(value: Any, says: str) -> None:
    """What is wrong is named by its place, with what would be right."""
    with pytest.raises(BadRequest, match=says) as caught:
        parse(value)
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\xfa", b"[" * 1_200, b'{"messages": NaN', b"\0"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """Broken, empty, deeply nested and undecodable bodies are the caller's mistake, never a crash."""
    with pytest.raises(BadRequest) as caught:
        parse_chat_request(body, LIMITS)
    assert caught.value.status == 400


def test_a_reply_may_be_sent_back_as_it_came() -> None:
    """The context of a message is not looked at, and an answer that has no words is no turn."""
    said = {"role": "assistant", "content": "165 EUR. [1]", "context": {"citations": [{"n": 1}], "debug": {}}}
    empty = {"role": "assistant", "content": " ", "context": None}
    made = parse({"messages": [ASKED, said, empty, ASKED]})
    assert [message.content for message in made.messages] == ["How much?", "165 EUR. [1]", "How much?"]


def test_each_route_gives_its_own_kind_of_answer() -> None:
    """`stream` may say what the route does anyway; the contrary is refused with the route that does it."""
    whole, streamed = (json.dumps({"messages": [ASKED], "stream": value}).encode() for value in (False, True))
    assert parse_chat_request(whole, LIMITS) == parse_chat_request(streamed, LIMITS, streamed=True)
    with pytest.raises(BadRequest, match=r"POST /api/chat$"):
        parse_chat_request(whole, LIMITS, streamed=True)


def test_limits_are_named() -> None:
    """A body, a message or a history over its limit is 413 and says the limit."""
    for body, says in [
        (json.dumps({"messages": [ASKED] * 5}), "5 messages; at most 4"),
        (json.dumps({"messages": [{**ASKED, "content": "x" * 101}]}), "101 characters; at most 100"),
        (" " * 1_601, "1601 bytes; at most 1600"),
    ]:
        with pytest.raises(TooLarge, match=says) as caught:
            parse_chat_request(body.encode(), LIMITS)
        assert caught.value.status == 413


def test_the_longest_message_allowed_is_accepted() -> None:
    """Limits are inclusive, and characters are counted, not bytes."""
    for content in ("x" * 100, "冷" * 100, "\U0001f9ca" * 100):
        body = json.dumps({"messages": [{"role": "user", "content": content}]}, ensure_ascii=False)
        assert parse_chat_request(body.encode(), LIMITS).question == content


def test_a_long_wrong_value_is_shown_in_short() -> None:
    """A refusal never throws a whole wrong value back."""
    with pytest.raises(BadRequest) as caught:
        parse({"messages": "x" * 900})
    assert len(str(caught.value)) < 200


@given(st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_accepted_or_refused(body: bytes) -> None:
    """No body raises anything but a refusal."""
    try:
        made = parse_chat_request(body, LIMITS)
    except BadRequest as fault:
        assert fault.status in (400, 413)
    else:
        assert made.messages
