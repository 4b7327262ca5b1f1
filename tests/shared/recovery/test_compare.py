"""Comparing one page of the lake with its range of the index."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from shared.documents import chunk_sha256, title_from_path
from shared.embeddings.record import StoredChunk
from shared.ids import chunk_key
from shared.index.schema import IndexedChunk
from shared.recovery.compare import KINDS, SHOWN, Difference, add_summaries, compare, faults
from shared.recovery.manifest import FIRST_ID, LAST_ID, Entry, Page
from shared.sync import outline_sha256
from tests.shared.chunks import chunk
from tests.shared.recovery.entries import entry

PATHS = [f"{name}.md" for name in "abcdef"]


def page(*entries: Entry) -> Page:
    return Page(0, FIRST_ID, LAST_ID, tuple(sorted(entries, key=lambda item: item.id)))


def indexed(of: Entry, count: int = 2) -> list[IndexedChunk]:
    """The chunks that a whole document has in the index."""
    made = []
    for ordinal in range(count):
        text = f"Text {ordinal} of {of.document.path}."
        digest = chunk_sha256(StoredChunk(text, "Top", None, 0, 0))
        made.append(
            chunk(
                id=chunk_key(of.id, digest, 0),
                document_id=of.id,
                path=of.document.path,
                name=title_from_path(of.document.path),
                content=text,
                ordinal=ordinal,
                chunk_count=count,
                etag=of.document.etag,
                version_id=of.document.version_id,
            )
        )
    return made


def differ(entries: list[Entry], chunks: list[IndexedChunk], unreadable: dict[str, str] | None = None) -> Difference:
    return compare(page(*entries), chunks, frozenset(one.id for one in chunks), unreadable or {}, "p1")


def test_equal_means_no_difference() -> None:
    """An index that holds every document whole at its version needs nothing."""
    found = differ([entry("a.md")], indexed(entry("a.md")))
    assert (found, found.faults, found.paths) == (Difference(), 0, ())


def test_each_kind_of_fault_is_told() -> None:
    """Missing, another version, half-written, relabelled, altered, without a vector, and gone from the lake."""
    paths = ("missing.md", "old.md", "half.md", "groups.md", "altered.md", "blind.md", "right.md")
    entries = {path: entry(path) for path in paths}
    relabelled = [replace(one, allowed_groups=("board",)) for one in indexed(entries["groups.md"])]
    altered = indexed(entries["altered.md"])
    altered[1] = replace(altered[1], content="Something else.")
    chunks = [
        *indexed(entry("old.md", "0x0")),
        *indexed(entries["half.md"])[:1],
        *relabelled,
        *altered,
        *indexed(entries["blind.md"]),
        *indexed(entries["right.md"]),
        *indexed(entry("gone.md")),
    ]
    blind = indexed(entries["blind.md"])[0].id
    findable = frozenset(one.id for one in chunks) - {blind}
    found = compare(page(*entries.values()), chunks, findable, {}, "p1")
    assert found == Difference(
        missing=("missing.md",),
        stale=("groups.md", "half.md", "old.md"),
        altered=("altered.md",),
        without_vector=("blind.md",),
        extra=("gone.md",),
    )
    assert found.faults == 7


def test_content_that_is_not_the_stored_one_is_stale() -> None:
    """Where the embedding store says which content a version has, chunks of other content are not right."""
    known = entry("a.md", chunks=2)
    assert differ([known], indexed(known)) == Difference()
    other = [replace(one, content_sha256="cd" * 32) for one in indexed(known)]
    assert differ([known], other) == Difference(stale=("a.md",))


def test_title_name_order_and_pages_are_compared() -> None:
    """A chunk of another name or title is stale; so are a title, an order and pages that are not those which the
    embedding store has noted of the version, even where all chunks agree.
    """
    plain = entry("a.md")
    right = indexed(plain)
    assert differ([plain], [replace(right[0], name="B"), right[1]]).stale == ("a.md",)
    assert differ([plain], [replace(right[0], title="B"), right[1]]).stale == ("a.md",)
    assert plain.stored is None
    stored = entry("a.md", chunks=2)
    assert stored.stored is not None
    known = replace(stored, stored=replace(stored.stored, outline_sha256=outline_sha256(right)))
    assert differ([known], right[::-1]) == Difference()
    for wrong in (
        [replace(one, title="B") for one in right],
        [replace(one, ordinal=1 - one.ordinal) for one in right],
        [right[0], replace(right[1], page=2)],
    ):
        assert differ([known], wrong).stale == ("a.md",)
        assert differ([plain], wrong) == Difference()  # where nothing was noted, there is nothing to compare with


def test_what_answers_for_an_unreadable_version_is_compared() -> None:
    """Of a version that cannot be read the last one before it must be there, whole, labelled, with its vectors; where
    nothing is expected, nothing may be there.
    """
    spoilt = entry("a.md", "0x2")
    before = [replace(one, newer_unreadable="empty") for one in indexed(entry("a.md"))]

    def found(chunks: list[IndexedChunk], expected: list[IndexedChunk], blind: int = 0) -> Difference:
        findable = frozenset(one.id for one in chunks[blind:])
        return compare(page(spoilt), chunks, findable, {spoilt.id: "0x2"}, "p1", {spoilt.id: expected})

    assert found(before, before) == found([], []) == Difference(quarantined=("a.md",))
    assert found([], before) == Difference(missing=("a.md",))
    assert found(before[:1], before) == found(indexed(entry("a.md")), before) == Difference(stale=("a.md",))
    assert found(before, []) == Difference(stale=("a.md",))
    assert found(before, before, blind=1) == Difference(without_vector=("a.md",))
    altered = [replace(one, content="Other.") for one in before]
    assert found(altered, altered) == Difference(altered=("a.md",))


def test_an_unreadable_version_is_no_fault_of_the_index() -> None:
    """A quarantined version may be absent or leave an earlier one in place; a newer version may not."""
    never, earlier, mended = (entry(path, "0x2") for path in ("never.md", "earlier.md", "mended.md"))
    held = [*indexed(entry("earlier.md")), *indexed(entry("mended.md"))]
    found = differ([never, earlier, mended], held, {never.id: "0x2", earlier.id: "0x2", mended.id: "0x1"})
    assert found == Difference(stale=("mended.md",), quarantined=("earlier.md", "never.md"))
    assert found.paths == ("mended.md",)


def test_a_readable_version_counts_as_such() -> None:
    """A document that is whole in the index is right even though a problem is still on record."""
    one = entry("a.md")
    assert differ([one], indexed(one), {one.id: "0x1"}) == Difference()


@given(st.sets(st.sampled_from(PATHS)), st.sets(st.sampled_from(PATHS)))
def test_every_path_is_right_or_in_one_kind(lake: set[str], held: set[str]) -> None:
    """A document is told once, and none that differs is overlooked."""
    found = differ([entry(path) for path in lake], [one for path in held for one in indexed(entry(path))])
    told = [path for kind in KINDS for path in getattr(found, kind)]
    assert sorted(told) == sorted(lake ^ held) == list(found.paths)


def test_summaries_add_up() -> None:
    """Counts are complete, lists are cut, and the sum can be added to again and written as JSON."""
    many = Difference(missing=tuple(f"{n:04}" for n in range(SHOWN + 5)), quarantined=("q",))
    total = add_summaries(add_summaries(many.summary(), many.summary()), Difference(extra=("x",)).summary())
    assert faults(total) == 2 * (SHOWN + 5) + 1
    assert total["quarantined"] == {"count": 2, "paths": ["q", "q"]}
    assert total["missing"]["count"] == 2 * (SHOWN + 5)
    assert len(json.loads(json.dumps(total))["missing"]["paths"]) == SHOWN
