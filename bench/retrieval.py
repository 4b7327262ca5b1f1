"""Test collections for retrieval: documents, queries, judgements, vectors, and nDCG."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from openai import OpenAI

from bench.report import CACHE, DATA, note

BATCH = 32

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Collection:
    """A test collection: texts by document id, texts by query id, and the graded judgements of each query."""

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    judgements: dict[str, dict[str, int]]


def load(name: str) -> Collection:
    """Return a collection of the shared data; only queries with a judgement."""
    folder = DATA / name
    documents = {}
    for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        documents[item["_id"]] = f"{item['title']}\n{item['text']}".strip()
    judgements: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, score = line.split("\t")
        judgements[query][document] = int(score)
    queries = {}
    for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if item["_id"] in judgements:
            queries[item["_id"]] = item["text"]
    return Collection(name, documents, queries, dict(judgements))


def embed(texts: Sequence[str], endpoint: str, model: str) -> tuple[Vectors, int]:
    """Return a vector for each text and how many had to be computed; the others were kept from an earlier run."""
    folder = CACHE / "vectors" / model
    folder.mkdir(parents=True, exist_ok=True)
    names = [folder / hashlib.sha256(text.encode()).hexdigest() for text in texts]
    missing = [at for at, name in enumerate(names) if not name.exists()]
    with OpenAI(base_url=endpoint, api_key="local") as client:
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            reply = client.embeddings.create(model=model, input=[texts[at] for at in part])
            for at, item in zip(part, reply.data, strict=True):
                names[at].write_bytes(np.array(item.embedding, dtype="<f4").tobytes())
            if start % (BATCH * 20) == 0:
                note(f"embedded {start + len(part)} of {len(missing)} texts")
    return np.stack([np.frombuffer(name.read_bytes(), dtype="<f4") for name in names]), len(missing)


def ndcg(ranked: Sequence[str], judgements: dict[str, int], depth: int = 10) -> float:
    """Return the normalised discounted cumulative gain at `depth` (Jarvelin, Kekalainen, TOIS 2002; linear gain)."""
    gain = sum(judgements.get(document, 0) / math.log2(rank + 2) for rank, document in enumerate(ranked[:depth]))
    best = sorted(judgements.values(), reverse=True)[:depth]
    return gain / sum(score / math.log2(rank + 2) for rank, score in enumerate(best))
