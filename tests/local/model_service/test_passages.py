"""Sentences that can be quoted: what says something, never what asks or heads."""

import pytest

from local.model_service.passages import Passage, sentences


@pytest.mark.parametrize(
    ("text", "quotable"),
    [
        ("What does it cost?\n\nRenting costs 48 EUR per trip.", ["Renting costs 48 EUR per trip."]),
        ("## What does it cost?\nRenting costs 48 EUR.", ["Renting costs 48 EUR."]),
        ('How much? Renting costs 48 EUR. "Who pays?" The customer.', ["Renting costs 48 EUR.", "The customer."]),
        ("Prices and fees\n\nRenting costs 48 EUR.", ["Renting costs 48 EUR."]),
        ("- What does it cost?\n- Renting costs 48 EUR.", ["Renting costs 48 EUR."]),
    ],
)
def test_headings_and_questions_are_not_quoted(text: str, quotable: list[str]) -> None:
    """A heading and a question are nobody's answer."""
    assert [sentence.text for sentence in sentences(Passage(1, "Prices", text))] == quotable


def test_a_question_heads_what_follows() -> None:
    """What stands under a question is found by its words."""
    (sentence,) = sentences(Passage(1, "Prices", "What does it cost?\n\nIt is 48 EUR."))
    assert sentence.context == "Prices What does it cost?"
