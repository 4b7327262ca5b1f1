"""The pure part of converging: when a set of chunks is whole, and what the index shall hold."""

import re
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.embeddings.record import Record, StoredChunk
from shared.index.schema import IndexedChunk
from shared.lake.model import LakeDocument
from shared.sync import indexed_chunks, is_whole
from tests.shared.chunks import MOMENT, whole

stored = st.builds(
    StoredChunk,
    text=st.sampled_from(["one", "two", "three"]),
    heading=st.sampled_from(["", "Top"]),
    page=st.none() | st.integers(1, 9),
    start=st.integers(0, 99),
    end=st.integers(0, 99),
)


def record(chunks: list[StoredChunk], title: str | None = "Title") -> Record:
    return Record(title, tuple(chunks), np.zeros((len(chunks), 2), np.float32))


def document(path: str = "a/some-file.md", etag: str = "0x1", metadata: dict[str, str] | None = None) -> LakeDocument:
    return LakeDocument(path, etag, "v1", MOMENT, 5, metadata or {})


def made(chunks: list[StoredChunk], document_: LakeDocument | None = None) -> tuple[IndexedChunk, ...]:
    return indexed_chunks(document_ or document(), "d1", record(chunks), "c1", "p1")


@given(st.lists(stored, min_size=1, max_size=8))
def test_what_is_written_is_whole(chunks: list[StoredChunk]) -> None:
    """What the index shall hold counts as whole for its version and pipeline, and for no other."""
    want = made(chunks)
    assert is_whole(want, "0x1", "p1")
    assert is_whole(tuple(reversed(want)), "0x1", "p1")
    assert not is_whole(want, "0x2", "p1")
    assert not is_whole(want, "0x1", "p2")


@given(st.integers(1, 6), st.data())
def test_a_half_written_set_is_never_whole(count: int, data: st.DataObject) -> None:
    """One chunk missing, doubled, of another version, pipeline or count spoils the set."""
    chunks = whole(count)
    at = data.draw(st.integers(0, count - 1))
    broken = st.sampled_from(
        [
            replace(chunks[at], etag="0x0"),
            replace(chunks[at], pipeline="p0"),
            replace(chunks[at], chunk_count=count + 1),
            replace(chunks[at], ordinal=count),
        ]
    )
    assert is_whole(chunks, "0x1", "p1")
    assert not is_whole((*chunks[:at], *chunks[at + 1 :]), "0x1", "p1")
    assert not is_whole((*chunks, chunks[at]), "0x1", "p1")
    assert not is_whole((*chunks[:at], data.draw(broken), *chunks[at + 1 :]), "0x1", "p1")


def test_nothing_is_never_whole() -> None:
    """No chunks means not indexed, not up to date."""
    assert not is_whole((), "0x1", "p1")


@given(st.lists(stored, min_size=1, max_size=8))
def test_chunks_are_numbered_and_keyed_apart(chunks: list[StoredChunk]) -> None:
    """Ordinals run from 0, every chunk knows the count, and repeated text has distinct keys."""
    want = made(chunks)
    assert [chunk.ordinal for chunk in want] == list(range(len(chunks)))
    assert {chunk.chunk_count for chunk in want} == {len(chunks)}
    assert len({chunk.id for chunk in want}) == len(chunks)
    assert all(re.fullmatch(r"d1-[0-9a-f]{24}-\d+", chunk.id) for chunk in want)
    assert [(chunk.content, chunk.heading, chunk.page) for chunk in want] == [
        (chunk.text, chunk.heading, chunk.page) for chunk in chunks
    ]


@given(st.lists(stored, min_size=1, max_size=8, unique_by=lambda chunk: (chunk.heading, chunk.text)), st.data())
def test_an_unchanged_chunk_keeps_its_key(chunks: list[StoredChunk], data: st.DataObject) -> None:
    """Wherever a chunk moves, on whatever page, its key stays; its place and version are what changes."""
    moved = [replace(chunk, page=77, start=5, end=6) for chunk in data.draw(st.permutations(chunks))]
    before = {chunk.content + chunk.heading: chunk.id for chunk in made(chunks)}
    after = {chunk.content + chunk.heading: chunk.id for chunk in made(moved, document(etag="0x9"))}
    assert before == after


def test_version_and_access_are_the_documents() -> None:
    """Every chunk carries its document's version, groups and tags."""
    held = document(metadata={"allowed_groups": "hr, board", "owner": "Ada"})
    (want,) = made([StoredChunk("one", "", None, 0, 3)], held)
    assert (want.path, want.etag, want.version_id, want.last_modified) == ("a/some-file.md", "0x1", "v1", MOMENT)
    assert (want.allowed_groups, want.tags) == (("board", "hr"), '{"owner": "Ada"}')
    assert (want.document_id, want.content_sha256, want.pipeline) == ("d1", "c1", "p1")


def test_title_without_one_of_its_own_follows_the_path() -> None:
    """A document that is titled by its file's name changes its title with a rename, and nothing is computed anew."""
    for path, title in [("a/some-file.md", "Some file"), ("b/other_name.md", "Other name")]:
        (want,) = indexed_chunks(document(path), "d1", record([StoredChunk("x", "", None, 0, 1)], None), "c1", "p1")
        assert want.title == title


@given(st.lists(stored, min_size=1, max_size=4))
def test_chunks_survive_the_search_service(chunks: list[StoredChunk]) -> None:
    """What is sent to the index and read back is the same chunk, field by field."""
    for chunk in made(chunks, document(metadata={"allowed_groups": "hr", "b": "1"})):
        assert IndexedChunk.from_fields(chunk.fields()) == chunk
