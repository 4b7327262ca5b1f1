"""Exact vector search: against the formulas in plain Python."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.search_service import vectors
from local.search_service.fields import Vector
from local.search_service.vectors import Mask, VectorField

METRICS = ["cosine", "dotProduct", "euclidean"]
DIMENSIONS = 3
NUMBERS = st.integers(-4, 4).map(float)
VECTORS = st.lists(NUMBERS, min_size=DIMENSIONS, max_size=DIMENSIONS)


def score(metric: str, one: Sequence[float], other: Sequence[float]) -> float:
    """The service's score of two vectors; a vector of length 0 has a cosine of 0 with any other."""
    product = sum(a * b for a, b in zip(one, other, strict=True))
    if metric == "dotProduct":
        return product
    if metric == "euclidean":
        return 1 / (1 + math.dist(one, other))
    lengths = math.hypot(*one) * math.hypot(*other)
    return 1 / (2 - (product / lengths if lengths else 0.0))


def array(values: Sequence[float]) -> Vector:
    return np.array(values, dtype=np.float32)


def filled(metric: str, values: Sequence[Sequence[float] | None]) -> VectorField:
    """A field with these vectors at rows 0, 1, 2, ..."""
    field = VectorField(DIMENSIONS, metric)
    field.put(range(len(values)), [None if value is None else array(value) for value in values])
    return field


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dense", [0.0, 0.5, 2.0])
@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | VECTORS, min_size=1, max_size=30), VECTORS, st.integers(1, 8), st.integers(0, 9))
def test_nearest_are_those_of_the_formula(
    metric: str, dense: float, values: list[list[float] | None], query: list[float], k: int, seed: int
) -> None:
    """The k best of the allowed rows are found with their scores, whether few or many rows are allowed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "_DENSE", dense)
        allowed = np.random.default_rng(seed).random(len(values)) < 0.6
        field = filled(metric, values)
        for mask in (None, allowed):
            rows = [row for row, value in enumerate(values) if value is not None and (mask is None or mask[row])]
            expected = {row: score(metric, values[row] or [], query) for row in rows}
            found = field.nearest(query, k, mask)
            best = sorted(expected.values(), reverse=True)[:k]
            assert [value for value, _ in found] == pytest.approx(best, rel=1e-5, abs=1e-6)
            assert all(value == pytest.approx(expected[row], rel=1e-5, abs=1e-6) for value, row in found)
            assert len({row for _, row in found}) == len(found)


def test_equal_scores_come_in_the_order_of_rows() -> None:
    """Rows with the same vector are ranked by row, so that a search answers the same every time."""
    field = filled("cosine", [[0, 1, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]])
    assert [row for _, row in field.nearest([1, 0, 0], 4, None)] == [1, 2, 3, 0]


def test_a_removed_or_replaced_vector_is_not_found_again() -> None:
    """A row answers with the vector that it was given last, and not at all after it was taken away."""
    field = filled("dotProduct", [[1, 0, 0], [0, 1, 0]])
    field.put([0, 1], [None, array([5, 0, 0])])
    assert field.nearest([1, 0, 0], 5, None) == [(5.0, 1)]
    field.put([1], [None])
    assert field.nearest([1, 0, 0], 5, None) == []


def test_it_grows_without_losing_a_row() -> None:
    """Rows far beyond the first block are kept, and those in between that never had a vector are not found."""
    field = filled("euclidean", [[1, 1, 1]])
    far = 5 * vectors._FIRST_ROWS
    field.put([far], [array([2, 2, 2])])
    assert [row for _, row in field.nearest([2, 2, 2], 10, None)] == [far, 0]


def test_a_mask_may_be_shorter_or_longer_than_the_rows() -> None:
    """What a mask does not reach is not allowed, and what it has too much is of no matter."""
    field = filled("cosine", [[1, 0, 0], [1, 0, 0], [1, 0, 0]])
    short: Mask = np.array([False, True])
    long: Mask = np.array([False, False, True, True, True])
    assert [row for _, row in field.nearest([1, 0, 0], 5, short)] == [1]
    assert [row for _, row in field.nearest([1, 0, 0], 5, long)] == [2]
