"""Texts longer than the model takes: cut into windows, embedded apart, and put together again. Pure."""

from collections.abc import Callable, Sequence

import numpy as np

from shared.embeddings.record import Vectors


def windows(text: str, count_tokens: Callable[[str], int], most: int) -> list[str]:
    """Cut a text into pieces of at most `most` tokens each, at white space where there is any; nothing is left out."""
    if len(text) <= 1 or count_tokens(text) <= most:
        return [text]
    middle = len(text) // 2
    # A space in the middle half keeps the pieces of a length; a text without one is cut anywhere.
    cut = text.rfind(" ", len(text) // 4, middle) + 1 or middle
    return windows(text[:cut], count_tokens, most) + windows(text[cut:], count_tokens, most)


def average(vectors: Vectors, tokens: Sequence[int]) -> Vectors:
    """Return the mean of a text's windows weighted by their length in tokens, scaled to length 1.

    `vectors` has shape (windows, dimensions); the result (dimensions,). A single window is returned as it is.
    """
    if len(vectors) == 1:
        single: Vectors = vectors[0]
        return single
    mean = np.average(vectors, axis=0, weights=[max(1, count) for count in tokens])
    length = float(np.linalg.norm(mean))
    whole: Vectors = (mean / length if length else mean).astype(np.float32)
    return whole
