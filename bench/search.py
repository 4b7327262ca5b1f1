"""`make bench-search`: how well and how fast the local search service searches.

Quality: nDCG@10 on SciFact and CACM through the official SDK, each leg and both fused.
Speed: at 100,000 chunks of 384 dimensions, in one run: the service over HTTP, beside a bare script with the same
libraries (SQLite, tantivy, numpy) in one process, and beside one with the standard library's SQLite FTS5 and numpy.
"""

import argparse
import http.client
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
import tantivy
from azure.core.credentials import AzureKeyCredential
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient
from azure.search.documents.models import VectorizedQuery
from numpy.typing import NDArray

from bench.report import note, percentile, table, write
from bench.retrieval import Vectors, embed, load, ndcg
from local.processes import free_port
from local.search_service.analysis import analyzer, prepare, terms
from local.search_service.search import fuse
from shared.index.schema import index_definition
from tests.conftest import Service

KEY = AzureKeyCredential("local")
MODEL = "all-minilm-l6-v2-int8"
DIMENSIONS = 384
CHUNKS = 100_000
CHUNKS_A_DOCUMENT = 20
BATCH = 1_000
QUERIES = 200
SLOW_QUERIES = 40  # of them, for the standard library, which takes its time
UPSERTS = 100
NEAREST = 50
RECALL = 1_000
SEED = 7
GROUPS = ("staff", "board")

Hits = list[tuple[float, int]]


# ---- quality -------------------------------------------------------------------------------------------------------


def quality(url: str, model_url: str) -> dict[str, Any]:
    """Measure nDCG@10 of text, vectors and both, on two collections, through the SDK alone."""
    found: dict[str, Any] = {}
    for name in ("scifact", "cacm"):
        collection = load(name)
        ids = list(collection.documents)
        texts = [*collection.documents.values(), *collection.queries.values()]
        vectors, computed = embed(texts, model_url, MODEL)
        note(f"{name}: {len(ids)} documents, {len(collection.queries)} queries, {computed} vectors computed")
        with SearchIndexClient(url, KEY) as admin, SearchClient(url, name, KEY) as client:
            admin.create_index(index_definition(name, DIMENSIONS))
            for start in range(0, len(ids), BATCH):
                client.upload_documents(
                    [
                        {"id": str(at), "path": ids[at], "content": texts[at], "content_vector": vectors[at].tolist()}
                        for at in range(start, min(len(ids), start + BATCH))
                    ]
                )
            scores: defaultdict[str, list[float]] = defaultdict(list)
            for query, vector in zip(collection.queries, vectors[len(ids) :], strict=True):
                for leg, options in _legs(collection.queries[query], vector).items():
                    ranked = [hit["path"] for hit in client.search(select=["path"], top=10, **options)]
                    scores[leg].append(ndcg(ranked, collection.judgements[query]))
            admin.delete_index(name)
        found[name] = {leg: round(sum(values) / len(values), 4) for leg, values in scores.items()}
    return found


def _legs(text: str, vector: NDArray[np.float32]) -> dict[str, dict[str, Any]]:
    plain = " ".join(word for word in text.replace('"', " ").replace("-", " ").split())
    query = VectorizedQuery(vector=vector.tolist(), k_nearest_neighbors=NEAREST, fields="content_vector")
    return {
        "text": {"search_text": plain, "search_fields": ["content"]},
        "vectors": {"vector_queries": [query]},
        "hybrid": {"search_text": plain, "search_fields": ["content"], "vector_queries": [query]},
    }


# ---- the work that every contender does ----------------------------------------------------------------------------


