"""Exact vector search over one field: a matrix in memory. Exact beats approximate in truth, and is fast enough here."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from local.search_service.fields import Vector

_FIRST_ROWS = 1_024
_DENSE = 0.25  # from this share of rows on, scoring all of them costs less than gathering some

Mask = NDArray[np.bool_]


class VectorField:
    """The vectors of one field by row. A row without a vector is never found."""

    def __init__(self, dimensions: int, metric: str) -> None:
        self._metric = metric
        self._dimensions = dimensions
        self._matrix = np.zeros((_FIRST_ROWS, dimensions), dtype=np.float32)
        self._present = np.zeros(_FIRST_ROWS, dtype=bool)
        self._rows = 0  # rows in use lie below

    def put(self, rows: Sequence[int], vectors: Sequence[Vector | None]) -> None:
        """Set the vectors of some rows; None removes one."""
        if not rows:
            return
        self._grow(max(rows) + 1)
        kept = [position for position, vector in enumerate(vectors) if vector is not None]
        self._present[list(rows)] = False
        if kept:
            target = [rows[position] for position in kept]
            self._matrix[target] = self._prepared(np.stack([vectors[position] for position in kept]))  # type: ignore[misc]
            self._present[target] = True

    def nearest(self, query: Sequence[float], k: int, allowed: Mask | None) -> list[tuple[float, int]]:
        """Return the k best (score, row) among the allowed rows, best first.

        Scores are the service's: cosine 1 / (2 - cos), euclidean 1 / (1 + distance), dotProduct the product itself.
        """
        usable = self._present[: self._rows]
        if allowed is not None:
            usable = usable & _fitted(allowed, self._rows)
        count = int(np.count_nonzero(usable))
        if not count:
            return []
        target = self._prepared(np.asarray([query], dtype=np.float32))[0]
        if count == self._rows:
            rows, closeness = np.arange(count), self._closeness(self._matrix[:count], target)
        elif count >= _DENSE * self._rows:
            rows = np.flatnonzero(usable)
            closeness = self._closeness(self._matrix[: self._rows], target)[rows]
        else:
            rows = np.flatnonzero(usable)
            closeness = self._closeness(self._matrix[rows], target)
        best = np.argpartition(closeness, count - k)[count - k :] if k < count else np.arange(count)
        best = best[np.lexsort((rows[best], -closeness[best]))]
        return list(zip(self._scores(closeness[best]).tolist(), rows[best].tolist(), strict=True))

    def _prepared(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors as the matrix holds them: for cosine at length 1, so that a product is the cosine."""
        if self._metric != "cosine":
            return block
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        norms[norms == 0] = 1
        unit: NDArray[np.float32] = (block / norms).astype(np.float32)
        return unit

    def _closeness(self, block: NDArray[np.float32], target: Vector) -> NDArray[np.float32]:
        """Return for each row a number that grows with its score and costs less: the product, or minus the distance."""
        if self._metric == "euclidean":
            distance: NDArray[np.float32] = np.linalg.norm(block - target, axis=1)
            return -distance
        product: NDArray[np.float32] = block @ target
        return product

    def _scores(self, closeness: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._metric == "euclidean":
            return 1.0 / (1.0 - closeness)
        return closeness if self._metric == "dotProduct" else 1.0 / (2.0 - closeness)

    def _grow(self, rows: int) -> None:
        self._rows = max(self._rows, rows)
        if rows <= len(self._present):
            return
        size = max(rows, 2 * len(self._present))
        matrix = np.zeros((size, self._dimensions), dtype=np.float32)
        matrix[: len(self._matrix)] = self._matrix
        present = np.zeros(size, dtype=bool)
        present[: len(self._present)] = self._present
        self._matrix, self._present = matrix, present


def _fitted(mask: Mask, rows: int) -> Mask:
    """Return a mask of exactly so many rows."""
    if len(mask) >= rows:
        return mask[:rows]
    longer = np.zeros(rows, dtype=bool)
    longer[: len(mask)] = mask
    return longer
