"""Compare one page of the lake with the same range of the index: what is missing, wrong or too much. Pure.

Everything that a reader could ever be shown is checked: that every document is there at its version and whole, that
every chunk has the text that its key was made from, and that nothing else is there. Of a document whose newest version
cannot be read, that is what answers in its place. Vectors are checked for being there, not number by number.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from shared.documents import chunk_sha256, title_from_path
from shared.ids import chunk_key
from shared.index.schema import IndexedChunk
from shared.recovery.manifest import Entry, Page
from shared.sync import is_whole, outline_sha256

SHOWN = 50  # paths listed in a report; the counts are complete
KINDS = ("missing", "stale", "altered", "without_vector", "extra")  # each is a fault; "quarantined" is not


@dataclass(frozen=True, slots=True)
class Difference:
    """How a generation differs from the lake, by path. All but `quarantined` empty: it is true to the lake."""

    missing: tuple[str, ...] = ()  # in the lake, not in the index
    stale: tuple[str, ...] = ()  # another version or pipeline, or a set of chunks that is not whole
    altered: tuple[str, ...] = ()  # a chunk whose text or content hash is not the one it was written with
    without_vector: tuple[str, ...] = ()  # a chunk that no vector query can find
    extra: tuple[str, ...] = ()  # in the index, not in the lake
    quarantined: tuple[str, ...] = ()  # known to be unreadable at this version: not a fault of the index

    @property
    def faults(self) -> int:
        """Number of documents that are wrong."""
        return len(self.paths)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that is wrong, in order."""
        return tuple(sorted({path for kind in KINDS for path in getattr(self, kind)}))

    def summary(self) -> dict[str, dict[str, object]]:
        """Return counts and the first paths of each kind, for a report."""
        return {kind: _shown(len(getattr(self, kind)), getattr(self, kind)) for kind in (*KINDS, "quarantined")}


def compare(
    page: Page,
    chunks: Iterable[IndexedChunk],
    findable: frozenset[str],
    unreadable: Mapping[str, str],
    pipeline: str,
    fallbacks: Mapping[str, Iterable[IndexedChunk]] | None = None,
) -> Difference:
    """Return how the chunks of a page's range differ from its documents.

    `findable` has the keys of the chunks that a vector query finds. `unreadable` gives document id -> etag of
    quarantined versions: such a document is expected to have left the chunks that `fallbacks` names for its id; where
    that names none, it may be absent, or have left an earlier version's chunks.
    """
    found: dict[str, list[IndexedChunk]] = defaultdict(list)
    for chunk in chunks:
        found[chunk.document_id].append(chunk)
    kinds: dict[str, list[str]] = defaultdict(list)
    for entry in page.entries:
        indexed = found.pop(entry.id, [])
        kind = _fault(indexed, entry, findable, pipeline)
        if kind in ("missing", "stale") and unreadable.get(entry.id) == entry.document.etag:
            expected = (fallbacks or {}).get(entry.id)
            if expected is None or set(expected) == set(indexed):
                kind = _fault_of_chunks(indexed, findable) or "quarantined"
        if kind:
            kinds[kind].append(entry.document.path)
    kinds["extra"] = [chunks[0].path for chunks in found.values()]
    return Difference(**{kind: tuple(sorted(paths)) for kind, paths in kinds.items()})


def _fault(chunks: list[IndexedChunk], entry: Entry, findable: frozenset[str], pipeline: str) -> str:
    if not chunks:
        return "missing"
    if not is_whole(chunks, entry.document.etag, pipeline) or not _says(chunks, entry):
        return "stale"
    return _fault_of_chunks(chunks, findable)


def _fault_of_chunks(chunks: list[IndexedChunk], findable: frozenset[str]) -> str:
    """Return what is wrong with chunks whatever their version."""
    if not all(_is_unaltered(chunk) for chunk in chunks):
        return "altered"
    return "" if all(chunk.id in findable for chunk in chunks) else "without_vector"


def _says(chunks: list[IndexedChunk], entry: Entry) -> bool:
    """Whether a whole set of chunks says of its document what the lake says, and what the embedding store does."""
    document, stored = entry.document, entry.stored
    title, content = chunks[0].title, stored.content_sha256 if stored else chunks[0].content_sha256
    labels = (
        document.path,
        title_from_path(document.path),
        title,
        content,
        document.version_id,
        document.last_modified,
        document.allowed_groups,
        document.tags,
        "",  # no newer version is unreadable
    )
    if any(_labels(chunk) != labels for chunk in chunks):
        return False
    if stored is None or not stored.outline_sha256:
        return True
    return outline_sha256(sorted(chunks, key=attrgetter("ordinal"))) == stored.outline_sha256


def _labels(chunk: IndexedChunk) -> tuple[object, ...]:
    return (
        chunk.path,
        chunk.name,
        chunk.title,
        chunk.content_sha256,
        chunk.version_id,
        chunk.last_modified,
        chunk.allowed_groups,
        chunk.tags,
        chunk.newer_unreadable,
    )


class _Said(NamedTuple):
    heading: str
    text: str


def _is_unaltered(chunk: IndexedChunk) -> bool:
    """Whether the chunk's text is the one that its key was made from."""
    digest = chunk_sha256(_Said(chunk.heading, chunk.content))
    return chunk.id.startswith(chunk_key(chunk.document_id, digest, 0)[:-1])


def faults(summary: Mapping[str, Mapping[str, object]]) -> int:
    """Return the number of faults that a summary counts."""
    return sum(int(str(summary[kind]["count"])) for kind in KINDS if kind in summary)


def add_summaries(
    one: Mapping[str, Mapping[str, object]], other: Mapping[str, Mapping[str, object]]
) -> dict[str, dict[str, object]]:
    """Add the summaries of two pages."""
    return {
        kind: _shown(
            int(str(one[kind]["count"])) + int(str(other[kind]["count"])),
            (*_paths(one[kind]), *_paths(other[kind])),
        )
        for kind in (*KINDS, "quarantined")
    }


def _paths(kind: Mapping[str, object]) -> tuple[str, ...]:
    paths = kind["paths"]
    return tuple(paths) if isinstance(paths, (list, tuple)) else ()


def _shown(count: int, paths: tuple[str, ...]) -> dict[str, object]:
    return {"count": count, "paths": list(paths[:SHOWN])}
