"""Reading and writing the chunks of one index: a generation, or the alias."""

from collections.abc import AsyncIterator, Iterable, Sequence

from azure.search.documents.aio import SearchClient
from azure.search.documents.models import VectorizedQuery

from shared.embeddings.record import Vectors
from shared.index.schema import SCALARS, VECTOR, IndexedChunk
from shared.index.writer import BulkWriter

PAGE = 1_000  # most results in one page


class Chunks:
    """The chunks of one index."""

    def __init__(self, client: SearchClient, writer: BulkWriter) -> None:
        self._client = client
        self._writer = writer

    async def of_document(self, document_id: str) -> tuple[IndexedChunk, ...]:
        """Return every chunk of one document, ordered by key; empty when it is not indexed."""
        return tuple([chunk async for chunk in self._scan(f"document_id eq '{document_id}'")])

    async def between(self, start: str, end: str) -> AsyncIterator[IndexedChunk]:
        """Yield the chunks whose keys lie from `start` (inclusive) to `end` (exclusive), ordered by key."""
        async for chunk in self._scan(f"id ge '{start}' and id lt '{end}'"):
            yield chunk

    async def findable(self, start: str, end: str, dimensions: int, most: int) -> frozenset[str]:
        """Return the keys in a range that a vector query finds, `most` at most: those that have a vector."""
        query = VectorizedQuery(
            vector=[1.0] + [0.0] * (dimensions - 1), k_nearest_neighbors=most, fields=VECTOR, exhaustive=True
        )
        results = await self._client.search(
            vector_queries=[query], filter=f"id ge '{start}' and id lt '{end}'", select=["id"], top=most
        )
        return frozenset([result["id"] async for result in results])

    async def all(self) -> AsyncIterator[IndexedChunk]:
        """Yield every chunk, ordered by key."""
        async for chunk in self._scan(""):
            yield chunk

    async def count(self) -> int:
        """Return the number of chunks."""
        return await self._client.get_document_count()

    async def count_documents(self) -> int:
        """Return the number of documents: each has one chunk that comes first."""
        results = await self._client.search(
            search_text="*", filter="ordinal eq 0", select=["id"], include_total_count=True, top=0
        )
        return int(await results.get_count() or 0)

    async def upload(self, chunks: Sequence[IndexedChunk], vectors: Vectors) -> float:
        """Write chunks whole, each with its vector: `vectors` has one row per chunk. Returns seconds waited."""
        return await self._writer.send(
            [
                {"@search.action": "upload", **chunk.fields(), VECTOR: vector}
                for chunk, vector in zip(chunks, vectors, strict=True)
            ]
        )

    async def merge(self, chunks: Sequence[IndexedChunk]) -> float:
        """Write all fields but the vector of chunks that exist; returns seconds waited.

        Raises ChunkMissing when one is gone.
        """
        return await self._writer.send([{"@search.action": "merge", **chunk.fields()} for chunk in chunks])

    async def delete(self, keys: Iterable[str]) -> float:
        """Delete chunks by key; those that are gone already are fine. Returns seconds waited."""
        return await self._writer.send([{"@search.action": "delete", "id": key} for key in keys])

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
            found = [IndexedChunk.from_fields(result) async for result in results]
            for chunk in found:
                yield chunk
            if len(found) < PAGE:
                return
            last = found[-1].id
