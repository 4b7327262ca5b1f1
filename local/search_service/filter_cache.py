"""Filters that are asked again and again, as masks over rows that follow every write.

An app sends the same access filter with every question; evaluated once, it costs a write a little and a search nothing.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from local.search_service.filters import Predicate
from local.search_service.vectors import Mask

_MOST = 32  # masks kept; the one that was not asked for the longest goes
_FIRST_ROWS = 1_024


class FilterCache:
    """Masks by filter text."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Predicate, Mask]] = OrderedDict()

    def mask(self, text: str, passes: Predicate, documents: Mapping[int, Mapping[str, Any]], rows: int) -> Mask:
        """Return which of the first `rows` rows pass."""
        if text not in self._kept:
            mask = np.zeros(max(rows, _FIRST_ROWS), dtype=bool)
            mask[[row for row, body in documents.items() if passes(body)]] = True
            self._kept[text] = (passes, mask)
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(text)
        return self._kept[text][1]

    def put(self, row: int, body: Mapping[str, Any] | None) -> None:
        """Follow a write: a row has another document, or None."""
        for text, (passes, mask) in self._kept.items():
            if row >= len(mask):
                longer = np.zeros(max(row + 1, 2 * len(mask)), dtype=bool)
                longer[: len(mask)] = mask
                mask = longer
                self._kept[text] = (passes, mask)
            mask[row] = body is not None and passes(body)
