"""Who is compared at searching: the service over HTTP, its engine in process, and two plain scripts."""

import http.client
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
import tantivy
from numpy.typing import NDArray

from local.search_service.analysis import analyzer, prepare, terms
from local.search_service.request import parse_search
from local.search_service.search import fuse, search
from local.search_service.service import SearchService

NEAREST = 50  # vectors that take part in a fusion
RECALL = 1_000  # texts that do
TOP = 10

Vector = NDArray[np.float32]
Hits = list[tuple[float, int]]
Document = Mapping[str, Any]


class Contender(Protocol):
    """Something that stores chunks and answers hybrid queries over them."""

    def upload(self, documents: Sequence[Document]) -> None:
        """Store chunks, new or changed: durable and visible when this returns."""

    def hybrid(self, text: str, vector: Vector, group: str | None) -> list[str]:
        """Return the keys of the ten best chunks; with a group only those that it may see."""


class Matrix:
    """Vectors by row, and the rows that a group may see: as little as a script needs."""

    def __init__(self, dimensions: int) -> None:
        self._values = np.zeros((1_024, dimensions), dtype=np.float32)
        self._allowed: list[frozenset[str]] = []
        self._masks: dict[str, NDArray[np.bool_]] = {}

    def put(self, row: int, vector: Vector, groups: Sequence[str]) -> None:
        """Set a row, at most one beyond the last."""
        if row == len(self._values):
            self._values = np.concatenate([self._values, np.zeros_like(self._values)])
        self._values[row] = vector
        self._allowed[row : row + 1] = [frozenset(groups)]
        self._masks.clear()

    def mask(self, group: str) -> NDArray[np.bool_]:
        """Return which rows a group may see; kept until the next write."""
        if group not in self._masks:
            self._masks[group] = np.array([not groups or group in groups for groups in self._allowed], dtype=bool)
        return self._masks[group]

    def nearest(self, vector: Vector, group: str | None) -> Hits:
        """Return the best rows by inner product."""
        scores = self._values[: len(self._allowed)] @ vector
        if group is not None:
            scores = np.where(self.mask(group), scores, -np.inf)
        best = np.argpartition(-scores, NEAREST)[:NEAREST]
        return sorted(((float(scores[row]), int(row)) for row in best), reverse=True)


