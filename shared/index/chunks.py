"""Reading and writing the chunks of one generation.

The service answers every action with its own status, and HTTP 207 when some failed: only those are sent again. A batch
never exceeds the service's 1,000 actions or 16 MB.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.search.documents.aio import SearchClient
from azure.search.documents.models import IndexAction, IndexDocumentsBatch

from shared.embeddings.record import Vectors
from shared.errors import Throttled
from shared.index.schema import SCALARS, VECTOR, IndexedChunk

logger = logging.getLogger(__name__)

MAX_ACTIONS = 1_000  # actions the service takes in one batch
MAX_BYTES = 15_000_000  # the service takes 16 MB; headroom for the envelope
PAGE = 1_000  # most results in one page
ATTEMPTS = 6  # tries of one action before the caller's own retry takes over
FIRST_WAIT = 0.5  # seconds before the second try; doubles, with jitter
TRANSIENT = frozenset({409, 422, 429, 503})  # statuses that the service asks clients to retry

Action = dict[str, Any]


class ChunkMissing(Exception):
    """A merge found no such chunk: the index changed underneath, and the caller looks at it again."""


class Chunks:
    """The chunks of one index (a generation, or the alias)."""

    def __init__(self, client: SearchClient) -> None:
        self._client = client

    async def of_document(self, document_id: str) -> tuple[IndexedChunk, ...]:
        """Return every chunk of one document, ordered by key; empty when it is not indexed."""
        return tuple([chunk async for chunk in self._scan(f"document_id eq '{document_id}'")])

    async def all(self) -> AsyncIterator[IndexedChunk]:
        """Yield every chunk, ordered by key.

        Pages go by key ranges: the service refuses `$skip` beyond 100,000 and pages by it shift under concurrent
        writes.
        """
        async for chunk in self._scan(""):
            yield chunk

    async def count(self) -> int:
        """Return the number of chunks."""
        return await self._client.get_document_count()

    async def upload(self, chunks: Sequence[IndexedChunk], vectors: Vectors) -> None:
        """Write chunks whole, each with its vector: `vectors` has one row per chunk."""
        await self._send(
            {"@search.action": "upload", **chunk.fields(), VECTOR: vector.tolist()}
            for chunk, vector in zip(chunks, vectors, strict=True)
        )

    async def merge(self, chunks: Sequence[IndexedChunk]) -> None:
        """Write all fields but the vector of chunks that exist. Raises ChunkMissing when one is gone."""
        await self._send({"@search.action": "merge", **chunk.fields()} for chunk in chunks)

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete chunks by key; those that are gone already are fine."""
        await self._send({"@search.action": "delete", "id": key} for key in keys)

    async def _scan(self, condition: str) -> AsyncIterator[IndexedChunk]:
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

    async def _send(self, actions: Iterable[Action]) -> None:
        for batch in batches(actions):
            await self._send_batch(batch)

    async def _send_batch(self, batch: list[Action]) -> None:
        """Send one batch until every action succeeded. Raises Throttled when the service keeps refusing some."""
        waiting = batch
        wait = FIRST_WAIT
        for _ in range(ATTEMPTS):
            request = IndexDocumentsBatch(actions=[IndexAction(action) for action in waiting])
            results = await self._client.index_documents(request)
            failed = {result.key: result for result in results if not result.succeeded}
            for result in failed.values():
                if result.status_code == 404:
                    raise ChunkMissing(result.key)
                if result.status_code not in TRANSIENT:
                    raise HttpResponseError(f"chunk {result.key!r}: {result.status_code} {result.error_message}")
            if not failed:
                return
            waiting = [action for action in waiting if action["id"] in failed]
            logger.warning("index_write retrying=%d of=%d wait=%.1fs", len(waiting), len(batch), wait)
            await asyncio.sleep(wait * random.uniform(0.5, 1.5))
            wait *= 2
        raise Throttled(f"the search service refused {len(waiting)} actions {ATTEMPTS} times", retry_after=wait)


def batches(actions: Iterable[Action], size: Callable[[Action], int] | None = None) -> Iterator[list[Action]]:
    """Pack actions, in order, into batches within the service's limits."""
    measure = size or (lambda action: len(json.dumps(action)))
    batch: list[Action] = []
    used = 0
    for action in actions:
        cost = measure(action)
        if batch and (len(batch) == MAX_ACTIONS or used + cost > MAX_BYTES):
            yield batch
            batch, used = [], 0
        batch.append(action)
        used += cost
    if batch:
        yield batch
