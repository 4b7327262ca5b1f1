"""What the lake remembers of versions, and the events it still has to send: one SQLite file, one writer.

The contents of versions are blobs in a hidden container of Azurite; here is which version is which. A version and the
event that it raises are written in one transaction, so neither is ever without the other.
"""

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    container TEXT NOT NULL, name TEXT NOT NULL, version_id TEXT NOT NULL, is_current INTEGER NOT NULL,
    etag TEXT NOT NULL, last_modified TEXT NOT NULL, properties TEXT NOT NULL,
    PRIMARY KEY (container, name, version_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS current ON versions (container, name) WHERE is_current;
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, event TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0, fault TEXT NOT NULL DEFAULT ''
);
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS = 10_000_000  # version ids count units of 100 ns


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a blob.

    `properties` always has created, length, type, encoding, language, disposition, cache, md5 (base64), metadata, and
    copy_source: where a blob made from a version was copied from, as the client named it.
    """

    container: str
    name: str
    version_id: str
    is_current: bool
    etag: str
    last_modified: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event that was not delivered yet."""

    id: int
    kind: str
    event: dict[str, Any]
    attempts: int


class VersionStore:
    """Versions and outgoing events. Not for use by two processes at once."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, autocommit=True)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
        newest = self._db.execute("SELECT max(version_id) FROM versions").fetchone()[0]
        self._last_tick = _tick(newest) if newest else 0

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def next_id(self) -> str:
        """Return a version id: the time, never the same twice, never going back."""
        self._last_tick = max(int(time.time() * _TICKS), self._last_tick + 1)
        moment = _EPOCH + timedelta(seconds=self._last_tick // _TICKS)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self._last_tick % _TICKS:07d}Z"

    def add(self, version: Version, event: tuple[str, dict[str, Any]] | None) -> None:
        """Record a new current version, and queue its event with it."""
        key = (version.container, version.name)
        with _Transaction(self._db):
            self._db.execute("UPDATE versions SET is_current = 0 WHERE container = ? AND name = ? AND is_current", key)
            self._db.execute(
                "INSERT INTO versions VALUES (?, ?, ?, 1, ?, ?, ?)",
                (*key, version.version_id, version.etag, version.last_modified, json.dumps(dict(version.properties))),
            )
            self._queue(event)

    def end_current(self, container: str, name: str, event: tuple[str, dict[str, Any]] | None) -> None:
        """The blob was deleted: what was current is a previous version from now on."""
        with _Transaction(self._db):
            self._db.execute(
                "UPDATE versions SET is_current = 0 WHERE container = ? AND name = ? AND is_current", (container, name)
            )
            self._queue(event)

    def touch(self, version: Version) -> None:
        """The version's etag, time and properties changed without a new version."""
        self._db.execute(
            "UPDATE versions SET etag = ?, last_modified = ?, properties = ?"
            " WHERE container = ? AND name = ? AND version_id = ?",
            (version.etag, version.last_modified, json.dumps(dict(version.properties)), *_key(version)),
        )

    def remove(self, version: Version) -> None:
        """Forget one version."""
        self._db.execute("DELETE FROM versions WHERE container = ? AND name = ? AND version_id = ?", _key(version))

    def get(self, container: str, name: str, version_id: str) -> Version | None:
        """Return one version."""
        key = (container, name, version_id)
        found = self._select("container = ? AND name = ? AND version_id = ?", key)
        return found[0] if found else None

    def current(self, container: str, name: str) -> Version | None:
        """Return the blob's current version, or None when it has none."""
        found = self._select("container = ? AND name = ? AND is_current", (container, name))
        return found[0] if found else None

    def currents(self, container: str) -> list[Version]:
        """Return the current versions in a container, by name."""
        return self._select("container = ? AND is_current ORDER BY name", (container,))

    def containers(self) -> list[str]:
        """Return the containers that have versions."""
        return [row[0] for row in self._db.execute("SELECT DISTINCT container FROM versions ORDER BY container")]

    def page(self, container: str, prefix: str, after: tuple[str, str], most: int) -> list[Version]:
        """Return versions by name, then by id, that come after `after`."""
        return self._select(
            "container = ? AND substr(name, 1, ?) = ? AND (name, version_id) > (?, ?)"
            " ORDER BY name, version_id LIMIT ?",
            (container, len(prefix), prefix, *after, most),
        )

    def due_events(self, kind: str, now: float, most: int) -> list[QueuedEvent]:
        """Return events of one kind whose time has come, oldest first."""
        rows = self._db.execute(
            "SELECT id, kind, event, attempts FROM events WHERE kind = ? AND due <= ? ORDER BY id LIMIT ?",
            (kind, now, most),
        )
        return [QueuedEvent(row[0], row[1], json.loads(row[2]), row[3]) for row in rows]

    def delivered(self, event_id: int) -> None:
        """Drop an event that arrived."""
        self._db.execute("DELETE FROM events WHERE id = ?", (event_id,))

    def postpone(self, event_id: int, due: float, fault: str) -> None:
        """Try an event again later."""
        self._db.execute(
            "UPDATE events SET attempts = attempts + 1, due = ?, fault = ? WHERE id = ?", (due, fault, event_id)
        )

    def waiting(self) -> dict[str, dict[str, Any]]:
        """Return, for each kind of event that waits: how many do, and how often and why the oldest one failed."""
        rows = self._db.execute("SELECT kind, count(*), min(id) FROM events GROUP BY kind ORDER BY kind").fetchall()
        found: dict[str, dict[str, Any]] = {}
        for kind, count, oldest in rows:
            attempts, fault = self._db.execute("SELECT attempts, fault FROM events WHERE id = ?", (oldest,)).fetchone()
            found[kind] = {"waiting": count, "attempts": attempts, "because": fault or "it is being delivered"}
        return found

    def _queue(self, event: tuple[str, dict[str, Any]] | None) -> None:
        if event:
            self._db.execute("INSERT INTO events (kind, event) VALUES (?, ?)", (event[0], json.dumps(event[1])))

    def _select(self, where: str, parameters: tuple[Any, ...]) -> list[Version]:
        rows = self._db.execute(f"SELECT * FROM versions WHERE {where}", parameters)
        return [Version(row[0], row[1], row[2], bool(row[3]), row[4], row[5], json.loads(row[6])) for row in rows]


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.execute("ROLLBACK" if kind else "COMMIT")


def _key(version: Version) -> tuple[str, str, str]:
    return version.container, version.name, version.version_id


def _tick(version_id: str) -> int:
    moment = datetime.fromisoformat(version_id[:19]).replace(tzinfo=UTC)
    return int((moment - _EPOCH).total_seconds()) * _TICKS + int(version_id[20:27])
