"""Reading and writing the chunks of one index: a generation, or the alias."""

from collections.abc import AsyncIterator, Iterable, Sequence

import numpy as np

from shared.embeddings.record import Vectors
from shared.index.client import BulkClient, vector_query
from shared.index.schema import SCALARS, VECTOR, IndexedChunk
from shared.index.writer import BulkWriter, Check

PAGE = 1_000  # most results in one page


class Chunks:
    """The chunks of one index."""

    def __init__(self, client: BulkClient, writer: BulkWriter, check: Check | None = None) -> None:
        self._client = client
        self._writer = writer
        self._check = check

    def fenced(self, check: Check) -> "Chunks":
        """Return the same chunks for a writer whose right to write may end: `check` raises when it has."""
        return Chunks(self._client, self._writer, check)

    async def of_document(self, document_id: str) -> tuple[IndexedChunk, ...]:
        """Return every chunk of one document, ordered by key; empty when it is not indexed."""
        return tuple([chunk async for chunk in self._scan(f"document_id eq '{document_id}'")])

    async def between(self, start: str, end: str) -> AsyncIterator[IndexedChunk]:
        """Yield the chunks whose keys lie from `start` (inclusive) to `end` (exclusive), ordered by key."""
        async for chunk in self._scan(_range(start, end)):
            yield chunk

    async def findable(self, start: str, end: str, dimensions: int, most: int) -> tuple[IndexedChunk, ...]:
        """Return the chunks in a range of keys that a vector query finds, `most` at most: those that have a vector."""
        query = {**vector_query(np.eye(1, dimensions, dtype=np.float32)[0], most, VECTOR), "exhaustive": True}
        results = await self._client.search(
            vector_queries=[query], filter=_range(start, end), select=list(SCALARS), top=most
        )
        return tuple(map(IndexedChunk.from_fields, await results.all()))

    async def count_between(self, start: str, end: str) -> int:
        """Return the number of chunks whose keys lie from `start` (inclusive) to `end` (exclusive)."""
        results = await self._client.search(
            search_text="*", filter=_range(start, end), select=["id"], include_total_count=True, top=0
        )
        return int(await results.get_count() or 0)

    async def all(self) -> AsyncIterator[IndexedChunk]:
        """Yield every chunk, ordered by key."""
        async for chunk in self._scan(""):
            yield chunk

    async def other_pipeline(self, pipeline: str) -> str | None:
        """Return a pipeline other than the one named that has written chunks here, or None where there is none."""
        results = await self._client.search(
            search_text="*", filter=f"pipeline ne '{pipeline}'", select=["pipeline"], top=1
        )
        return next(iter([str(result["pipeline"]) async for result in results]), None)

    async def count(self) -> int:
        """Return the number of chunks."""
        return await self._client.get_document_count()

    async def count_documents(self) -> int:
        """Return the number of documents: each has one chunk that comes first."""
        results = await self._client.search(
            search_text="*", filter="ordinal eq 0", select=["id"], include_total_count=True, top=0
        )
        return int(await results.get_count() or 0)

    async def room(self) -> None:
        """Return when what waits to be written leaves room for more."""
        await self._writer.room()

    async def upload(self, chunks: Sequence[IndexedChunk], vectors: Vectors) -> float:
        """Write chunks whole, each with its vector: `vectors` has one row per chunk. Returns seconds waited."""
        return await self._writer.send(
            [
                {"@search.action": "upload", **chunk.fields(), VECTOR: vector}
                for chunk, vector in zip(chunks, vectors, strict=True)
            ],
            self._check,
        )

    async def merge(self, chunks: Sequence[IndexedChunk]) -> float:
        """Write all fields but the vector of chunks that exist; returns seconds waited.

        Raises ChunkMissing when one is gone.
        """
        return await self._writer.send([{"@search.action": "merge", **chunk.fields()} for chunk in chunks], self._check)

    async def delete(self, keys: Iterable[str]) -> float:
        """Delete chunks by key; those that are gone already are fine. Returns seconds waited."""
        return await self._writer.send([{"@search.action": "delete", "id": key} for key in keys], self._check)

    async def _scan(self, condition: str) -> AsyncIterator[IndexedChunk]:
        """Yield chunks, paging by key: the service refuses `$skip` beyond 100,000, and its pages shift under writes."""
        last = ""
        while True:
            beyond = f"id gt '{last}'" if last else ""
            clauses = [clause for clause in (condition, beyond) if clause]
            results = await self._client.search(
                search_text="*",
                filter=" and ".join(clauses) or None,
                order_by=["id asc"],
                select=list(SCALARS),
                top=PAGE,
            )
            found = [IndexedChunk.from_fields(result) for result in await results.all()]
            for chunk in found:
                yield chunk
            if len(found) < PAGE:
                return
            last = found[-1].id


def _range(start: str, end: str) -> str:
    return f"id ge '{start}' and id lt '{end}'"