class Corpus:
    """Chunks made of real sentences, with random unit vectors: the same for every contender and every run."""

    def __init__(self, chunks: int) -> None:
        draw = random.Random(SEED)
        sentences = [part for text in load("scifact").documents.values() for part in text.split(". ") if len(part) > 20]
        self.texts = [". ".join(draw.choices(sentences, k=4)) for _ in range(chunks)]
        vectors = np.random.default_rng(SEED).standard_normal((chunks, DIMENSIONS), dtype=np.float32)
        self.vectors: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self.groups = [[] if at // CHUNKS_A_DOCUMENT % 2 else [GROUPS[0]] for at in range(chunks)]
        self.queries = [" ".join(draw.choice(sentences).split()[:8]) for _ in range(QUERIES)]
        self.query_vectors = self.vectors[draw.sample(range(chunks), QUERIES)]

    def document(self, at: int) -> dict[str, Any]:
        """Return one chunk as the app writes it; the vector stays an array."""
        return {
            "id": f"{at:08d}",
            "document_id": f"d{at // CHUNKS_A_DOCUMENT}",
            "path": f"folder/d{at // CHUNKS_A_DOCUMENT}.md",
            "content": self.texts[at],
            "ordinal": at % CHUNKS_A_DOCUMENT,
            "allowed_groups": self.groups[at],
            "content_vector": self.vectors[at],
        }


class Contender(Protocol):
    """Something that stores chunks and answers hybrid queries over them."""

    def upload(self, documents: Sequence[dict[str, Any]]) -> None:
        """Store chunks: durable and visible when this returns."""

    def hybrid(self, text: str, vector: NDArray[np.float32], group: str | None) -> list[str]:
        """Return the keys of the ten best chunks; with a group only those that it may see."""


class BareEngine:
    """What a plain script would do with the same libraries: no HTTP, no schema, no checks."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "bare.db", autocommit=True)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;CREATE TABLE c (id TEXT PRIMARY KEY, body TEXT, v BLOB)"
        )
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("row", stored=False, indexed=True, fast=True)
        builder.add_text_field("content", tokenizer_name="en.lucene", index_option="position")
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema)
        self._index.register_tokenizer("en.lucene", analyzer("en.lucene"))
        self._writer = self._index.writer(64_000_000, 1)
        self._searcher = self._index.searcher()
        self._matrix = np.zeros((0, DIMENSIONS), dtype=np.float32)
        self._used = 0
        self._keys: list[str] = []
        self._rows: dict[str, int] = {}
        self._open: list[frozenset[str]] = []

    def upload(self, documents: Sequence[dict[str, Any]]) -> None:
        """Store chunks."""
        bodies = [{name: value for name, value in one.items() if name != "content_vector"} for one in documents]
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT OR REPLACE INTO c VALUES (?, ?, ?)",
            [
                (one["id"], orjson.dumps(body).decode(), one["content_vector"].tobytes())
                for one, body in zip(documents, bodies, strict=True)
            ],
        )
        self._db.execute("COMMIT")
        gone = [self._rows[one["id"]] for one in documents if one["id"] in self._rows]
        if gone:
            self._writer.delete_documents_by_query(tantivy.Query.term_set_query(self._schema, "row", gone))
        for one in documents:
            row = self._rows.get(one["id"])
            if row is None:
                row = self._rows[one["id"]] = len(self._keys)
                self._keys.append(one["id"])
                self._open.append(frozenset(one["allowed_groups"]))
            if row >= len(self._matrix):
                grown = np.zeros((max(1_024, 2 * len(self._matrix)), DIMENSIONS), dtype=np.float32)
                grown[: len(self._matrix)] = self._matrix
                self._matrix = grown
            self._matrix[row] = one["content_vector"]
            self._used = max(self._used, row + 1)
            document = tantivy.Document()
            document.add_unsigned("row", row)
            document.add_text("content", prepare("en.lucene", one["content"]))
            self._writer.add_document(document)
        self._writer.commit()
        self._index.reload()
        self._searcher = self._index.searcher()

    def hybrid(self, text: str, vector: NDArray[np.float32], group: str | None) -> list[str]:
        """Search both legs, fuse, and look the chunks up."""
        words = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "content", word))
            for word in terms("en.lucene", text)
        ]
        looked = RECALL if group is None else 2 * RECALL
        found = self._searcher.search(tantivy.Query.boolean_query(words), limit=looked)
        rows = self._searcher.fast_field_values("row", [address for _, address in found.hits])
        textual: Hits = [(float(score or 0), int(row or 0)) for (score, _), row in zip(found.hits, rows, strict=True)]
        scores = self._matrix[: self._used] @ vector
        if group is not None:
            mask = self._mask(group)
            textual = [hit for hit in textual if mask[hit[1]]][:RECALL]
            scores = np.where(mask, scores, -np.inf)
        best = np.argpartition(-scores, NEAREST)[:NEAREST]
        near: Hits = sorted(((float(scores[row]), int(row)) for row in best), reverse=True)
        keys = [self._keys[row] for _, row in fuse([(1.0, textual), (1.0, near)])[:10]]
        return [
            orjson.loads(self._db.execute("SELECT body FROM c WHERE id = ?", (key,)).fetchone()[0])["id"]
            for key in keys
        ]

    def _mask(self, group: str) -> NDArray[np.bool_]:
        key = (group, self._used)
        if getattr(self, "_masked", None) != key:
            self._masked = key
            self._kept = np.array([not allowed or group in allowed for allowed in self._open], dtype=bool)
        return self._kept


class StandardLibrary:
    """SQLite FTS5 and numpy: what needs no search library at all."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / "fts.db", autocommit=True)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE c (row INTEGER PRIMARY KEY, id TEXT UNIQUE, body TEXT, open INTEGER, v BLOB);"
            "CREATE VIRTUAL TABLE t USING fts5(content, tokenize='porter unicode61');"
        )
        self._parts: list[NDArray[np.float32]] = []
        self._matrix = np.zeros((0, DIMENSIONS), dtype=np.float32)

    def upload(self, documents: Sequence[dict[str, Any]]) -> None:
        """Store chunks (new ones only: it is not measured with changes)."""
        start = len(self._matrix) + sum(len(part) for part in self._parts)
        self._db.execute("BEGIN")
        for at, one in enumerate(documents):
            body = orjson.dumps({name: value for name, value in one.items() if name != "content_vector"}).decode()
            self._db.execute(
                "INSERT INTO c VALUES (?, ?, ?, ?, ?)",
                (start + at, one["id"], body, not one["allowed_groups"], one["content_vector"].tobytes()),
            )
            self._db.execute("INSERT INTO t (rowid, content) VALUES (?, ?)", (start + at, one["content"]))
        self._db.execute("COMMIT")
        self._parts.append(np.stack([one["content_vector"] for one in documents]))

    def hybrid(self, text: str, vector: NDArray[np.float32], group: str | None) -> list[str]:
        """Search both legs, fuse, and look the chunks up."""
        if self._parts:
            self._matrix = np.concatenate([self._matrix, *self._parts])
            self._parts = []
        match = " OR ".join(f'"{word}"' for word in text.replace('"', " ").split())
        condition = "" if group is None else " AND rowid IN (SELECT row FROM c WHERE open OR ? = 'staff')"
        values = (match,) if group is None else (match, group)
        rows = self._db.execute(
            f"SELECT rowid, bm25(t) FROM t WHERE t MATCH ?{condition} ORDER BY bm25(t) LIMIT {RECALL}", values
        ).fetchall()
        textual: Hits = [(-score, row) for row, score in rows]
        scores = self._matrix @ vector
        best = np.argpartition(-scores, NEAREST)[:NEAREST]
        near: Hits = sorted(((float(scores[row]), int(row)) for row in best), reverse=True)
        fused = fuse([(1.0, textual), (1.0, near)])[:10]
        return [
            orjson.loads(self._db.execute("SELECT body FROM c WHERE row = ?", (row,)).fetchone()[0])["id"]
            for _, row in fused
        ]


