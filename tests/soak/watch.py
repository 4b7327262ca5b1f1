"""What must hold at every moment, checked after every single action on the index."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.chat.passages import Hit, newest_versions
from shared.ids import document_id
from shared.index.schema import VECTOR, IndexedChunk
from shared.lake.container import _document
from shared.lake.model import LakeDocument
from shared.sync import indexed_chunks
from tests.soak.blobs import Blob, BlobStore, properties
from tests.soak.extraction import PIPELINE, content_sha256, record_of
from tests.soak.search import Document, IndexStore

CONTAINER = "documents"


class Violation(AssertionError):
    """A schedule has shown the index to be wrong."""


@dataclass(slots=True)
class Watch:
    """The truth about every version that ever was, and the rules of what the index may hold.

    Moments are numbered: `written` has the moment of each version, `born` when a path was last created after having
    been absent, `gone` when it was last deleted, `shown` the newest moment of which the index has said anything.
    """

    lake: BlobStore
    index: IndexStore
    moments: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    written: dict[tuple[str, str], int] = field(default_factory=dict)
    born: dict[str, int] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    _truth: dict[tuple[str, str], dict[str, Document]] = field(default_factory=dict)

    def wrote(self, blob: Blob, existed: bool) -> None:
        """Note a new version in the lake."""
        moment = next(self.moments)
        self.written[(blob.name, blob.version_id or "")] = moment
        if not existed:
            self.born[blob.name] = moment

    def deleted(self, path: str) -> None:
        """Note a deletion in the lake."""
        self.gone[path] = next(self.moments)

    def truth(self, blob: Blob) -> dict[str, Document]:
        """Return what the index shall hold for a version, by key; nothing for an unreadable one."""
        name = (blob.name, blob.version_id or "")
        if name not in self._truth:
            self._truth[name] = dict(_expected(blob))
        return self._truth[name]

    def written_chunk(self, after: Document) -> None:
        """A chunk was uploaded or merged: it must say of its version what is true, and not be older than what was."""
        path = after["path"]
        moment = self.written[(path, after["version_id"])]
        if moment < self.shown.get(path, 0):
            raise Violation(f"{path}: the index went back to an older version, or a deleted document came back")
        self.shown[path] = moment
        if not self._is_true(after):
            raise Violation(f"{path}: chunk {after['id']} says of version {after['version_id']} what is not true")
        self._answers_from_one_version(path)

    def deleted_chunk(self, before: Document) -> None:
        """A chunk was deleted: a document that is in the lake must not vanish by that."""
        path = before["path"]
        left = any(held["path"] == path for held in self.index.documents.values())
        if left:
            self._answers_from_one_version(path)
        elif path in self.lake.blobs:
            if self.written[(path, before["version_id"])] >= self.born[path]:
                raise Violation(f"{path}: an indexed document is missing")
        else:
            self.shown[path] = self.gone[path]

    def whole(self, path: str) -> None:
        """What a converge calls indexed or unchanged is one whole version and nothing else."""
        held = {key: one for key, one in self.index.documents.items() if one["path"] == path}
        versions = {one["version_id"] for one in held.values()}
        if len(versions) != 1 or held != self.truth(self._version(next(iter(held.values())))):
            raise Violation(f"{path}: a converge called it done, and it is not whole")

    def _is_true(self, chunk: Document) -> bool:
        """Whether a chunk says of its version what is so; an earlier one's, that a newer one cannot be read."""
        version = self._version(chunk)
        want = self.truth(version).get(chunk["id"])
        if want is None or not chunk["newer_unreadable"]:
            return chunk == want
        newer = [blob for blob in self.lake.history[version.name] if self._moment(blob) > self._moment(version)]
        return any(chunk == want | labels_of(version, blob) for blob in newer if record_of(blob.data) is None)

    def labels(self, chunk: Document, unreadable: Blob) -> Document:
        """Return what a chunk of an earlier version says when this one cannot be read."""
        return labels_of(self._version(chunk), unreadable)

    def _moment(self, blob: Blob) -> int:
        return self.written[(blob.name, blob.version_id or "")]

    def _answers_from_one_version(self, path: str) -> None:
        held = [one for one in self.index.documents.values() if one["path"] == path]
        used = newest_versions(Hit(IndexedChunk.from_fields(one), 1.0) for one in held)
        if len({(hit.chunk.version_id, hit.chunk.etag) for hit in used}) != 1:
            raise Violation(f"{path}: a query answers from several versions at once")

    def _version(self, chunk: Document) -> Blob:
        return next(blob for blob in self.lake.history[chunk["path"]] if blob.version_id == chunk["version_id"])


def document_of(blob: Blob) -> LakeDocument:
    """Return a version as the app's lake would."""
    return _document(properties(blob, True))


def labels_of(earlier: Blob, unreadable: Blob) -> Document:
    """Return what the chunks of one version say when a newer one cannot be read: only who may see both sees them."""
    own, newer = (document_of(blob).allowed_groups for blob in (earlier, unreadable))
    if not own or not newer:
        return {"newer_unreadable": "corrupt", "allowed_groups": list(own or newer)}
    return {"newer_unreadable": "corrupt", "allowed_groups": [name for name in own if name in newer] or [""]}


def _expected(blob: Blob) -> Iterator[tuple[str, Document]]:
    record = record_of(blob.data)
    if record is None:
        return
    document = document_of(blob)
    key = document_id(CONTAINER, document.path)
    chunks = indexed_chunks(document, key, record, content_sha256(blob.data), PIPELINE)
    for chunk, vector in zip(chunks, record.vectors, strict=True):
        yield chunk.id, {**chunk.fields(), VECTOR: vector.tolist()}
