"""How the benchmark of the app beside its peers judges an index."""

import pytest

from bench.side_by_side import faults_of, parts

LAKE = {"a.md": "one two three", "b.md": "four five, four five"}
LONG = ["".join(f"{part}{number} " for number in range(200)) for part in "abc"]


@pytest.mark.parametrize(
    ("held", "faults"),
    [
        ({"a.md": ["one two", "two three"], "b.md": ["four five"]}, {}),
        ({"a.md": ["one  two\n"], "b.md": ["four five", "four five"]}, {}),
        ({"b.md": ["four five"]}, {"missing": 1}),
        ({"a.md": ["one two", "one four"], "b.md": ["four five"]}, {"stale": 1}),
        ({"a.md": ["one two"], "b.md": ["four five"], "gone.md": ["six"]}, {"stale": 1}),
        ({"a.md": ["one two", "one two"], "b.md": ["four five"] * 3}, {"doubled": 2}),
        ({}, {"missing": 2}),
    ],
)
def test_a_document_is_wrong_when_a_reader_would_notice(held: dict[str, list[str]], faults: dict[str, int]) -> None:
    """Missing, out of date, deleted but there, or twice: white space and overlapping windows are no faults."""
    assert faults_of(LAKE, held) == faults


def test_a_document_in_part_is_wrong() -> None:
    """A missing chunk is noticed wherever it was; the front matter, which some pipelines leave out, is not missed."""
    lake = {"a.md": "---\n" + "title: x\n" * 50 + "---\n" + "\n".join(LONG)}
    assert faults_of(lake, {"a.md": LONG}) == {}
    for number in range(len(LONG)):
        assert faults_of(lake, {"a.md": LONG[:number] + LONG[number + 1 :]}) == {"in part": 1}


def test_the_works_have_edits_of_the_documents_that_were_loaded() -> None:
    """Every edit begins from the text that the one before has left, and the last work also deletes documents."""
    try:
        load, works = parts(20, 5)
    except FileNotFoundError:
        pytest.skip("the edit history is not there; it is part of the project's shared data")
    lake = {edit.path: edit.after for edit in load}
    assert (len(lake), [len(work) for work in works]) == (20, [5, 5, 7])
    for edit in (edit for work in works[:2] for edit in work):
        assert lake[edit.path] == edit.before
        lake[edit.path] = edit.after
    assert [edit.after for edit in works[2][-2:]] == [None, None]
