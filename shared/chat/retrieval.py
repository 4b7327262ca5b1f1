"""Retrieval: from a question to the passages that an answer may stand on.

Hybrid search (BM25 and vectors, fused by reciprocal rank), reranked by the service's semantic ranker where that is
switched on. What comes back is checked once more: access, versions, repeats; then passages are chosen to a budget of
tokens and joined with the chunks beside them.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, ServiceRequestError, ServiceResponseError

from shared.access import Access, visible
from shared.chat.filters import Filters
from shared.chat.passages import Hit, Passage, choose, join_neighbours, missing_neighbours, newest_versions
from shared.chat.relevance import Relevance, relevance
from shared.clients import Services
from shared.documents import count_tokens
from shared.embeddings.record import Vectors
from shared.errors import NotReady
from shared.index.client import vector_query
from shared.index.schema import SCALARS, SEMANTIC_CONFIGURATION, VECTOR, IndexedChunk

NEAREST = 50  # candidates of the vector leg; the text leg has as many by the service's default
FETCHED = 40  # results looked at before superseded versions and repeats are dropped
QUERY_WORDS = 300  # of a longer question the text leg gets this many: the service bounds the clauses of a query
SEMANTIC_MILLISECONDS = 2_000  # after this the service answers in the order of the fusion
# The search has another filter, which the debug context does not show: it names folders that are closed to the caller.
ACCESS_ADDED = "what the caller may not see is filtered out as well"
_OPERATORS = re.compile(r'[+|"()*~\\]|(?<!\S)-+')


@dataclass(frozen=True, slots=True)
class Grounding:
    """What an answer stands on: the query, the generation searched, the passages chosen, how near they are.

    `hits` is what was found and may be shown, best first; `filter` is what the caller narrowed the search to;
    `seconds` is what finding it took.
    """

    query: str
    generation: str
    passages: tuple[Passage, ...]
    relevance: Relevance
    hits: tuple[Hit, ...] = ()
    filter: str = ""
    seconds: float = 0.0

    def debug(self) -> dict[str, Any]:
        """Return how the passages were found, for people who tune it."""
        places = {part.id: passage.n for passage in self.passages for part in passage.parts}
        merged = {(other.id, passage.n) for passage in self.passages for other in passage.also_in}
        return {
            "query": self.query,
            "filter": self.filter,
            "access": ACCESS_ADDED,
            "relevance": self.relevance.shown(),
            "passages": [passage.citation() for passage in self.passages],
            "scores": [{"n": passage.n, "score": passage.score} for passage in self.passages],
            "hits": [
                {
                    "path": hit.chunk.path,
                    "page": hit.chunk.page,
                    "ordinal": hit.chunk.ordinal,
                    "version_id": hit.chunk.version_id,
                    "score": hit.score,
                    "passage": places.get(hit.chunk.id),
                    "same_as": next((n for key, n in merged if key == hit.chunk.id), None),
                }
                for hit in self.hits
            ],
        }


class Retriever:
    """Finds passages in one region's live generation."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    async def find(self, query: str, access: Access, filters: Filters) -> Grounding:
        """Return the passages for a query, of what the caller may see. Raises NotReady or what the services raise."""
        started = time.monotonic()
        try:
            generation, vectors = await asyncio.gather(
                self._services.generations.require_live(), self._services.embedder.embed([query])
            )
            # Vectors of two models cannot be compared: until the rebuild, words alone find passages.
            if not await self._services.built.comparable(generation):
                vectors = vectors[:0]
            found = await self._search(generation, query, vectors, access, filters)
        except ResourceNotFoundError as error:  # the generation went away between the two calls: a rebuild has ended
            raise NotReady("the index has just been exchanged; ask again") from error
        except (ServiceRequestError, ServiceResponseError) as error:
            raise NotReady(f"the search service does not answer: {type(error).__name__}") from error
        except HttpResponseError as error:
            if error.status_code in (429, 503):
                raise NotReady(f"the search service is too busy (status {error.status_code})") from error
            raise
        return Grounding(
            query, generation, found.passages, found.relevance, found.hits, found.filter, time.monotonic() - started
        )

    async def _search(
        self, generation: str, query: str, vectors: Vectors, access: Access, filters: Filters
    ) -> Grounding:
        """Search with the question's vector, the one row of `vectors`; without one, by words alone."""
        condition = " and ".join(part for part in (access.filter(), filters.odata()) if part)
        client = self._services.bulk_client(generation)

        async def hybrid() -> list[Hit]:
            results = await client.search(
                search_text=plain_words(query),
                vector_queries=[vector_query(vector, NEAREST, VECTOR) for vector in vectors],
                filter=condition,
                select=list(SCALARS),
                top=FETCHED,
                more=self._semantic(query),
            )
            return [Hit(IndexedChunk.from_fields(item), _score(item)) async for item in results]

        async def nearest() -> float:
            """Return the cosine of the chunk nearest to the question: scores of a fusion only say what comes first."""
            if not len(vectors):
                return 0.0
            results = await client.search(
                vector_queries=[vector_query(vectors[0], 1, VECTOR)],
                filter=condition,
                select=["id"],
                top=1,
            )
            return max([cosine(item["@search.score"]) async for item in results], default=0.0)

        found, closest = await asyncio.gather(hybrid(), nearest())
        hits = newest_versions(visible(found, access))
        settings = self._settings
        passages = choose(hits, settings.chat_passages, settings.chat_context_tokens, count_tokens)
        if settings.chat_neighbours and passages:
            passages = await self._with_neighbours(generation, passages, access)
        return Grounding(query, generation, passages, relevance(query, closest, passages), tuple(hits), filters.odata())

    async def _with_neighbours(
        self, generation: str, passages: Sequence[Passage], access: Access
    ) -> tuple[Passage, ...]:
        wanted = missing_neighbours(passages, self._settings.chat_neighbours)
        if not wanted:
            return tuple(passages)
        places = [
            f"(document_id eq '{document}' and ordinal ge {part.start} and ordinal lt {part.stop})"
            for document, _, part in wanted
        ]
        results = await self._services.bulk_client(generation).search(
            search_text="*",
            filter=f"({' or '.join(places)}) and {access.filter()}",
            select=list(SCALARS),
            order_by=["ordinal desc"],
            top=sum(len(part) for _, _, part in wanted),
        )
        found = [Hit(IndexedChunk.from_fields(item), 0.0) async for item in results]
        versions = {(document, version) for document, version, _ in wanted}
        same = [
            hit.chunk for hit in visible(found, access) if (hit.chunk.document_id, hit.chunk.version_id) in versions
        ]
        return join_neighbours(passages, same, self._settings.chat_context_tokens, count_tokens)

    def _semantic(self, query: str) -> dict[str, Any]:
        """Return what asks for the semantic ranker, where there is one. Out of capacity, the service leaves it out."""
        if not self._settings.search_semantic:
            return {}
        return {
            "queryType": "semantic",
            "semanticConfiguration": SEMANTIC_CONFIGURATION,
            "semanticQuery": query,
            "semanticErrorHandling": "partial",
            "semanticMaxWaitInMilliseconds": SEMANTIC_MILLISECONDS,
        }


def plain_words(question: str) -> str:
    """Return a question as words: what the query language would take for operators is taken out."""
    return " ".join(_OPERATORS.sub(" ", question).split()[:QUERY_WORDS])


def cosine(score: float) -> float:
    """Return the cosine behind a vector query's score, which is 1 / (2 - cosine).

    https://learn.microsoft.com/azure/search/vector-search-ranking#scores-in-a-vector-search-results
    """
    return 2.0 - 1.0 / score if score else 0.0


def _score(item: dict[str, Any]) -> float:
    """Return the semantic ranker's score where it ranked, else the fusion's."""
    return float(item.get("@search.rerankerScore") or item["@search.score"])
