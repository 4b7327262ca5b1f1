"""Indexed chunks for tests of what is done with them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.index.schema import IndexedChunk

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)

PLAIN = IndexedChunk(
    id="d1-aa-0",
    document_id="d1",
    path="a.md",
    name="A",
    title="Title",
    heading="Top",
    content="Words of the passage.",
    ordinal=0,
    chunk_count=1,
    page=None,
    version_id="2026-03-01T12:00:00.0000000Z",
    etag="0x1",
    last_modified=MOMENT,
    content_sha256="ab" * 32,
    allowed_groups=(),
    pipeline="p1",
    tags="",
)


def chunk(**changed: Any) -> IndexedChunk:
    """Return a plain chunk with some fields changed."""
    return replace(PLAIN, **changed)


def whole(count: int, **changed: Any) -> tuple[IndexedChunk, ...]:
    """Return all chunks of one version."""
    return tuple(chunk(id=f"d1-{n}-0", ordinal=n, chunk_count=count, **changed) for n in range(count))
