"""What the lake remembers of versions, and the events it still has to send: one SQLite file, one writer.

The contents of versions are blobs in a hidden container of Azurite; here is which version is which. A version and the
event that it raises are written in one transaction, so neither is ever without the other.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    container TEXT NOT NULL, name TEXT NOT NULL, version_id TEXT NOT NULL, is_current INTEGER NOT NULL,
    etag TEXT NOT NULL, last_modified TEXT NOT NULL, properties TEXT NOT NULL, deleted REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (container, name, version_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS current ON versions (container, name) WHERE is_current;
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, event TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0, fault TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, entry TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_at ON journal (at);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MARGIN_SECONDS = 0.001  # far above what a float of today's time can tell apart
_TICKS = 10_000_000  # version ids count units of 100 ns


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a blob.

    `properties` always has created, length, type, encoding, language, disposition, cache, md5 (base64), metadata, and
    copy_source: where a blob made from a version was copied from, as the client named it. `deleted` is 0, or the time
    (seconds since 1970) at which the version was soft-deleted.
    """

    container: str
    name: str
    version_id: str
    is_current: bool
    etag: str
    last_modified: str
    properties: Mapping[str, Any]
    deleted: float = 0.0


@dataclass(frozen=True, slots=True)
class Journal:
    """A part of what happened, in order: entries to be replicated, the number of the last, and up to when (seconds
    since 1970) nothing is missing once they are applied.
    """

    entries: list[dict[str, Any]]
    last: int
    complete_until: float


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event that was not delivered yet."""

    id: int
    kind: str
    event: dict[str, Any]
    attempts: int


class VersionStore:
    """Versions and outgoing events. Not for use by two processes at once.

    With `journal`, every change is also written down for a replica, in the transaction that makes it.
    """

    def __init__(self, file: Path, journal: bool = False) -> None:
        self._db = sqlite3.connect(file, autocommit=True)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
        newest = self._db.execute("SELECT max(version_id) FROM versions").fetchone()[0]
        self._last_tick = _tick(newest) if newest else 0
        self._unrecorded: set[int] = set()  # ticks of ids that were given out and are not recorded yet
        self._journal = journal
        if journal and not self._db.execute("SELECT 1 FROM journal LIMIT 1").fetchone():
            with _Transaction(self._db):
                for version in self._select("true ORDER BY version_id", ()):
                    self._write_down(version)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def next_id(self) -> str:
        """Return a version id: the time, never the same twice, never going back. `add` or `abandon` it."""
        self._last_tick = max(int(time.time() * _TICKS), self._last_tick + 1)
        self._unrecorded.add(self._last_tick)
        moment = _EPOCH + timedelta(seconds=self._last_tick // _TICKS)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self._last_tick % _TICKS:07d}Z"

    def abandon(self, version_id: str) -> None:
        """A version id will not be used, or is recorded."""
        self._unrecorded.discard(_tick(version_id))

    def add(self, version: Version, event: tuple[str, dict[str, Any]] | None) -> None:
        """Record a new current version, and queue its event with it."""
        with _Transaction(self._db):
            self._end(version.container, version.name)
            self._insert(version)
            self._write_down(version)
            self._queue(event)
        self.abandon(version.version_id)

    def end_current(self, container: str, name: str, event: tuple[str, dict[str, Any]] | None) -> None:
        """The blob was deleted: what was current is a previous version from now on."""
        with _Transaction(self._db):
            self._end(container, name)
            self._queue(event)

    def touch(self, version: Version) -> None:
        """The version's etag, time and properties changed without a new version."""
        with _Transaction(self._db):
            self._insert(version)
            self._write_down(version, time.time())

    def remove(self, version: Version) -> None:
        """Forget one version."""
        with _Transaction(self._db):
            self._db.execute("DELETE FROM versions WHERE container = ? AND name = ? AND version_id = ?", _key(version))
            self._note({"gone": _key(version)}, time.time())

    def soft_delete(self, version: Version, at: float) -> None:
        """Hide one version; it can be restored until its retention ends."""
        self.touch(replace(version, deleted=at))

    def knows(self, container: str, name: str) -> bool:
        """Whether the blob has a version, soft-deleted ones included."""
        return bool(self._select("container = ? AND name = ? LIMIT 1", (container, name)))

    def restore(self, container: str, name: str) -> int:
        """Bring back every soft-deleted version of a blob; returns how many there were. None becomes current."""
        hidden = self._select("container = ? AND name = ? AND deleted > 0", (container, name))
        for version in hidden:
            self.touch(replace(version, deleted=0.0))
        return len(hidden)

    def expired(self, before: float) -> list[Version]:
        """Return versions that were soft-deleted before a time."""
        return self._select("deleted > 0 AND deleted < ?", (before,))

    # ---- replication -------------------------------------------------------------------------------------------------

    def journal(self, after: int, until: float, most: int) -> Journal:
        """Return at most `most` entries behind number `after`, none of them later than `until`; no overwrite is cut."""
        rows = self._db.execute(
            "SELECT seq, at, entry FROM journal WHERE seq > ? ORDER BY seq LIMIT ?", (after, most + 1)
        ).fetchall()
        taken = []
        for row in rows:
            if row[1] > until:
                break
            taken.append(row)
        if len(taken) > most:
            together = most > 1 and _belong_together(taken[most - 1], taken[most])
            del taken[most - 1 if together else most :]
        last = taken[-1][0] if taken else after
        earliest = self._db.execute("SELECT min(at) FROM journal WHERE seq > ?", (last,)).fetchone()[0]
        bounds = [until, *(tick / _TICKS for tick in self._unrecorded), *([earliest] if earliest else [])]
        # Just before whatever is still to come: a version of that very moment is missing, and times are not exact.
        return Journal([json.loads(row[2]) for row in taken], last, min(bounds) - MARGIN_SECONDS)

    def apply(self, entries: Iterable[Mapping[str, Any]], **facts: str) -> None:
        """Repeat entries of another store's journal and remember facts, all or none. Doing it twice does no harm."""
        with _Transaction(self._db):
            for entry in entries:
                if "gone" in entry:
                    self._db.execute(
                        "DELETE FROM versions WHERE container = ? AND name = ? AND version_id = ?", tuple(entry["gone"])
                    )
                else:
                    self._insert(Version(**entry["version"]))
            self._remember(facts)

    def fact(self, name: str, default: str) -> str:
        """Return something remembered under a name."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else default

    def remember(self, **facts: str) -> None:
        """Remember things, all or none."""
        with _Transaction(self._db):
            self._remember(facts)

    def _remember(self, facts: Mapping[str, str]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())

    # ---- reading -----------------------------------------------------------------------------------------------------

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

    def page(
        self, container: str, prefix: str, after: tuple[str, str], most: int, which: str = "kept"
    ) -> list[Version]:
        """Return versions by name, then by id, that come after `after`.

        `which` is kept (not soft-deleted), current, or all.
        """
        condition = {"kept": " AND deleted = 0", "current": " AND is_current", "all": ""}[which]
        return self._select(
            f"container = ? AND substr(name, 1, ?) = ? AND (name, version_id) > (?, ?){condition}"
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

    def _insert(self, version: Version) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *_key(version),
                version.is_current,
                version.etag,
                version.last_modified,
                json.dumps(dict(version.properties)),
                version.deleted,
            ),
        )

    def _end(self, container: str, name: str) -> None:
        """No version of the blob is current any more."""
        for version in self._select("container = ? AND name = ? AND is_current", (container, name)):
            ended = replace(version, is_current=False)
            self._insert(ended)
            self._write_down(ended, time.time())

    def _write_down(self, version: Version, at: float | None = None) -> None:
        """Put a version into the journal; a new one counts from the time that its id says."""
        when = _tick(version.version_id) / _TICKS if at is None else at
        self._note({"version": {**asdict(version), "properties": dict(version.properties)}}, when)

    def _note(self, entry: Mapping[str, Any], at: float) -> None:
        if self._journal:
            self._db.execute("INSERT INTO journal (at, entry) VALUES (?, ?)", (at, json.dumps(entry)))

    def _queue(self, event: tuple[str, dict[str, Any]] | None) -> None:
        if event:
            self._db.execute("INSERT INTO events (kind, event) VALUES (?, ?)", (event[0], json.dumps(event[1])))

    def _select(self, where: str, parameters: tuple[Any, ...]) -> list[Version]:
        rows = self._db.execute(f"SELECT * FROM versions WHERE {where}", parameters)
        return [
            Version(row[0], row[1], row[2], bool(row[3]), row[4], row[5], json.loads(row[6]), row[7]) for row in rows
        ]


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.execute("ROLLBACK" if kind else "COMMIT")


def _belong_together(one: tuple[int, float, str], next_: tuple[int, float, str]) -> bool:
    """Whether two entries of a journal are an overwrite: apart, the blob would be gone between them."""
    before, after = (json.loads(row[2]).get("version", {}) for row in (one, next_))
    blob = (before.get("container"), before.get("name"))
    return not before.get("is_current", True) and blob == (after.get("container"), after.get("name"))


def _key(version: Version) -> tuple[str, str, str]:
    return version.container, version.name, version.version_id


def _tick(version_id: str) -> int:
    moment = datetime.fromisoformat(version_id[:19]).replace(tzinfo=UTC)
    return int((moment - _EPOCH).total_seconds()) * _TICKS + int(version_id[20:27])
