"""One index in memory over the durable store: its documents, text engine, vectors and filters, and writing to them."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sortedcontainers import SortedDict

from local.search_service.errors import ServiceError, bad_request
from local.search_service.fields import (
    Vector,
    check_value,
    completed,
    empty_value,
    merged,
    objects_in_collections,
    value_at,
)
from local.search_service.filter_cache import FilterCache
from local.search_service.schema import MAX_COMPLEX_OBJECTS, IndexSchema
from local.search_service.store import Store, StoredDocument, Vectors, Written
from local.search_service.text import TextEngine
from local.search_service.vectors import VectorField

LOAD_BATCH = 5_000
_KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=")
_KEY_LENGTH = 1_024
_ACTIONS = frozenset({"upload", "merge", "mergeOrUpload", "delete"})
_ACTION = "@search.action"

_Pending = dict[str, tuple[dict[str, Any], Vectors | None] | None]  # key -> body and vectors, or None: deleted


@dataclass(frozen=True, slots=True)
class ActionStatus:
    """What became of one action."""

    key: str
    status: int
    error: str | None


class SearchIndex:
    """An index. Every call may come from any thread; a search sees a batch whole or not at all.

    Searching itself is in `search`, which reads what is public here while it holds `turn`.
    """

    def __init__(self, schema: IndexSchema, store: Store) -> None:
        self.schema = schema
        self.turn = threading.RLock()
        self.documents: dict[int, dict[str, Any]] = {}
        self.rows: SortedDict[str, int] = SortedDict()
        self.text = TextEngine(schema.text_fields) if schema.text_fields else None
        self.vectors = {field.name: VectorField(field.dimensions, field.metric) for field in schema.vector_fields}
        self.filters = FilterCache()
        # value -> rows, for the filterable single strings: what makes `document_id eq '...'` quick
        self.postings: dict[str, defaultdict[str, set[int]]] = {
            field.name: defaultdict(set)
            for field in schema.fields.values()
            if field.filterable and field.type == "Edm.String" and not field.many and "/" not in field.name
        }
        self._store = store
        self._dimensions = {field.name: field.dimensions for field in schema.vector_fields}
        self._free: list[int] = []
        self._next_row = 0
        self._unseen: deque[tuple[float, list[Written], list[str]]] = deque()  # acknowledged, not to be seen yet
        self._latest: _Pending = {}  # what `_unseen` will have made of its documents
        self._load()

    def __len__(self) -> int:
        self.settle()
        return len(self.documents)

    @property
    def row_count(self) -> int:
        """Rows in use lie below this number."""
        return self._next_row

    # ---- documents ---------------------------------------------------------------------------------------------------

    def get(self, key: str, select: Sequence[str]) -> dict[str, Any] | None:
        """Return one document's selected fields, or None."""
        with self.turn:
            self.settle()
            row = self.rows.get(key)
            return None if row is None else self.shown(row, select)

    def all_shown(self, rows: Iterable[int], select: Sequence[str]) -> list[dict[str, Any]]:
        """Return the selected fields of the documents of some rows, each as `shown` does."""
        plain = {field.name for field in self.schema.top if not field.is_vector}
        if plain.issuperset(select):  # as a rule: nothing is to be looked at field by field
            return [{name: body.get(name) for name in select} for body in map(self.documents.__getitem__, rows)]
        return [self.shown(row, select) for row in rows]

    def shown(self, row: int, select: Sequence[str]) -> dict[str, Any]:
        """Return the selected fields of a row's document, nested as they are defined."""
        body = self.documents[row]
        vectors = self._stored_vectors(body, select)
        shown: dict[str, Any] = {}
        for name in select:
            if name in self.vectors:
                vector = vectors.get(name) if self.schema.fields[name].stored else None
                shown[name] = None if vector is None else vector.tolist()
            elif "/" in name:
                _put_at(shown, body, name.split("/"))
            else:
                shown[name] = body.get(name)
        return shown

    def _stored_vectors(self, body: Mapping[str, Any], select: Sequence[str]) -> dict[str, Vector]:
        if self.vectors.keys().isdisjoint(select):
            return {}
        return self._store.vectors(self.schema.name, body[self.schema.key], self._dimensions)

    def write(
        self, actions: Sequence[Mapping[str, Any]], visible_after: float = 0.0, refused: Mapping[int, int] | None = None
    ) -> list[ActionStatus]:
        """Apply a batch: durable when this returns, and visible, or that many seconds later.

        Raises a 400 when a whole request is wrong. The outcome of each action stands in its status: 201 new, 200
        changed or deleted, 404 for a merge without a document. `refused` maps positions of actions that are left out to
        the status that they get instead.
        """
        with self.turn:
            self.settle()
            pending: _Pending = {}
            statuses = [
                self._plan(action, pending)
                if refused is None or position not in refused
                else ActionStatus(self._key(action), refused[position], "The service is busy; try again.")
                for position, action in enumerate(actions)
            ]
            upserts: list[Written] = [(key, *value) for key, value in pending.items() if value is not None]
            deletes = [key for key, value in pending.items() if value is None]
            self._store.write(self.schema.name, upserts, deletes)
            if visible_after > 0 or self._unseen:
                self._unseen.append((time.monotonic() + visible_after, upserts, deletes))
                self._latest.update(pending)
            else:
                self._apply(upserts, deletes)
            return statuses

    def settle(self) -> None:
        """Let be seen what was acknowledged long enough ago."""
        with self.turn:
            now = time.monotonic()
            while self._unseen and self._unseen[0][0] <= now:
                _, upserts, deletes = self._unseen.popleft()
                self._apply(upserts, deletes)
            if not self._unseen:
                self._latest.clear()

    def _plan(self, action: Mapping[str, Any], pending: _Pending) -> ActionStatus:
        kind = action.get(_ACTION, "upload")
        if not isinstance(kind, str) or kind not in _ACTIONS:
            raise bad_request(f"Invalid @search.action {kind!r}.")
        key = self._key(action)
        before = self._before(key, pending)
        if kind == "delete":
            pending[key] = None
            return ActionStatus(key, 200, None)
        if kind == "merge" and before is None:
            return ActionStatus(key, 404, "Document not found.")
        whole = kind == "upload" or before is None
        values, vectors = self._values(action, whole)
        if whole or before is None:
            body = {field.name: empty_value(field) for field in self.schema.top if not field.is_vector}
            given = {name: vector for name, vector in vectors.items() if vector is not None}
            made: tuple[dict[str, Any], Vectors | None] = ({**body, **values}, given)
        else:
            made = self._merged(key, before, values, vectors)
        if self.schema.complex_collections:
            self._check_objects(key, made[0])
        pending[key] = made
        return ActionStatus(key, 200 if before is not None else 201, None)

    def _check_objects(self, key: str, body: Mapping[str, Any]) -> None:
        count = objects_in_collections(self.schema.top, body)
        if count > MAX_COMPLEX_OBJECTS:
            raise bad_request(
                f"The document '{key[:80]}' has {count} objects in its collections; {MAX_COMPLEX_OBJECTS} are allowed.",
                "InvalidDocument",
            )

    def _before(self, key: str, pending: _Pending) -> tuple[dict[str, Any], Vectors | None] | None:
        """Return a document as the actions before this one leave it; None for its vectors means: as stored."""
        for later in (pending, self._latest):
            if key in later:
                return later[key]
        row = self.rows.get(key)
        return None if row is None else (self.documents[row], None)

    def _merged(
        self,
        key: str,
        before: tuple[dict[str, Any], Vectors | None],
        values: Mapping[str, Any],
        vectors: Mapping[str, Vector | None],
    ) -> tuple[dict[str, Any], Vectors | None]:
        body, kept = before
        changed = {name: merged(self.schema.fields[name], body.get(name), value) for name, value in values.items()}
        if vectors:
            stored = self._store.vectors(self.schema.name, key, self._dimensions) if kept is None else kept
            kept = {name: vector for name, vector in {**stored, **vectors}.items() if vector is not None}
        return {**body, **changed}, kept

    def _key(self, action: Mapping[str, Any]) -> str:
        key = action.get(self.schema.key)
        if not isinstance(key, str) or not key:
            raise bad_request(f"The document key field '{self.schema.key}' is missing or not a string.")
        if key.startswith("_"):
            raise bad_request(f"Invalid document key: '{key[:80]}'. Keys cannot start with an underscore (_).")
        if len(key) > _KEY_LENGTH or not _KEY_CHARACTERS.issuperset(key):
            raise bad_request(
                f"Invalid document key: '{key[:80]}'. Keys can only contain letters, digits, underscore (_), "
                "dash (-), or equal sign (=)."
            )
        return key

    def _values(self, action: Mapping[str, Any], whole: bool) -> tuple[dict[str, Any], dict[str, Vector | None]]:
        values: dict[str, Any] = {}
        vectors: dict[str, Vector | None] = {}
        for name, value in action.items():
            if name == _ACTION:
                continue
            field = self.schema.field(name)
            checked = check_value(field, value, whole)
            if field.is_vector:
                vectors[name] = checked
            else:
                values[name] = completed(field, checked) if whole else checked
        return values, vectors

    # ---- memory ------------------------------------------------------------------------------------------------------

    def _apply(self, upserts: Sequence[Written], deletes: Sequence[str]) -> None:
        """Bring what is searched up to date with a batch."""
        self._stage(upserts, deletes)
        if self.text is not None:
            self.text.reveal()

    def _stage(self, upserts: Sequence[Written], deletes: Sequence[str]) -> None:
        """Do so for all but the text, which is still to be revealed. A document keeps its row when it changes."""
        gone = [self._forget(key) for key in deletes if key in self.rows]
        added: list[tuple[int, Mapping[str, Any]]] = []
        changed: list[int] = []
        with_vectors: list[tuple[int, Vectors]] = []
        for key, body, vectors in upserts:
            row = self.rows.get(key)
            if row is None:
                row = self.rows[key] = self._new_row()
            else:
                changed.append(row)
                self._post(row, self.documents[row], remove=True)
            self.documents[row] = body
            self._post(row, body, remove=False)
            self.filters.put(row, body)
            added.append((row, body))
            if vectors is not None:
                with_vectors.append((row, vectors))
        for name, field in self.vectors.items():
            field.put(gone, [None] * len(gone))
            field.put([row for row, _ in with_vectors], [vectors.get(name) for _, vectors in with_vectors])
        self._free.extend(gone)
        if self.text is not None:
            self.text.stage([*gone, *changed], added)

    def _new_row(self) -> int:
        if self._free:
            return self._free.pop()
        self._next_row += 1
        return self._next_row - 1

    def _forget(self, key: str) -> int:
        row: int = self.rows.pop(key)
        self._post(row, self.documents.pop(row), remove=True)
        self.filters.put(row, None)
        return row

    def _post(self, row: int, body: Mapping[str, Any], remove: bool) -> None:
        for name, posting in self.postings.items():
            value = body.get(name)
            if value is None:
                continue
            if not remove:
                posting[value].add(row)
                continue
            posting[value].discard(row)
            if not posting[value]:
                del posting[value]

    def _load(self) -> None:
        batch: list[StoredDocument] = []
        for document in self._store.documents(self.schema.name, self._dimensions):
            batch.append(document)
            if len(batch) == LOAD_BATCH:
                self._stage(batch, [])
                batch = []
        self._apply(batch, [])


def _put_at(shown: dict[str, Any], body: Mapping[str, Any], parts: Sequence[str]) -> None:
    """Copy one field below a complex one from a document into what is shown, with the levels above it."""
    name, rest = parts[0], parts[1:]
    value = body.get(name)
    if not rest:
        shown[name] = value
    elif isinstance(value, list):
        shown.setdefault(name, [{} for _ in value])
        for target, item in zip(shown[name], value, strict=True):
            _put_at(target, item, rest)
    elif value is None:
        shown.setdefault(name, None)
    else:
        _put_at(shown.setdefault(name, {}), value, rest)


def values_of(body: Mapping[str, Any], parts: Sequence[str]) -> list[Any]:
    """Return the values at a path of a document as a list."""
    value = value_at(body, parts)
    return value if isinstance(value, list) else [] if value is None else [value]


def not_found(what: str, name: str) -> ServiceError:
    """Return the 404 for an index or alias."""
    return ServiceError(404, f"No {what} with the name '{name}' was found in the service 'local'.", "ResourceNotFound")