class OverHttp:
    """The service in a process of its own, over one kept connection."""

    def __init__(self, port: int, name: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._name = name

    def upload(self, documents: Sequence[dict[str, Any]]) -> None:
        """Send one batch."""
        actions = [{"@search.action": "upload", **one} for one in documents]
        said = self._post("search.index", orjson.dumps({"value": actions}, option=orjson.OPT_SERIALIZE_NUMPY))
        if not all(item["status"] for item in said["value"]):
            raise RuntimeError(f"an action failed: {said}")

    def hybrid(self, text: str, vector: NDArray[np.float32], group: str | None) -> list[str]:
        """Send one search."""
        body = {
            "search": text,
            "searchFields": "content",
            "top": 10,
            "select": "id,document_id,path,content,ordinal",
            "vectorQueries": [{"kind": "vector", "vector": vector, "k": NEAREST, "fields": "content_vector"}],
        }
        if group is not None:
            body["filter"] = f"not allowed_groups/any() or allowed_groups/any(g: search.in(g, '{group}', '|'))"
        return [
            hit["id"]
            for hit in self._post("search.post.search", orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))["value"]
        ]

    def _post(self, verb: str, body: bytes) -> Any:
        path = f"/indexes('{self._name}')/docs/{verb}?api-version=2026-04-01"
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        reply = self._connection.getresponse()
        content = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{reply.status}: {content[:300]!r}")
        return orjson.loads(content)


