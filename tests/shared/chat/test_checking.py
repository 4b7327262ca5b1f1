"""Markers in a streaming answer: checked, repaired, assigned or marked as unsupported, and never taken back."""

import asyncio
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chat.checking import UNSUPPORTED, Checker, MarkerStream
from shared.chat.passages import Passage
from tests.shared.chunks import chunk

HOTEL = "The limit for a hotel night is 165 EUR."
DOCK = "Deep goods may stand on the dock for at most 8 minutes."
PASSAGES = (
    Passage(1, chunk(content=f"{HOTEL} Breakfast is included."), 1.0),
    Passage(2, chunk(id="k2", content=f"{DOCK} Medicines never stand on the dock."), 0.9),
)

pieces = st.lists(st.integers(1, 9), max_size=80)
LIKE_MARKER = re.compile(r"[\[【［〔]\s*\^?\s*\d(?:[\d\s,;、^&~–—-]|and)*[\]】］〕]|【\d[^】\n]{0,40}】")
FORMS = [
    *(
        "[1]",
        "[2]",
        "[9]",
        "[12345]",
        "[1-2]",
        "[1–3]",
        "[^1]",
        "[^ 7]",
        "【1】",
        "［2］",
        "【4:0†source】",
        "[1, 9]",
        "[1 and 2]",
    ),
    *(
        "[1 2]",
        "[0]",
        "[٣]",
        "[2;1]",
        "[ 1 ]",
        "[1\n]",
        "[" + "9" * 5_000 + "]",
        "[[1]]",
        "[[9]3]",
        "[^[2]5]",
        "[?]",
        "[？]",
        "【?】",
    ),
]


class Nearness:
    """Says that everything is equally near, and counts how often it is asked."""

    def __init__(self, cosine: float = 0.3) -> None:
        self.cosine = cosine
        self.asked: list[tuple[str, list[str]]] = []

    async def __call__(self, sentence: str, parts: Sequence[str]) -> Sequence[float]:
        self.asked.append((sentence, list(parts)))
        return [self.cosine] * len(parts)


def passed(text: str, sizes: Sequence[int] = (), nearness: Nearness | None = None) -> tuple[str, Checker]:
    """Return what is shown of an answer that arrives in pieces of these sizes, and its checker."""
    checker = Checker(PASSAGES, nearness or Nearness())

    async def scenario() -> str:
        stream, shown, at = MarkerStream(checker), "", 0
        for size in (*sizes, len(text)):
            async for piece in stream.feed(text[at : at + size]):
                shown += piece
            at += size
        async for piece in stream.end():
            shown += piece
        return shown

    return asyncio.run(scenario()), checker


@given(pieces)
def test_right_markers_stay(sizes: list[int]) -> None:
    """A marker whose passage says the sentence stays where it is, whatever pieces it came in."""
    shown, checker = passed(f"{HOTEL} [1] {DOCK} [2]", sizes)
    assert shown == f"{HOTEL} [1] {DOCK} [2]"
    assert [verdict.kind for verdict in checker.checks.verdicts] == ["supported", "supported"]


@given(pieces)
def test_a_wrong_marker_is_exchanged(sizes: list[int]) -> None:
    """A marker of another passage is exchanged for that of the passage that says it, before or after the full stop."""
    shown, checker = passed(f"{HOTEL[:-1]} [2]. {DOCK} [1]", sizes)
    assert shown == f"{HOTEL} [1] {DOCK} [2]"
    assert [(verdict.given, verdict.shown) for verdict in checker.checks.verdicts] == [((2,), (1,)), ((1,), (2,))]
    assert checker.checks.counts()["repaired"] == 2


@given(pieces)
def test_what_no_passage_says_is_marked(sizes: list[int]) -> None:
    """A sentence with a marker that no passage supports gets the sign for that, and is listed."""
    shown, checker = passed("The moon is made of green cheese. [1]", sizes)
    assert shown == f"The moon is made of green cheese. {UNSUPPORTED}"
    assert checker.checks.unsupported() == ["The moon is made of green cheese."]
    assert checker.checks.used() == frozenset()


@given(pieces)
def test_a_plain_quote_is_given_its_marker(sizes: list[int]) -> None:
    """A sentence that stands in a passage gets its number; one that does not, and one of no words, get none."""
    nearness = Nearness()
    shown, checker = passed(f"{HOTEL} Ask the moon about green cheese. Yes.\n- {DOCK}", sizes, nearness)
    assert shown == f"{HOTEL} [1] Ask the moon about green cheese. Yes.\n- {DOCK} [2]"
    assert [verdict.kind for verdict in checker.checks.verdicts] == ["assigned", "unmarked", "unmarked", "assigned"]
    assert nearness.asked == []  # words alone decided all of it


