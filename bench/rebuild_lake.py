"""A lake made up for measuring and for tests: its embeddings are stored already, so that no model is called.

The texts are sentences of the sample lake in a random order, the vectors random and of length one. Nothing of it
depends on the machine or on the day.
"""

import asyncio
import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path
from typing import Any

import numpy as np

from shared.clients import Services
from shared.documents import count_tokens, embedding_input
from shared.embeddings.record import Record, StoredChunk
from shared.embeddings.store import Pointer
from shared.ids import document_id
from shared.index.schema import VECTOR
from shared.lake.model import LakeDocument
from shared.sync import indexed_chunks, outline_sha256

SAMPLE = Path(__file__).parent.parent / "sample-lake"
SEED = 7
SENTENCES_A_CHUNK = 6  # about 600 characters, which is about 150 tokens
UPLOADS_AT_ONCE = 16
A_DAY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MadeUp:
    """One document: its path, its content in the lake, and what reading it would have made of it."""

    path: str
    content: bytes
    record: Record

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()

    def pointer(self, document: LakeDocument, key: str) -> Pointer:
        """Return what the embedding store says of the document at a version; `key` is the document's id."""
        return Pointer(
            path=self.path,
            etag=document.etag,
            version_id=document.version_id,
            content_key=f"{self.digest}.md",
            content_sha256=self.digest,
            chunks=len(self.record.chunks),
            tokens=sum(count_tokens(embedding_input(chunk)) for chunk in self.record.chunks),
            outline_sha256=outline_sha256(indexed_chunks(document, key, self.record, self.digest, "")),
        )


class MadeUpLake:
    """`documents` documents of `chunks` chunks each, with vectors of `dimensions` numbers."""

    def __init__(self, documents: int, chunks: int, dimensions: int) -> None:
        self.documents = documents
        self.chunks = chunks
        self.dimensions = dimensions
        texts = [file.read_text(encoding="utf-8") for file in sorted(SAMPLE.glob("[!.]*/*.md"))]
        self._sentences = [one for text in texts for one in re.split(r"(?<=\.)\s+", text) if 40 < len(one) < 240]

    def document(self, number: int) -> MadeUp:
        """Return one document; the same number gives the same document."""
        draw = random.Random(f"{SEED} {number}")
        vectors = np.random.default_rng([SEED, number]).standard_normal((self.chunks, self.dimensions), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        chunks = tuple(self._chunk(number, ordinal, draw) for ordinal in range(self.chunks))
        path = f"made-up/{number // 100:04d}/{number:06d}.md"
        return MadeUp(path, f"# Note {number}\n".encode(), Record(None, chunks, vectors))

    def __iter__(self) -> Iterator[MadeUp]:
        return map(self.document, range(self.documents))

    def _chunk(self, number: int, ordinal: int, draw: random.Random) -> StoredChunk:
        text = f"Note {number}, part {ordinal}. " + " ".join(draw.choices(self._sentences, k=SENTENCES_A_CHUNK))
        return StoredChunk(text, f"Note {number}", None, 0, len(text))


async def fill(services: Services, lake: MadeUpLake) -> None:
    """Put every document into the lake, and its chunks and vectors into the embedding store."""
    container = services.lake_account.get_container_client(services.settings.lake_container)
    store = services.primary.store
    slots = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def put(made: MadeUp) -> None:
        async with slots:
            await container.upload_blob(made.path, made.content, overwrite=True)
            document = await services.lake.head(made.path)
            if document is None:
                raise LookupError(f"{made.path} is not in the lake that it was written to")
            key = services.indexer.document_id(made.path)
            pointer = made.pointer(document, key)
            await store.save(pointer.content_key, made.record)
            await store.point(key, pointer)

    for part in batched(lake, 500, strict=False):
        await asyncio.gather(*(put(made) for made in part))


def search_documents(lake: MadeUpLake, container: str, pipeline: str) -> Iterator[dict[str, Any]]:
    """Yield every search document as a rebuild writes it; etags and versions are made up, and as long as real ones."""
    for made in lake:
        key = document_id(container, made.path)
        document = LakeDocument(made.path, "0x8DE2A1B4C5D6E7F", "2026-01-01T00:00:00.0000000Z", A_DAY, 16, {})
        chunks = indexed_chunks(document, key, made.record, made.digest, pipeline)
        for chunk, vector in zip(chunks, made.record.vectors, strict=True):
            yield {**chunk.fields(), VECTOR: vector}