# ---- speed ---------------------------------------------------------------------------------------------------------


def measure(contender: Contender, corpus: Corpus, upserts: bool, queries: int = QUERIES) -> dict[str, float]:
    """Upload everything, ask everything, then change single chunks; times in milliseconds, the rate in chunks/s."""
    documents = [corpus.document(at) for at in range(len(corpus.texts))]
    started = time.perf_counter()
    for start in range(0, len(documents), BATCH):
        contender.upload(documents[start : start + BATCH])
    figures = {"upload_per_second": len(documents) / (time.perf_counter() - started)}
    for name, group in (("hybrid", None), ("filtered", GROUPS[1])):
        contender.hybrid(corpus.queries[0], corpus.query_vectors[0], group)
        spent = [
            _timed(partial(contender.hybrid, text, vector, group))
            for text, vector in zip(corpus.queries[:queries], corpus.query_vectors[:queries], strict=True)
        ]
        figures |= {f"{name}_p50": percentile(spent, 0.5), f"{name}_p95": percentile(spent, 0.95)}
    if upserts:
        figures["upsert_p50"] = percentile(
            [_timed(partial(contender.upload, [one])) for one in documents[:UPSERTS]], 0.5
        )
    return figures


def _timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def over_sdk(url: str, name: str, corpus: Corpus) -> float:
    """Return the chunks a second of the SDK's own upload of a few batches, for comparison."""
    documents = [{**corpus.document(at), "content_vector": corpus.vectors[at].tolist()} for at in range(5 * BATCH)]
    with SearchClient(url, name, KEY) as client:
        started = time.perf_counter()
        for start in range(0, len(documents), BATCH):
            client.upload_documents(documents[start : start + BATCH])
        return len(documents) / (time.perf_counter() - started)


