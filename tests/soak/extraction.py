"""The documents of the schedules: a line is a chunk, and "?" cannot be read."""

import hashlib

import numpy as np

from shared.documents import Chunk, Extracted, embedding_input
from shared.embeddings.record import Record, StoredChunk
from shared.errors import UnreadableDocument
from tests.soak.schedule import UNREADABLE
from tests.soak.search import vector

PIPELINE = "p1"


def extract(content: bytes) -> tuple[StoredChunk, ...]:
    """Return a document's chunks. Raises UnreadableDocument."""
    text = content.decode()
    if text == UNREADABLE:
        raise UnreadableDocument("corrupt", "it cannot be read")
    return tuple(StoredChunk(line, "", None, n, n + 1) for n, line in enumerate(text.split("\n")))


async def extracted(path: str, content: bytes) -> Extracted:
    """Return a document's chunks as the app's extraction does. Raises UnreadableDocument."""
    chunks = extract(content)
    return Extracted(
        None, tuple(Chunk(n, one.heading, one.text, one.page, one.start, one.end) for n, one in enumerate(chunks))
    )


def record_of(content: bytes) -> Record | None:
    """Return a content's record with the vectors that the model gives, or None for what cannot be read."""
    try:
        chunks = extract(content)
    except UnreadableDocument:
        return None
    vectors = np.array([vector(embedding_input(chunk)) for chunk in chunks], dtype=np.float32)
    return Record(None, chunks, vectors)


def content_sha256(content: bytes) -> str:
    """Return the hash of a content."""
    return hashlib.sha256(content).hexdigest()
