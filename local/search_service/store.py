"""The durable store: index definitions, aliases and documents in one SQLite file.

A batch is one transaction: acknowledged, it survives the process's death; unacknowledged, it is whole or absent. (With
`synchronous=NORMAL` a loss of power may undo the last batches; the death of the process cannot.)
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from local.search_service.fields import Vector

_SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS indexes (name TEXT PRIMARY KEY, definition TEXT NOT NULL, etag TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS aliases (name TEXT PRIMARY KEY, target TEXT NOT NULL, etag TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    name TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, vectors BLOB NOT NULL, PRIMARY KEY (name, key)
) WITHOUT ROWID;
"""

_PAGE = 5_000  # documents read at once at the start

Vectors = Mapping[str, Vector]  # by field
StoredDocument = tuple[str, dict[str, Any], Vectors]
Written = tuple[str, dict[str, Any], Vectors | None]  # key, body, vectors; None leaves those that are there

_UPSERT = "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)"
_UPDATE = "UPDATE documents SET body = ? WHERE name = ? AND key = ?"
_DELETE = "DELETE FROM documents WHERE name = ? AND key = ?"


class Store:
    """All that must outlive the process. Calls may come from any thread; they take turns."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "search.db", autocommit=True, check_same_thread=False)
        self._db.executescript(_SCHEMA)
        self._turn = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._db.close()

    def named(self, table: str) -> dict[str, tuple[str, str]]:
        """Return name -> (content, etag) of `indexes` or `aliases`."""
        column = {"indexes": "definition", "aliases": "target"}[table]
        with self._turn:
            rows = self._db.execute(f"SELECT name, {column}, etag FROM {table} ORDER BY name").fetchall()
        return {row[0]: (row[1], row[2]) for row in rows}

    def put_named(self, table: str, name: str, content: str, etag: str) -> None:
        """Write an index definition or an alias."""
        with self._turn:
            self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", (name, content, etag))

    def delete_named(self, table: str, name: str) -> None:
        """Remove an index with its documents, or an alias."""
        with self._turn:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(f"DELETE FROM {table} WHERE name = ?", (name,))
            if table == "indexes":
                self._db.execute("DELETE FROM documents WHERE name = ?", (name,))
            self._db.execute("COMMIT")

    def write(self, index: str, upserts: Iterable[Written], deletes: Iterable[str]) -> None:
        """Apply one batch, whole or not at all."""
        whole = [(index, key, _dump(body), _pack(vectors)) for key, body, vectors in upserts if vectors is not None]
        bodies = [(_dump(body), index, key) for key, body, vectors in upserts if vectors is None]
        gone = [(index, key) for key in deletes]
        with self._turn:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for statement, rows in ((_UPSERT, whole), (_UPDATE, bodies), (_DELETE, gone)):
                    self._db.executemany(statement, rows)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def vectors(self, index: str, key: str, dimensions: Mapping[str, int]) -> dict[str, Vector]:
        """Return one document's vectors, as they were written."""
        with self._turn:
            row = self._db.execute("SELECT vectors FROM documents WHERE name = ? AND key = ?", (index, key)).fetchone()
        return _unpack(row[0], dimensions) if row else {}

    def documents(self, index: str, dimensions: Mapping[str, int]) -> Iterator[StoredDocument]:
        """Yield every document of an index; `dimensions` gives the vector fields and their lengths."""
        last = ""
        while True:
            with self._turn:
                rows = self._db.execute(
                    "SELECT key, body, vectors FROM documents WHERE name = ? AND key > ? ORDER BY key LIMIT ?",
                    (index, last, _PAGE),
                ).fetchall()
            for key, body, packed in rows:
                yield key, orjson.loads(body), _unpack(packed, dimensions)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def size(self, index: str) -> tuple[int, int]:
        """Return the bytes that an index's documents take, and those of its vectors among them."""
        with self._turn:
            row = self._db.execute(
                "SELECT COALESCE(SUM(LENGTH(key) + LENGTH(body) + LENGTH(vectors)), 0), "
                "COALESCE(SUM(LENGTH(vectors) - INSTR(vectors, x'0A')), 0) FROM documents WHERE name = ?",
                (index,),
            ).fetchone()
        return int(row[0]), int(row[1])


def _dump(body: Mapping[str, Any]) -> str:
    return orjson.dumps(body).decode()


def _pack(vectors: Vectors) -> bytes:
    """Return vectors as: names in JSON, a newline, float32 after float32."""
    names = sorted(vectors)
    return orjson.dumps(names) + b"\n" + b"".join(vectors[name].astype("<f4").tobytes() for name in names)


def _unpack(packed: bytes, dimensions: Mapping[str, int]) -> dict[str, Vector]:
    head, _, body = packed.partition(b"\n")
    found: dict[str, Vector] = {}
    offset = 0
    for name in orjson.loads(head):
        size = 4 * dimensions[name]
        found[name] = np.frombuffer(body[offset : offset + size], dtype="<f4")
        offset += size
    return found
