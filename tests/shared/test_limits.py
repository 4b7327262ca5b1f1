"""How much one caller may ask: what is refused, for how long, and that nobody pays for anybody else."""

import pytest

from shared.errors import Throttled, TooManyRequests
from shared.identity import Caller
from shared.limits import BUSY_RETRY_AFTER, MOST_CALLERS, Limiter, Limits, caller_key


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limiter(clock: Clock, requests: int = 0, tokens: int = 0, concurrency: int = 8) -> Limiter:
    return Limiter(Limits(requests, tokens, concurrency), clock)


def ask(limits: Limiter, caller: str = "name Ann", tokens: int = 0) -> None:
    with limits.admit(caller) as charge:
        charge(tokens)


def test_a_caller_over_the_rate_is_told_how_long_to_wait() -> None:
    """After a minute's questions the next one waits for its share of a minute, and is let in then."""
    clock = Clock()
    limits = limiter(clock, requests=3)
    for _ in range(3):
        ask(limits)
    with pytest.raises(TooManyRequests, match="more than 3 questions a minute") as refused:
        ask(limits)
    assert refused.value.status == 429
    assert refused.value.retry_after == pytest.approx(20)
    clock.now += 20.01
    ask(limits)
    with pytest.raises(TooManyRequests):
        ask(limits)


def test_requests_that_are_answered_at_once_are_counted_alone() -> None:
    """They take no place among the answers under way, and the refusal names what was asked for."""
    clock = Clock()
    limits = Limiter(Limits(2, 0, 1), clock, asks="requests for documents")
    limits.count("name Ann")
    limits.count("name Ann")
    assert limits.under_way == 0
    with pytest.raises(TooManyRequests, match="more than 2 requests for documents a minute") as refused:
        limits.count("name Ann")
    assert refused.value.retry_after == pytest.approx(30)
    limits.count("name Bob")
    clock.now += 30.01
    limits.count("name Ann")


def test_refused_questions_cost_nothing() -> None:
    """Whoever keeps asking meanwhile is not made to wait longer."""
    clock = Clock()
    limits = limiter(clock, requests=1)
    ask(limits)
    for _ in range(50):
        with pytest.raises(TooManyRequests) as refused:
            ask(limits)
    assert refused.value.retry_after == pytest.approx(60)


def test_callers_have_books_of_their_own() -> None:
    """One caller's questions are not counted against another."""
    limits = limiter(Clock(), requests=1)
    ask(limits, "name Ann")
    ask(limits, "address 10.0.0.1")
    with pytest.raises(TooManyRequests):
        ask(limits, "name Ann")


def test_tokens_are_owed_and_waited_for() -> None:
    """What an answer took above the rate is waited for by the caller's next question."""
    clock = Clock()
    limits = limiter(clock, tokens=600)
    ask(limits, tokens=900)
    with pytest.raises(TooManyRequests, match="600 tokens a minute") as refused:
        ask(limits)
    assert refused.value.retry_after == pytest.approx(30, abs=1)
    clock.now += 31
    ask(limits)


def test_no_limit_is_no_limit() -> None:
    """0 lets every question in."""
    limits = limiter(Clock())
    for _ in range(1000):
        ask(limits, tokens=10**6)


def test_a_process_takes_so_many_answers_at_once() -> None:
    """One more is told to come back; when an answer ends, also by a failure, its place is free."""
    limits = limiter(Clock(), concurrency=1)
    with limits.admit("name Ann"), pytest.raises(Throttled, match="1 answers are under way"):
        ask(limits, "name Bob")
    with pytest.raises(ZeroDivisionError), limits.admit("name Ann"):
        _ = 1 / 0
    ask(limits)
    assert limits.under_way == 0


def test_one_caller_leaves_places_for_others() -> None:
    """A caller who has half of the places gets no further one, and is told so; others do. A place that is given back
    can be taken again.
    """
    limits = limiter(Clock(), concurrency=4)
    with limits.admit("caller Ann"), limits.admit("caller Ann"):
        with pytest.raises(TooManyRequests, match="2 of your questions") as refused, limits.admit("caller Ann"):
            pass
        assert refused.value.retry_after == BUSY_RETRY_AFTER
        with limits.admit("caller Bob"), limits.admit("caller Eve"):
            assert limits.under_way == 4
            with pytest.raises(Throttled):
                ask(limits, "caller Bob")
    with limits.admit("caller Ann"), limits.admit("caller Ann"):
        assert limits.under_way == 2


def test_books_are_bounded() -> None:
    """Callers that have not asked for the longest are forgotten first."""
    limits = limiter(Clock(), requests=1)
    for number in range(MOST_CALLERS + 1):
        ask(limits, f"address {number}")
    ask(limits, "address 0")
    with pytest.raises(TooManyRequests):
        ask(limits, f"address {MOST_CALLERS}")


@pytest.mark.parametrize(
    ("id_", "forwarded", "peer", "key"),
    [
        ("ann-1", "1.2.3.4", "::1", "caller ann-1"),
        ("", "9.9.9.9, 1.2.3.4:5678", "::1", "address 1.2.3.4"),
        ("", "[2001:db8::1]:5678", "::1", "address 2001:db8::1"),
        ("", "2001:db8::1", "::1", "address 2001:db8::1"),
        ("", "", "127.0.0.1", "address 127.0.0.1"),
        ("", "", "", "address "),
    ],
)
def test_whose_books(id_: str, forwarded: str, peer: str, key: str) -> None:
    """A verified caller has an id; anybody else the address that the front end saw, not one that the caller claims."""
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    assert caller_key(Caller("Ann", id=id_), headers, peer) == key
