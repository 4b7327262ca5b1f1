"""Packing actions into batches for the search service."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.index.chunks import MAX_ACTIONS, MAX_BYTES, batches


def action(number: int, size: int) -> dict[str, Any]:
    return {"id": str(number), "size": size}


def size_of(made: dict[str, Any]) -> int:
    size: int = made["size"]
    return size


@given(st.lists(st.integers(0, MAX_BYTES // 2), max_size=60))
def test_batches_keep_order_and_size(sizes: list[int]) -> None:
    """Every action is in exactly one batch, in order; none is empty or over the limit, and none ends early."""
    actions = [action(number, size) for number, size in enumerate(sizes)]
    made = list(batches(actions, size_of))
    assert [one for batch in made for one in batch] == actions
    for batch in made:
        assert batch
        assert sum(map(size_of, batch)) <= MAX_BYTES
    for batch, following in pairwise(made):
        assert sum(map(size_of, [*batch, following[0]])) > MAX_BYTES


def test_batches_keep_the_number_of_actions() -> None:
    """Small actions are packed to the service's limit."""
    made = list(batches(action(number, 1) for number in range(2 * MAX_ACTIONS + 1)))
    assert [len(batch) for batch in made] == [MAX_ACTIONS, MAX_ACTIONS, 1]


def test_size_is_that_of_the_json() -> None:
    """By default an action costs what it costs on the wire, so that long vectors make small batches."""
    heavy = {"id": "x", "content_vector": [0.123456789] * 100_000}
    per_batch = MAX_BYTES // len(json.dumps(heavy))
    assert [len(batch) for batch in batches([heavy] * (per_batch + 1))] == [per_batch, 1]


def test_nothing_makes_no_batch() -> None:
    """No actions, no request."""
    assert list(batches([])) == []
