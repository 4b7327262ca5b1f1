"""Entries of a manifest for tests."""

from shared.embeddings.store import StoredSummary
from shared.ids import document_id
from shared.lake.model import LakeDocument
from shared.recovery.manifest import Entry
from tests.shared.chunks import MOMENT


def entry(path: str, etag: str = "0x1", size: int = 5, chunks: int | None = None) -> Entry:
    """Return the entry of a document; with `chunks`, one whose embeddings are stored."""
    key = document_id("documents", path)
    document = LakeDocument(path, etag, "2026-03-01T12:00:00.0000000Z", MOMENT, size, {})
    stored = None if chunks is None else StoredSummary(key, etag, f"content-of-{path}", "ab" * 32, chunks)
    return Entry(key, document, stored)