@given(
    st.lists(st.sampled_from(["[1]", "[9]", "[0]", "[1, 2]", "[?]", "[", "]", "[x]", "[12", HOTEL, DOCK, " "])), pieces
)
def test_only_markers_that_name_a_passage_remain(parts: list[str], sizes: list[int]) -> None:
    """Whatever a model writes: a number that is shown is a passage's, and the sign for unsupported is never its own."""
    shown, checker = passed("".join(parts), sizes)
    allowed = {f"[{n}]" for n in (1, 2)}
    for verdict in checker.checks.verdicts:
        assert {f"[{n}]" for n in verdict.shown} <= allowed
    assert "[9]" not in shown
    assert "[0]" not in shown
    assert shown.count(UNSUPPORTED) == checker.checks.counts()["unsupported"]


@given(
    st.lists(
        st.sampled_from([*FORMS, "[", "]", "【", "7", "-", "^", "x", ".", HOTEL, DOCK, " ", "\n", "[x]", "(", ":"])
    ),
    pieces,
)
def test_whatever_looks_like_a_marker_names_a_passage(parts: list[str], sizes: list[int]) -> None:
    """In any form and any company: what a reader may take for a marker is one that was checked."""
    shown, checker = passed("".join(parts), sizes)
    allowed = {f"[{n}]" for n in checker.checks.used()}
    assert {match[0] for match in LIKE_MARKER.finditer(shown)} <= allowed
    assert not re.search(r"[【［]\s*[?？]|\[\s*？", shown)
    assert shown.count(UNSUPPORTED) == checker.checks.counts()["unsupported"]


@pytest.mark.parametrize(
    ("marker", "given_numbers", "shown_marker"),
    [
        ("[12345]", (12345,), "[1]"),
        ("[1-2]", (1, 2), "[1]"),
        ("[1–3]", (1, 2, 3), "[1]"),
        ("[^1]", (1,), "[1]"),
        ("【1】", (1,), "[1]"),
        ("【4:0†source】", (4, 0), "[1]"),
        ("[2, 1]", (2, 1), "[1]"),
        ("[2 and 1]", (2, 1), "[1]"),
        ("[1-99999999]", (1, 0), "[1]"),
    ],
)
def test_every_form_of_marker_is_checked(marker: str, given_numbers: tuple[int, ...], shown_marker: str) -> None:
    """Long numbers, ranges, footnotes and brackets of other scripts are markers like any other."""
    shown, checker = passed(f"{HOTEL} {marker} Yes.")
    assert shown == f"{HOTEL} {shown_marker} Yes."
    assert checker.checks.verdicts[0].given == given_numbers


@given(pieces)
def test_code_is_left_alone(sizes: list[int]) -> None:
    """What looks like a marker in code is code; the sentence around a span is checked with it."""
    block = "```python\nx = items[1] + [9][0]\n```\n"
    text = f"Take `list[9]` here.\n\n{block}{HOTEL} [1] Then `a[2]`."
    shown, checker = passed(text, sizes)
    assert shown == text
    assert checker.checks.used() == {1}


@given(pieces)
def test_a_block_is_checked_when_a_marker_follows_it(sizes: list[int]) -> None:
    """A marker behind a block of code says where the code is from; it never ends up in the block's own lines."""
    shown, checker = passed(f"Run this:\n\n```\n{HOTEL}\n```\n[2]\n\nYes.", sizes)
    assert shown == f"Run this:\n\n```\n{HOTEL}\n```\n [1]\n\nYes."
    assert [verdict.kind for verdict in checker.checks.verdicts] == ["unmarked", "repaired", "unmarked"]


@given(
    st.text("ab .\n[]1,?", max_size=60)
    | st.lists(st.sampled_from([*FORMS, "`", "```", "\n", "~~~", "a. ", " ", "[", "]", "(", ":"]), max_size=20).map(
        "".join
    ),
    pieces,
    pieces,
)
def test_pieces_do_not_matter(text: str, sizes: list[int], others: list[int]) -> None:
    """The same answer is shown however it was cut into pieces."""
    assert passed(text, sizes)[0] == passed(text, others)[0]


def test_nearness_is_asked_only_where_words_do_not_decide() -> None:
    """A paraphrase is decided by nearness in meaning, with one call for all passages that may support it."""
    paraphrase = "A hotel room may cost 165 EUR each night. [1]"
    far, near = Nearness(0.1), Nearness(0.9)
    assert passed(paraphrase, nearness=far)[0].endswith(UNSUPPORTED)
    assert passed(paraphrase, nearness=near)[0].endswith("[1]")
    assert [len(parts) for _, parts in near.asked] == [1]


def test_a_number_of_something_else_is_not_supported() -> None:
    """A sentence with another number than its passage's is not supported, although all other words are the same."""
    shown, _ = passed("The limit for a hotel night is 210 EUR. [1]", nearness=Nearness(0.5))
    assert shown.endswith(UNSUPPORTED)


def test_abbreviations_end_no_sentence() -> None:
    """The full stop of an abbreviation is none."""
    _, checker = passed(f"Note, e.g. that this holds: {HOTEL} [1]")
    assert len([verdict for verdict in checker.checks.verdicts if verdict.sentence.startswith("Note, e.g.")]) == 1
