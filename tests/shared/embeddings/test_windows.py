"""Texts longer than the model takes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.embeddings.windows import average, windows


@given(st.text(alphabet="ab \n", max_size=300), st.integers(1, 40))
def test_nothing_is_left_out_and_no_window_is_too_long(text: str, most: int) -> None:
    """The windows, one after the other, are the text, and each is within the limit."""
    made = windows(text, len, most)
    assert "".join(made) == text
    assert all(len(piece) <= most for piece in made)


def test_words_stay_whole() -> None:
    """Windows end at white space where there is any."""
    assert all(piece.endswith("word ") for piece in windows("word " * 64, len, 40))


def test_windows_count_by_their_length() -> None:
    """The vector of a text is the mean of its windows', weighted by tokens, of length 1."""
    whole = average(np.array([[1, 0], [0, 1]], dtype=np.float32), [3, 1])
    np.testing.assert_allclose(whole, np.array([3, 1]) / np.sqrt(10), rtol=1e-6)


def test_a_single_window_is_as_the_model_gave_it() -> None:
    """A text within the limit keeps its vector to the bit."""
    vector = np.array([[0.3, 0.4]], dtype=np.float32)
    assert (average(vector, [5]) == vector[0]).all()
