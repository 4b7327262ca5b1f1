"""From search results to the passages of one answer."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access import Access, groups_filter, visible
from shared.chat.passages import (
    SNIPPET_CHARACTERS,
    Hit,
    Passage,
    choose,
    newest_versions,
    version_url,
)
from tests.shared.chunks import MOMENT, chunk

names = st.text(st.characters(codec="utf-8", exclude_characters="|"), min_size=1, max_size=6)
groups = st.frozensets(st.sampled_from(["hr", "board", "it", "o'neil"]), max_size=3)


def words(text: str) -> int:
    return len(text.split())


def hit(number: int, **changed: object) -> Hit:
    return Hit(chunk(id=f"k{number}", **{"content": f"text {number}", **changed}), 1.0 / (number + 1))


@given(st.lists(groups, max_size=8), groups)
def test_only_what_the_caller_may_see_is_visible(allowed: list[frozenset[str]], caller: frozenset[str]) -> None:
    """A document without groups is for everybody; any other needs one of the caller's groups; order is kept."""
    hits = [hit(number, allowed_groups=tuple(sorted(held))) for number, held in enumerate(allowed)]
    assert visible(hits, Access(caller)) == [
        one for one, held in zip(hits, allowed, strict=True) if not held or held & caller
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=12))
def test_results_never_mix_versions(versions: list[tuple[str, int]]) -> None:
    """Of each document only the newest version found stays, all of its hits, in their order."""
    hits = [
        hit(number, document_id=document, version_id=f"v{version}", last_modified=MOMENT + timedelta(seconds=version))
        for number, (document, version) in enumerate(versions)
    ]
    newest = {document: max(version for other, version in versions if other == document) for document, _ in versions}
    assert newest_versions(hits) == [
        one for one, (document, version) in zip(hits, versions, strict=True) if version == newest[document]
    ]


def test_two_versions_of_one_second_are_told_apart() -> None:
    """Times are in whole seconds: within one, the version id decides."""
    hits = [hit(0, version_id="2026-03-01T12:00:00.1Z"), hit(1, version_id="2026-03-01T12:00:00.7Z")]
    assert newest_versions(hits) == [hits[1]]


def test_a_citation_says_that_a_newer_version_could_not_be_read() -> None:
    """The reason goes with the citation; mostly there is none."""
    assert Passage(1, chunk(newer_unreadable="encrypted"), 1.0).citation()["newer_unreadable"] == "encrypted"
    assert Passage(1, chunk(), 1.0).citation()["newer_unreadable"] == ""


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(1, 6), st.integers(1, 60))
def test_passages_keep_the_budget(sizes: list[int], most: int, budget: int) -> None:
    """Passages are numbered from 1, in the order of the hits, at most so many, within the budget but for the first."""
    hits = [hit(number, content=f"w{number} " * size) for number, size in enumerate(sizes)]
    chosen = choose(hits, most, budget, words)
    assert [passage.n for passage in chosen] == list(range(1, len(chosen) + 1))
    assert len(chosen) <= most
    places = [next(i for i, one in enumerate(hits) if one.chunk == passage.chunk) for passage in chosen]
    assert places == sorted(places)
    assert bool(chosen) == bool(hits)
    assert len(chosen) < 2 or sum(words(passage.chunk.content) for passage in chosen) <= budget


def test_equal_texts_are_taken_once() -> None:
    """The same text in two documents costs one passage, however its blanks fall."""
    hits = [hit(0, content="same  words"), hit(1, content="same\nwords"), hit(2, content="others")]
    assert [passage.chunk.id for passage in choose(hits, 6, 100, words)] == ["k0", "k2"]


def test_a_passage_that_does_not_fit_makes_room_for_smaller_ones() -> None:
    """One that is too long is passed over, not the end."""
    hits = [hit(0, content="a b"), hit(1, content="c " * 50), hit(2, content="d e")]
    assert [passage.chunk.id for passage in choose(hits, 6, 10, words)] == ["k0", "k2"]


def test_citation_says_what_and_where() -> None:
    """A citation has the document, its place and version, and a link to that version."""
    held = chunk(page=3, content="x" * 500)
    citation = Passage(2, held, 0.5).citation()
    assert citation["n"] == 2
    assert (citation["path"], citation["title"], citation["heading"], citation["page"]) == ("a.md", "Title", "Top", 3)
    assert citation["version_id"] == held.version_id
    assert citation["last_modified"] == "2026-03-01T12:00:00Z"
    assert len(citation["snippet"]) == SNIPPET_CHARACTERS
    assert citation["url"] == "/api/documents/d1/versions/2026-03-01T12%3A00%3A00.0000000Z"


def test_link_without_versions() -> None:
    """Where the lake keeps no versions the link opens the current one."""
    assert version_url("d1", "") == "/api/documents/d1/versions/current"


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        ((), "not allowed_groups/any()"),
        (("hr",), "(not allowed_groups/any() or allowed_groups/any(g: search.in(g, 'hr', '|')))"),
        (("it", "hr"), "(not allowed_groups/any() or allowed_groups/any(g: search.in(g, 'hr|it', '|')))"),
    ],
)
def test_access_filter(caller: tuple[str, ...], expected: str) -> None:
    """The filter is the same for the same groups in any order."""
    assert groups_filter(frozenset(caller)) == expected


@given(st.frozensets(names, min_size=1, max_size=4))
def test_a_groups_name_cannot_change_the_filter(caller: frozenset[str]) -> None:
    """Quotes in a name are doubled, so that it stays inside the text it is in."""
    made = groups_filter(caller)
    before, _, rest = made.partition("search.in(g, '")
    inside = rest.removesuffix("', '|')))")
    assert before == "(not allowed_groups/any() or allowed_groups/any(g: "
    assert inside.replace("''", "").count("'") == 0
    assert inside.replace("''", "'").split("|") == sorted(caller)
