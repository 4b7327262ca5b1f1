"""Whether what was found is about the question: by meaning, or by the words that one passage has."""

import pytest

from shared.chat.passages import Passage
from shared.chat.relevance import relevance
from tests.shared.chunks import chunk

PASSAGES = (
    Passage(1, chunk(title="Pay", content="Salary is paid on the 25th. The chief buyer signs."), 1.0),
    Passage(
        2, chunk(id="k2", title="Roles", content="Signe is the chief executive. The FrostBox 60 costs 48 EUR."), 0.9
    ),
)


@pytest.mark.parametrize(
    ("query", "coverage"),
    [
        ("salary of the chief executive", 2 / 3),  # all three words, but in two passages
        ("Who is chief executive?", 1.0),
        ("What does it cost?", 0.0),
        ("salary", 0.0),
        ("FrostBox", 1.0),
        ("What about 60?", 1.0),
        ("And in the other one?", 0.0),
        ("Mona Lisa", 0.0),
    ],
)
def test_words_count_where_they_stand_together(query: str, coverage: float) -> None:
    """Coverage is that of the best passage; one plain word says nothing, a name or a number may."""
    assert relevance(query, 0.3, PASSAGES).coverage == pytest.approx(coverage)


def test_either_is_enough() -> None:
    """A near passage, or one with the question's words; with neither there is no answer."""
    found = relevance("Who is chief executive?", 0.3, PASSAGES)
    assert found.enough(0.5, 0.9)
    assert found.enough(0.3, 1.1)
    assert not found.enough(0.5, 1.1)
    assert not relevance("Who is chief executive?", 0.3, ()).enough(0.5, 0.1)
