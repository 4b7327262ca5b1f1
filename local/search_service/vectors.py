"""Exact vector search over one field: a matrix in memory. Exact beats approximate in truth, and is fast enough here."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_FIRST_ROWS = 1_024

Vector = NDArray[np.float32]


class VectorField:
    """The vectors of one field by row. A row without a vector is never found."""

    def __init__(self, dimensions: int, metric: str) -> None:
        self._metric = metric
        self._dimensions = dimensions
        self._matrix = np.zeros((_FIRST_ROWS, dimensions), dtype=np.float32)
        self._present = np.zeros(_FIRST_ROWS, dtype=bool)

    def put(self, row: int, vector: Vector | None) -> None:
        """Set a row's vector; None removes it."""
        self._grow(row + 1)
        self._present[row] = vector is not None
        if vector is None:
            return
        if self._metric == "cosine":
            norm = float(np.linalg.norm(vector))
            vector = vector / norm if norm else vector
        self._matrix[row] = vector

    def nearest(self, query: Sequence[float], k: int, allowed: Iterable[int] | None) -> list[tuple[float, int]]:
        """Return the k best (score, row) among `allowed`, best first.

        Scores are the service's: cosine 1 / (2 - cos), euclidean 1 / (1 + distance), dotProduct the product itself.
        """
        rows = np.flatnonzero(self._present) if allowed is None else self._known(allowed)
        if not len(rows):
            return []
        target = np.asarray(query, dtype=np.float32)
        if self._metric == "cosine":
            norm = float(np.linalg.norm(target))
            target = target / norm if norm else target
        # A slice needs no copy of the matrix; only a real selection does.
        whole = len(rows) == rows[-1] + 1
        block = self._matrix[: len(rows)] if whole else self._matrix[rows]
        scores = self._scores(block, target)
        best = np.argpartition(-scores, k - 1)[:k] if k < len(rows) else np.arange(len(rows))
        best = best[np.lexsort((rows[best], -scores[best]))]
        return [(float(scores[i]), int(rows[i])) for i in best]

    def _scores(self, block: NDArray[np.float32], target: Vector) -> NDArray[np.float32]:
        if self._metric == "euclidean":
            distance: NDArray[np.float32] = np.linalg.norm(block - target, axis=1)
            return (1.0 / (1.0 + distance)).astype(np.float32)
        product: NDArray[np.float32] = block @ target
        return product if self._metric == "dotProduct" else (1.0 / (2.0 - product)).astype(np.float32)

    def _known(self, allowed: Iterable[int]) -> NDArray[np.int64]:
        rows = np.fromiter(allowed, dtype=np.int64)
        rows = rows[rows < len(self._present)]
        kept: NDArray[np.int64] = np.sort(rows[self._present[rows]])
        return kept

    def _grow(self, rows: int) -> None:
        if rows <= len(self._present):
            return
        size = max(rows, 2 * len(self._present))
        matrix = np.zeros((size, self._dimensions), dtype=np.float32)
        matrix[: len(self._matrix)] = self._matrix
        present = np.zeros(size, dtype=bool)
        present[: len(self._present)] = self._present
        self._matrix, self._present = matrix, present
