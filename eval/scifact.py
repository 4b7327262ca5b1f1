"""SciFact through the app's own retrieval: the hybrid search beside each of its legs (nDCG@10)."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
from azure.search.documents.models import VectorizedQuery

from bench.report import note
from bench.retrieval import embed, load, ndcg
from eval.corpus import settings_for
from shared.access import Access
from shared.chat.filters import Filters
from shared.chat.retrieval import NEAREST, Retriever, plain_words
from shared.clients import Services
from shared.index.schema import VECTOR, IndexedChunk
from tests.conftest import new_generation, running

DEPTH = 10
BATCH = 500


async def measure(values: dict[str, str]) -> dict[str, Any]:
    """Return nDCG@10 of both legs alone and of the hybrid as the app asks for it."""
    collection = load("scifact")
    ids = list(collection.documents)
    texts = list(collection.documents.values())
    model = values["OPENAI_EMBEDDING_MODEL"]
    vectors, computed = embed(texts, values["OPENAI_ENDPOINT"], model)
    note(f"scifact: {len(ids)} documents, {computed} vectors computed")
    scores: defaultdict[str, list[float]] = defaultdict(list)
    async with running(settings_for("scifact", values)) as made:
        generation = await new_generation(made)
        index = made.indexer.chunks(generation)
        for start in range(0, len(ids), BATCH):
            part = slice(start, start + BATCH)
            chunks = [_chunk(name, text, made.pipeline) for name, text in zip(ids[part], texts[part], strict=True)]
            await index.upload(chunks, vectors[part])
        retriever = Retriever(made)
        for query, text in collection.queries.items():
            wanted = collection.judgements[query]
            grounding = await retriever.find(text, Access(), Filters())
            scores["hybrid"].append(ndcg([hit.chunk.path for hit in grounding.hits[:DEPTH]], wanted))
            for leg, options in (await _legs(made, text)).items():
                results = await made.search_client(generation).search(select=["path"], top=DEPTH, **options)
                scores[leg].append(ndcg([hit["path"] async for hit in results], wanted))
    return {leg: round(float(np.mean(values)), 4) for leg, values in sorted(scores.items())}


async def _legs(made: Services, text: str) -> dict[str, dict[str, Any]]:
    (vector,) = await made.embedder.embed([text])
    query = VectorizedQuery(vector=vector.tolist(), k_nearest_neighbors=NEAREST, fields=VECTOR)
    return {"text": {"search_text": plain_words(text)}, "vectors": {"vector_queries": [query]}}


def _chunk(name: str, text: str, pipeline: str) -> IndexedChunk:
    """Return a document of the collection as one chunk: abstracts are as long as a chunk may be.

    Of another pipeline than the app's, the app would not compare its vectors with a question's.
    """
    return IndexedChunk(
        id=f"s{name}",
        document_id=f"s{name}",
        path=name,
        name="",
        title="",
        heading="",
        content=text,
        ordinal=0,
        chunk_count=1,
        page=None,
        version_id="",
        etag="",
        last_modified=datetime(2026, 1, 1, tzinfo=UTC),
        content_sha256="",
        allowed_groups=(),
        pipeline=pipeline,
        tags="",
    )
