"""The manifest: sorted, joined with what is stored, cut into pages that cover every id."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from shared.ids import document_id
from shared.lake.model import LakeDocument
from shared.recovery.manifest import (
    FIRST_ID,
    LAST_ID,
    Cutter,
    Entry,
    Page,
    changed,
    pack,
    sorted_entries,
    unpack,
    with_stored,
)
from tests.shared.recovery.entries import entry

names = st.lists(st.text("abcdefgh/ü ", min_size=1, max_size=6), unique=True, max_size=40)


async def stream[T](items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


def cut(entries: list[Entry], documents: int, chunks: int) -> list[Page]:
    cutter = Cutter(documents, chunks, lambda entry: entry.document.size)

    async def collect() -> list[Page]:
        return [page async for page in cutter.cut(stream(entries))]

    return asyncio.run(collect())


@given(names)
def test_listing_is_sorted_by_id(paths: list[str]) -> None:
    """Every document comes out once, in the order of ids, as it went in."""
    documents = [replace(entry(path).document, metadata={"owner": "Zoë"}) for path in paths]

    async def collect() -> list[Entry]:
        made = sorted_entries(stream(documents), lambda path: document_id("documents", path))
        return [item async for item in made]

    found = asyncio.run(collect())
    assert [item.id for item in found] == sorted(document_id("documents", path) for path in paths)
    assert sorted((item.document for item in found), key=path_of) == sorted(documents, key=path_of)


def path_of(document: LakeDocument) -> str:
    return document.path


@given(names, st.data())
def test_stored_embeddings_are_joined_by_id_and_version(paths: list[str], data: st.DataObject) -> None:
    """A document gets the pointer of its own version; one of another version, or of another document, is no use."""
    entries = sorted((entry(path) for path in paths), key=lambda item: item.id)
    kinds = {item.id: data.draw(st.sampled_from(["same", "older", "none"])) for item in entries}
    stored = [
        entry(item.document.path, "0x0" if kinds[item.id] == "older" else "0x1", chunks=3).stored for item in entries
    ]
    strangers = [entry(f"gone-{n}", chunks=1).stored for n in range(3)]
    pointers = [one for one in (*stored, *strangers) if one and kinds.get(one.document_id) != "none"]

    async def collect() -> list[Entry]:
        joined = with_stored(stream(entries), stream(sorted(pointers, key=lambda one: one.document_id)))
        return [item async for item in joined]

    found = asyncio.run(collect())
    assert [item.id for item in found] == [item.id for item in entries]
    assert {item.id for item in found if item.stored} == {key for key, kind in kinds.items() if kind == "same"}
    assert all(item.stored.document_id == item.id for item in found if item.stored)


@given(names, st.integers(1, 5), st.integers(1, 20))
def test_pages_cover_every_id_and_keep_to_their_size(paths: list[str], documents: int, chunks: int) -> None:
    """Pages follow each other without a gap from the first id to the last, and hold every document once."""
    entries = sorted((entry(path, size=len(path)) for path in paths), key=lambda item: item.id)
    pages = cut(entries, documents, chunks)
    assert [item for page in pages for item in page.entries] == entries
    assert [page.number for page in pages] == list(range(len(pages)))
    assert [page.start for page in pages] == [FIRST_ID, *(page.end for page in pages[:-1])]
    assert pages[-1].end == LAST_ID
    for page in pages:
        assert all(page.start <= item.id < page.end for item in page.entries)
        assert len(page.entries) <= documents
        assert len(page.entries) < 2 or sum(item.document.size for item in page.entries) <= chunks


def test_empty_lake_is_one_page_of_everything() -> None:
    """With no documents there is still a page, so that what is left in the index is found."""
    assert cut([], 5, 5) == [Page(0, FIRST_ID, LAST_ID, ())]


@given(names)
def test_pages_survive_json(paths: list[str]) -> None:
    """A page is read back as it was written."""
    page = Page(3, "a", "b", tuple(entry(path, chunks=len(path) if len(path) > 2 else None) for path in paths))
    assert unpack(json.loads(json.dumps(pack(page)))) == page


def test_changes_between_two_listings() -> None:
    """What was written, overwritten, relabelled or deleted differs; what stayed does not."""
    before = [entry("kept"), entry("edited"), entry("relabelled"), entry("deleted")]
    relabelled = entry("relabelled")
    relabelled = replace(relabelled, document=replace(relabelled.document, metadata={"allowed_groups": "board"}))
    now = [entry("kept", chunks=3), entry("edited", "0x2"), relabelled, entry("new")]
    assert sorted(changed(before, now)) == ["deleted", "edited", "new", "relabelled"]
    assert list(changed(now, now)) == []
