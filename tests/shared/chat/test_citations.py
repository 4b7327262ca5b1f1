"""Markers in an answer: only those that name a passage reach the reader, however the answer arrives."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from shared.chat.citations import MarkerFilter, markers

MARKER = re.compile(r"\[(\d{1,3})\]")

fragments = st.sampled_from(
    ["[", "]", "[1]", "[2]", "[12]", "[0]", "[007]", "[1234]", "[[1]]", "[1", "9]", "[a]", " so "]
)
answers = st.lists(fragments | st.text(st.characters(codec="utf-8"), max_size=6), max_size=12).map("".join)


def at_once(text: str, passages: int) -> str:
    cleaner = MarkerFilter(passages)
    return cleaner.feed(text) + cleaner.end()


@given(answers, st.integers(0, 15), st.data())
def test_pieces_give_what_the_whole_gives(text: str, passages: int, data: st.DataObject) -> None:
    """However an answer is cut into pieces, the reader sees the same text."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    cleaner = MarkerFilter(passages)
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert "".join(map(cleaner.feed, pieces)) + cleaner.end() == at_once(text, passages)


@given(answers, st.integers(0, 15))
@example("[[9]1]", 3)
def test_only_markers_that_name_a_passage_remain(text: str, passages: int) -> None:
    """Every marker that is left names one of the passages."""
    assert all(1 <= number <= passages for number in markers(at_once(text, passages)))


@given(answers, st.integers(0, 15))
def test_nothing_else_is_taken_away(text: str, passages: int) -> None:
    """Without wrong markers the text is unchanged."""
    if all(1 <= int(number) <= passages for number in MARKER.findall(text)):
        assert at_once(text, passages) == text


@given(answers, st.integers(0, 15))
def test_no_more_is_held_back_than_an_open_marker(text: str, passages: int) -> None:
    """Text is shown at once: at most an open bracket with three digits waits."""
    cleaner = MarkerFilter(passages)
    cleaner.feed(text)
    assert len(cleaner.end()) <= 4


def test_markers_are_each_once_in_order() -> None:
    """Repeats count once, in the order of their first appearance."""
    assert markers("b [2], a [1][2] and [10], not [x] or [1234]") == [2, 1, 10]


def test_wrong_markers_go_and_right_ones_stay() -> None:
    """A number above the passages given, and zero, name nothing."""
    assert at_once("It is 12 [1][4]. Or not [0].", 3) == "It is 12 [1]. Or not ."


def test_taking_a_marker_out_makes_no_other() -> None:
    """Brackets around a wrong marker do not become a marker when it goes."""
    assert markers(at_once("[[9]7]", 3)) == []
