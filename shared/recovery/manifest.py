"""Manifests: the lake as a rebuild planned it, in pages that one activity takes at a time.

A page is a range of document ids: its documents in the lake, and its keys in the index. Pages therefore cover the whole
index between them, and comparing each page by itself finds everything that is missing, stale or extra.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from shared.embeddings.store import Pointer, StoredSummary
from shared.lake.model import LakeDocument

BUCKETS = 256  # by the first two hex digits of the id: memory holds one bucket of the lake at a time
FIRST_ID = ""  # before every id
LAST_ID = "g"  # after every id: ids are hex digits


@dataclass(frozen=True, slots=True)
class Entry:
    """One document as planned. `stored` says what the embedding store holds of this very version, if anything."""

    id: str
    document: LakeDocument
    stored: StoredSummary | None = None

    @property
    def pointer(self) -> Pointer | None:
        """The embedding store's pointer of this version, where there is one."""
        if self.stored is None:
            return None
        document, stored = self.document, self.stored
        return Pointer(
            path=document.path,
            etag=document.etag,
            version_id=document.version_id,
            content_key=stored.content_key,
            content_sha256=stored.content_sha256,
            chunks=stored.chunks,
            tokens=stored.tokens,
            outline_sha256=stored.outline_sha256,
        )


@dataclass(frozen=True, slots=True)
class Page:
    """The entries with ids from `start` (inclusive) to `end` (exclusive), in the order of ids.

    `round` is the catch-up round that found the paths `changed` in it; 0: it is as it was planned.
    """

    number: int
    start: str
    end: str
    entries: tuple[Entry, ...]
    round: int = 0
    changed: tuple[str, ...] = ()


async def sorted_entries(documents: AsyncIterator[LakeDocument], id_of: Callable[[str], str]) -> AsyncIterator[Entry]:
    """Yield the documents as entries in the order of their ids.

    The listing comes in the order of paths and may have millions of entries, so it is sorted in files, a bucket at a
    time.
    """
    with TemporaryDirectory(prefix="warmlake-plan-") as folder:
        buckets = [Path(folder) / f"{number:02x}" for number in range(BUCKETS)]
        with ExitStack() as stack:
            files = [stack.enter_context(bucket.open("w", encoding="utf-8")) for bucket in buckets]
            async for document in documents:
                entry = Entry(id_of(document.path), document)
                files[int(entry.id[:2], 16)].write(json.dumps(_packed(entry), ensure_ascii=True) + "\n")
        for bucket in buckets:
            with bucket.open(encoding="utf-8") as lines:
                entries = [_unpacked(json.loads(line)) for line in lines]
            for entry in sorted(entries, key=lambda entry: entry.id):
                yield entry


async def with_stored(entries: AsyncIterator[Entry], stored: AsyncIterator[StoredSummary]) -> AsyncIterator[Entry]:
    """Join entries with the embedding store's pointers, both in the order of ids."""
    have = await anext(stored, None)
    async for entry in entries:
        while have is not None and have.document_id < entry.id:
            have = await anext(stored, None)
        matches = have is not None and have.document_id == entry.id and have.etag == entry.document.etag
        yield Entry(entry.id, entry.document, have if matches else None)


class Cutter:
    """Cuts a stream of entries into pages of at most `documents` documents and about `chunks` chunks."""

    def __init__(self, documents: int, chunks: int, chunks_of: Callable[[Entry], int]) -> None:
        self._documents = documents
        self._chunks = chunks
        self._chunks_of = chunks_of

    async def cut(self, entries: AsyncIterator[Entry]) -> AsyncIterator[Page]:
        """Yield pages that together cover every id; there is at least one, so that an empty lake empties the index."""
        number, start, chunks = 0, FIRST_ID, 0
        held: list[Entry] = []
        async for entry in entries:
            cost = self._chunks_of(entry)
            if held and (len(held) == self._documents or chunks + cost > self._chunks):
                yield Page(number, start, entry.id, tuple(held))
                number, start, chunks, held = number + 1, entry.id, 0, []
            held.append(entry)
            chunks += cost
        yield Page(number, start, LAST_ID, tuple(held))


def pack(page: Page) -> dict[str, Any]:
    """Return a page as JSON-ready data."""
    entries = [_packed(entry) for entry in page.entries]
    return {
        "number": page.number,
        "start": page.start,
        "end": page.end,
        "entries": entries,
        "round": page.round,
        "changed": list(page.changed),
    }


def unpack(value: dict[str, Any]) -> Page:
    """Return the page that `pack` packed."""
    entries = tuple(_unpacked(entry) for entry in value["entries"])
    round_, changed = value.get("round", 0), tuple(value.get("changed", ()))
    return Page(value["number"], value["start"], value["end"], entries, round_, changed)


def changed(before: Iterable[Entry], now: Iterable[Entry]) -> Iterator[str]:
    """Yield the paths that differ between two listings: written, overwritten, relabelled or deleted."""
    old = {entry.id: entry.document for entry in before}
    for entry in now:
        if old.pop(entry.id, None) != entry.document:
            yield entry.document.path
    yield from (document.path for document in old.values())


def _packed(entry: Entry) -> dict[str, Any]:
    document = {**_fields(entry.document), "last_modified": entry.document.last_modified.isoformat()}
    return {"id": entry.id, "document": document, "stored": _fields(entry.stored) if entry.stored else None}


def _fields(one: LakeDocument | StoredSummary) -> dict[str, Any]:
    """Return the fields by name; `asdict` would copy each of them, for every document at every listing."""
    return {name: getattr(one, name) for name in one.__slots__}


def _unpacked(value: dict[str, Any]) -> Entry:
    moment = datetime.fromisoformat(value["document"]["last_modified"])
    document = LakeDocument(**{**value["document"], "last_modified": moment})
    return Entry(value["id"], document, StoredSummary(**value["stored"]) if value["stored"] else None)
