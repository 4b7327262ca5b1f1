"""What speaks for and against a passage's support of a sentence."""

import pytest

from shared.chat.support import SUPPORTED, evidence

PASSAGE = """\
The limit for a hotel night is 165 EUR, breakfast included. In Copenhagen, Oslo and Stockholm the limit is 210 EUR.
When no room can be found below the limit, your manager can approve up to 20 % more, in writing, before the booking.

Dry ice is forbidden in the box. Chill goods may wait for 15 minutes. Deep goods may wait for 8 minutes."""


def test_a_quote_is_supported_whatever_its_nearness() -> None:
    """What stands in the passage word by word needs no further look, not even across its line's end."""
    found = evidence("The limit is 210 EUR. When no room can be found below the limit", PASSAGE)
    assert found.quoted
    assert found.probability(-1.0) == 1.0


def test_the_part_with_most_words_is_looked_at() -> None:
    """Of a long passage the few sentences count that speak of the same."""
    found = evidence("Managers may approve 20 % more in writing.", PASSAGE)
    assert "approve up to 20 % more" in found.part
    assert "Copenhagen" not in found.part
    assert (found.missing, found.misplaced) == (0, 0)


@pytest.mark.parametrize(
    ("right", "wrong", "sign"),
    [
        ("A hotel night has a limit of 165 EUR.", "A hotel night has a limit of 180 EUR.", "missing"),
        ("Chill goods can wait 15 minutes.", "Chill goods can wait 8 minutes.", "misplaced"),
        ("Dry ice cannot be used in the box.", "Dry ice is used in the box.", "denied"),
        ("The manager approves before the booking.", "The manager approves after the booking.", "opposed"),
    ],
)
def test_contradictions_are_seen(right: str, wrong: str, sign: str) -> None:
    """Another number, a number of something else, a denial and an opposite speak against a sentence."""
    good, bad = evidence(right, PASSAGE), evidence(wrong, PASSAGE)
    assert not getattr(good, sign)
    assert getattr(bad, sign)
    assert bad.probability(0.8) < good.probability(0.8)
    assert good.probability(0.8) >= SUPPORTED


def test_words_of_the_title_count_in_part() -> None:
    """A word that stands only above the passage counts, but less than one in it."""
    without = evidence("The travel policy allows 165 EUR for a hotel.", PASSAGE)
    above = evidence("The travel policy allows 165 EUR for a hotel.", PASSAGE, "Travel policy")
    within = evidence("The travel policy allows 165 EUR for a hotel.", f"Travel policy allows. {PASSAGE}")
    assert without.coverage < above.coverage <= within.coverage


def test_numbers_in_words_are_numbers() -> None:
    """Eight minutes are 8 minutes."""
    assert evidence("Deep goods can wait eight minutes.", PASSAGE).missing == 0


def test_nothing_supports_nothing() -> None:
    """A passage about something else is improbable at any nearness that such passages have."""
    found = evidence("The moon is made of green cheese.", PASSAGE)
    assert found.coverage < 0.2
    assert found.probability(0.4) < 0.2