class BareEngine:
    """What a plain script does with the same libraries: SQLite, tantivy, numpy. No HTTP, no schema, no checks."""

    def __init__(self, folder: Path, dimensions: int) -> None:
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
        self._matrix = Matrix(dimensions)
        self._rows: dict[str, int] = {}
        self._keys: list[str] = []

    def upload(self, documents: Sequence[Document]) -> None:
        """Store chunks."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO c VALUES (?, ?, ?)", map(_stored, documents))
        self._db.execute("COMMIT")
        gone = [self._rows[one["id"]] for one in documents if one["id"] in self._rows]
        if gone:
            self._writer.delete_documents_by_query(tantivy.Query.term_set_query(self._schema, "row", gone))
        for one in documents:
            row = self._rows.setdefault(one["id"], len(self._keys))
            if row == len(self._keys):
                self._keys.append(one["id"])
            self._matrix.put(row, one["content_vector"], one["allowed_groups"])
            document = tantivy.Document()
            document.add_unsigned("row", row)
            document.add_text("content", prepare("en.lucene", one["content"]))
            self._writer.add_document(document)
        self._writer.commit()
        self._index.reload()
        self._searcher = self._index.searcher()

    def hybrid(self, text: str, vector: Vector, group: str | None) -> list[str]:
        """Search both legs, fuse, and look the chunks up."""
        words = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "content", word))
            for word in terms("en.lucene", text)
        ]
        found = self._searcher.search(tantivy.Query.boolean_query(words), limit=RECALL * (1 if group is None else 2))
        rows = self._searcher.fast_field_values("row", [address for _, address in found.hits])
        textual: Hits = [(float(score or 0), int(row or 0)) for (score, _), row in zip(found.hits, rows, strict=True)]
        if group is not None:
            mask = self._matrix.mask(group)
            textual = [hit for hit in textual if mask[hit[1]]][:RECALL]
        best = fuse([(1.0, textual), (1.0, self._matrix.nearest(vector, group))])[:TOP]
        return [_looked_up(self._db, self._keys[row]) for _, row in best]


class StandardLibrary:
    """What a plain script does without a search library: SQLite's FTS5 for text, numpy for vectors."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._db = sqlite3.connect(folder / "standard.db", autocommit=True)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE c (id TEXT PRIMARY KEY, body TEXT, v BLOB);"
            "CREATE VIRTUAL TABLE t USING fts5(content, tokenize='porter unicode61');"
        )
        self._matrix = Matrix(dimensions)
        self._rows: dict[str, int] = {}
        self._keys: list[str] = []

    def upload(self, documents: Sequence[Document]) -> None:
        """Store chunks."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO c VALUES (?, ?, ?)", map(_stored, documents))
        for one in documents:
            row = self._rows.setdefault(one["id"], len(self._keys))
            if row == len(self._keys):
                self._keys.append(one["id"])
            self._matrix.put(row, one["content_vector"], one["allowed_groups"])
        self._db.executemany(
            "INSERT OR REPLACE INTO t (rowid, content) VALUES (?, ?)",
            [(self._rows[one["id"]] + 1, one["content"]) for one in documents],
        )
        self._db.execute("COMMIT")

    def hybrid(self, text: str, vector: Vector, group: str | None) -> list[str]:
        """Search both legs, fuse, and look the chunks up."""
        # FTS5 knows no stop words: with them in the query it would rank nearly every chunk.
        match = " OR ".join(f'"{word}"' for word in text.split() if terms("en.lucene", word))
        # The filter is a mask here too: as a condition in SQL it made FTS5 fifty times slower.
        found = self._db.execute(
            "SELECT rowid - 1, -rank FROM t WHERE t MATCH ? ORDER BY rank LIMIT ?",
            (match, RECALL * (1 if group is None else 2)),
        )
        textual: Hits = [(score, row) for row, score in found]
        if group is not None:
            mask = self._matrix.mask(group)
            textual = [hit for hit in textual if mask[hit[1]]][:RECALL]
        best = fuse([(1.0, textual), (1.0, self._matrix.nearest(vector, group))])[:TOP]
        return [_looked_up(self._db, self._keys[row]) for _, row in best]


class InProcess:
    """The service's engine without HTTP and JSON: schema, checks, store, all that a search does."""

    def __init__(self, folder: Path, definition: Mapping[str, Any]) -> None:
        self._service = SearchService(folder / "engine")
        self._service.create_index(definition)
        self._index = self._service.index(definition["name"])

    def close(self) -> None:
        """Close its file."""
        self._service.close()

    def upload(self, documents: Sequence[Document]) -> None:
        """Store chunks, their vectors as lists of floats: what the engine is given by a request."""
        self._index.write([{**one, "content_vector": one["content_vector"].tolist()} for one in documents])

    def hybrid(self, text: str, vector: Vector, group: str | None) -> list[str]:
        """Run one search request."""
        asked = parse_search(self._index.schema, _request(text, vector.tolist(), group))
        return [hit.document["id"] for hit in search(self._index, asked).hits]


class OverHttp:
    """The service in a process of its own, over one kept connection."""

    def __init__(self, port: int, name: str, api_key: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._name = name
        self._headers = {"Content-Type": "application/json", **({"api-key": api_key} if api_key else {})}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def upload(self, documents: Sequence[Document]) -> None:
        """Send one batch."""
        actions = [{"@search.action": "upload", **one} for one in documents]
        said = self._post("search.index", {"value": actions})
        if not all(item["status"] for item in said["value"]):
            raise RuntimeError(f"an action failed: {said}")

    def hybrid(self, text: str, vector: Vector, group: str | None) -> list[str]:
        """Send one search."""
        return [hit["id"] for hit in self._post("search.post.search", _request(text, vector, group))["value"]]

    def _post(self, verb: str, body: Mapping[str, Any]) -> Any:
        path = f"/indexes('{self._name}')/docs/{verb}?api-version=2026-04-01"
        sent = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        self._connection.request("POST", path, sent, self._headers)
        reply = self._connection.getresponse()
        content = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{reply.status}: {content[:300]!r}")
        return orjson.loads(content)


def _request(text: str, vector: Vector | list[float], group: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "search": text,
        "searchFields": "content",
        "top": TOP,
        "select": "id,document_id,path,content,ordinal",
        "vectorQueries": [{"kind": "vector", "vector": vector, "k": NEAREST, "fields": "content_vector"}],
    }
    if group is not None:
        body["filter"] = f"not allowed_groups/any() or allowed_groups/any(g: search.in(g, '{group}', '|'))"
    return body


def _stored(one: Document) -> tuple[str, str, bytes]:
    body = {name: value for name, value in one.items() if name != "content_vector"}
    return one["id"], orjson.dumps(body).decode(), one["content_vector"].tobytes()


def _looked_up(db: sqlite3.Connection, key: str) -> str:
    body = orjson.loads(db.execute("SELECT body FROM c WHERE id = ?", (key,)).fetchone()[0])
    return str(body["id"])
