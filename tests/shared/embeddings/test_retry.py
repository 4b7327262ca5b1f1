"""When an embedding call is made again."""

import httpx2
import openai
import pytest

from shared.embeddings.retry import ATTEMPTS, FIRST_WAIT, JITTER, LONGEST_STATED, LONGEST_WAIT, wait_before


def refusal(status: int, headers: dict[str, str] | None = None, code: str = "") -> openai.APIStatusError:
    """Return the SDK's error for a status."""
    reply = httpx2.Response(status, headers=headers, request=httpx2.Request("POST", "http://model/embeddings"))
    return openai.APIStatusError("refused", response=reply, body={"code": code})


def test_a_stated_wait_is_never_cut_short() -> None:
    """The wait is at least what was stated, for everybody, and the call's own has jitter on top."""
    assert wait_before(1, refusal(429, {"retry-after": "8"}), lambda: 1.0) == (8.0, 8.0 * (1 + JITTER))


def test_waits_double_up_to_the_longest() -> None:
    """Where nothing is stated, waits double, others are not held up, and they end after the last attempt."""
    waits = [wait_before(attempt, refusal(500), lambda: 0.0) for attempt in range(1, ATTEMPTS + 1)]
    expected = [(0.0, min(LONGEST_WAIT, FIRST_WAIT * 2**step)) for step in range(ATTEMPTS - 1)]
    assert waits == [*expected, None]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_waiting_does_not_cure(status: int) -> None:
    """A refusal for good is raised at once."""
    assert wait_before(1, refusal(status)) is None


def test_a_spent_account_and_a_very_long_wait_are_raised() -> None:
    """A 429 for want of money, or for longer than a call should be held, is left to the caller."""
    assert wait_before(1, refusal(429, code="insufficient_quota")) is None
    assert wait_before(1, refusal(429, {"retry-after": str(LONGEST_STATED + 1)})) is None
