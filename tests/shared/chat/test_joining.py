"""Passages: repeats merged, neighbours joined, within the budget."""

from hypothesis import given
from hypothesis import strategies as st

from shared.chat.duplicates import fingerprint
from shared.chat.passages import Hit, Passage, choose, join_neighbours, missing_neighbours
from shared.index.schema import IndexedChunk
from tests.shared.chunks import chunk

PLAN = (
    "The plan covers the cost of a hospital stay after the deductible has been met, and members pay twenty percent of "
    "it until the yearly limit is reached. Stays that are planned need approval in advance, which the hospital asks "
    "for on behalf of the member. Emergency stays are approved afterwards, if the member reports them within a week."
)


def words(text: str) -> int:
    return len(text.split())


def part(document: str, ordinal: int, text: str = "", count: int = 10) -> IndexedChunk:
    """Return one chunk of a document of ten."""
    content = text or f"Text {document} {ordinal}."
    key = f"{document}-{ordinal}"
    return chunk(
        id=key, document_id=document, path=f"{document}.md", ordinal=ordinal, chunk_count=count, content=content
    )


def hits(*chunks: IndexedChunk) -> list[Hit]:
    return [Hit(one, 1.0 - number / 100) for number, one in enumerate(chunks)]


def test_hits_that_stand_beside_each_other_become_one_passage() -> None:
    """Neighbours in one document are one passage in the order of the text; it keeps its best hit's place."""
    chosen = choose(hits(part("a", 4), part("b", 1), part("a", 3), part("a", 7)), 6, 100, words)
    assert [[one.ordinal for one in passage.parts] for passage in chosen] == [[3, 4], [1], [7]]
    assert chosen[0].text == "Text a 3.\n\nText a 4."
    assert chosen[0].chunk.ordinal == 4


def test_another_version_is_no_neighbour() -> None:
    """Chunks of two versions of one document are never joined."""
    old = chunk(id="x", document_id="a", ordinal=1, chunk_count=10, content="Old text.", version_id="v0")
    assert len(choose(hits(part("a", 0), old), 6, 100, words)) == 2


def test_a_text_that_says_the_same_is_merged() -> None:
    """A near-equal text of another document is left out and named; the same document is no other place."""
    other = PLAN.replace("has been met", "was met")
    chosen = choose(hits(part("a", 0, PLAN), part("b", 0, other), part("a", 5, PLAN)), 6, 200, words)
    assert [passage.chunk.path for passage in chosen] == ["a.md"]
    assert [also["path"] for also in chosen[0].citation()["also_in"]] == ["b.md"]


def test_facts_keep_near_texts_apart() -> None:
    """Texts that differ in a number, a name or a denial say different things, however near they are."""
    base = fingerprint(PLAN)
    assert base.says_the_same(fingerprint(PLAN.replace("has been met", "was met")))
    for changed in (
        PLAN.replace("The plan", "The Standard plan"),
        PLAN.replace("twenty", "20"),
        PLAN.replace("members pay", "members never pay"),
        PLAN.replace("has been met", "hasn't been met"),
        "Something else entirely",
    ):
        assert not base.says_the_same(fingerprint(changed))


def test_neighbours_that_are_asked_for() -> None:
    """Of each passage the chunks within reach on both sides, not beyond the document's ends."""
    first, last = Passage(1, part("a", 0), 1.0, (part("a", 0),)), Passage(2, part("b", 9), 1.0, (part("b", 9),))
    wanted = [(document, list(places)) for document, _, places in missing_neighbours((first, last), 2)]
    assert wanted == [("a", [1, 2]), ("b", [7, 8])]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), min_size=1, max_size=5, unique=True),
    st.integers(1, 60),
)
def test_joining_keeps_the_budget_and_the_order(places: list[tuple[str, int]], budget: int) -> None:
    """With neighbours the passages stay within the budget, are runs of one document, and share no chunk."""
    chosen = choose(hits(*(part(document, ordinal) for document, ordinal in places)), 6, budget, words)
    around = [part(document, ordinal) for document in "ab" for ordinal in reversed(range(10))]
    joined = join_neighbours(chosen, around, budget, words)
    assert [passage.n for passage in joined] == [passage.n for passage in chosen]
    assert len(joined) == 1 or sum(words(passage.text) for passage in joined) <= budget
    ids = [one.id for passage in joined for one in passage.parts]
    assert len(ids) == len(set(ids))
    for passage in joined:
        ordinals = [one.ordinal for one in passage.parts]
        assert ordinals == list(range(ordinals[0], ordinals[0] + len(ordinals)))


def test_what_follows_is_joined_first() -> None:
    """With room for one neighbour it is the chunk that follows: text runs on."""
    (passage,) = choose(hits(part("a", 4)), 6, 6, words)
    (joined,) = join_neighbours([passage], [part("a", 5), part("a", 3)], 6, words)
    assert [one.ordinal for one in joined.parts] == [4, 5]
    assert joined.pages == ()