def resident_megabytes(pid: int) -> float:
    """Return the memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def speed(chunks: int, folder: Path) -> dict[str, Any]:
    """Measure every contender on the same chunks and queries."""
    note(f"making {chunks} chunks")
    corpus = Corpus(chunks)
    note("the bare engine")
    bare = measure(BareEngine(folder), corpus, upserts=True)
    note("the standard library")
    standard = measure(StandardLibrary(folder), corpus, upserts=False, queries=SLOW_QUERIES)
    note("the service over HTTP")
    port = free_port()
    data = ("--data", str(folder / "service"))
    service = Service("local.search_service", "--port", str(port), *data, log=folder / "log")
    with SearchIndexClient(service.url, KEY) as admin:
        admin.create_index(index_definition("chunks", DIMENSIONS))
        served = measure(OverHttp(port, "chunks"), corpus, upserts=True)
        memory = resident_megabytes(service.process.pid)
        admin.create_index(index_definition("bysdk", DIMENSIONS))
        sdk_rate = over_sdk(service.url, "bysdk", corpus)
        admin.delete_index("bysdk")
    service.stop()
    note("starting again from disk")
    started = time.perf_counter()
    service = Service("local.search_service", "--port", str(free_port()), *data, log=folder / "log")
    start_seconds = time.perf_counter() - started
    service.stop()
    return {
        "chunks": chunks,
        "bare": bare,
        "standard_library": standard,
        "service": served,
        "service_memory_mb": memory,
        "service_start_seconds": start_seconds,
        "sdk_upload_per_second": sdk_rate,
    }


def verdicts(found: dict[str, Any]) -> Iterator[tuple[str, float, str, bool]]:
    """Yield what was asked of the service: what, measured, mark, whether it is met."""
    if "quality" in found:
        marks = {"scifact": {"text": 0.669, "vectors": 0.635, "hybrid": 0.70}, "cacm": {"hybrid": 0.51}}
        for name, legs in marks.items():
            for leg, mark in legs.items():
                value = found["quality"][name][leg]
                yield f"nDCG@10 {name} {leg}", value, f">= {mark}", value >= mark
    bare, served, standard = found["bare"], found["service"], found["standard_library"]
    for name in ("hybrid", "filtered"):
        ratio = served[f"{name}_p50"] / bare[f"{name}_p50"]
        yield f"{name} p50 / bare engine", ratio, "<= 1.5", ratio <= 1.5
        gain = standard[f"{name}_p50"] / served[f"{name}_p50"]
        yield f"{name}: standard library p50 / service", gain, ">= 2", gain >= 2
    share = served["upload_per_second"] / bare["upload_per_second"]
    yield "bulk upload / bare engine", share, ">= 0.5", share >= 0.5
    beyond = served["upsert_p50"] - bare["upsert_p50"]
    yield "single upsert beyond bare engine, ms", beyond, "<= 5", beyond <= 5
    yield "start from disk, s", found["service_start_seconds"], "<= 10", found["service_start_seconds"] <= 10


def main() -> int:
    """Run both parts; returns 1 when a mark is missed."""
    parser = argparse.ArgumentParser(prog="bench.search", description=__doc__)
    parser.add_argument("--chunks", type=int, default=CHUNKS)
    parser.add_argument("--no-quality", action="store_true", help="speed only")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="warmlake-bench-") as name:
        folder = Path(name)
        if not options.no_quality:
            model = Service("local.model_service", log=folder / "model.log")
            service = Service("local.search_service", "--data", str(folder / "quality"), log=folder / "quality.log")
            found["quality"] = quality(service.url, f"{model.url}/openai/v1")
            service.stop()
            model.stop()
        found |= speed(options.chunks, folder)
    if "quality" in found:
        rows = [
            [name, *(legs[leg] for leg in ("text", "vectors", "hybrid"))] for name, legs in found["quality"].items()
        ]
        table("nDCG@10 through the SDK", ["collection", "text", "vectors", "hybrid"], rows)
    head = ["", "upload/s", "hybrid p50", "p95", "filtered p50", "p95", "upsert p50"]
    keys = ["upload_per_second", "hybrid_p50", "hybrid_p95", "filtered_p50", "filtered_p95", "upsert_p50"]
    rows = [[who, *(found[who].get(key, "-") for key in keys)] for who in ("service", "bare", "standard_library")]
    table(f"{found['chunks']:,} chunks of {DIMENSIONS} dimensions, milliseconds", head, rows)
    print(
        f"  upload through the SDK's upload_documents: {found['sdk_upload_per_second']:,.0f}/s (the client's own work)"
    )
    print(f"  memory of the service: {found['service_memory_mb']:,.0f} MB")
    judged = list(verdicts(found))
    table(
        "marks",
        ["", "measured", "mark", "met"],
        [[what, value, mark, "yes" if met else "NO"] for what, value, mark, met in judged],
    )
    found["marks"] = {what: {"measured": value, "mark": mark, "met": met} for what, value, mark, met in judged}
    write("search", found, ["tantivy", "numpy", "azure-search-documents", "aiohttp"])
    return 0 if all(met for *_, met in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
