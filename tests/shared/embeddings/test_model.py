"""Packing texts into embedding calls."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.embeddings.model import MAX_INPUTS, MAX_REQUEST_TOKENS, batches


@given(st.lists(st.integers(0, 150_000), max_size=60), st.integers(1, 10))
def test_batches_keep_order_and_limits(costs: list[int], most: int) -> None:
    """Every text is in exactly one call, in order; no call is over either limit; no call is empty."""
    texts = [f"{position}:{cost}" for position, cost in enumerate(costs)]
    made = list(batches(texts, cost_of, most))
    assert [text for batch in made for text in batch] == texts
    for batch in made:
        assert 1 <= len(batch) <= most
        assert sum(map(cost_of, batch)) <= MAX_REQUEST_TOKENS


@given(st.lists(st.integers(0, 150_000), max_size=60), st.integers(1, 10))
def test_calls_are_as_full_as_order_allows(costs: list[int], most: int) -> None:
    """A call ends only where the next text would have broken a limit: no call more than needed is paid for."""
    made = list(batches([f"{position}:{cost}" for position, cost in enumerate(costs)], cost_of, most))
    for batch, following in pairwise(made):
        assert len(batch) == most or sum(map(cost_of, [*batch, following[0]])) > MAX_REQUEST_TOKENS


def cost_of(text: str) -> int:
    return int(text.split(":")[1])


def test_the_services_own_limit_holds() -> None:
    """A setting above what the service takes in one request does not break the request."""
    made = list(batches(["x"] * (MAX_INPUTS + 1), lambda text: 1, 10_000))
    assert [len(batch) for batch in made] == [MAX_INPUTS, 1]


@pytest.mark.parametrize("texts", [[], ()])
def test_nothing_needs_no_call(texts: list[str]) -> None:
    """No texts, no calls."""
    assert list(batches(texts, len, 4)) == []
