"""One index in memory over the durable store: documents, text engine, vectors; searching and writing."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sortedcontainers import SortedDict

from local.search_service.analysis import terms
from local.search_service.errors import ServiceError, bad_request
from local.search_service.filters import comparable, compile_filter
from local.search_service.highlight import fragments
from local.search_service.odata import Comparison, In, Logic, Node
from local.search_service.query_syntax import parse_query
from local.search_service.request import Facet, Order, SearchRequest
from local.search_service.schema import IndexSchema, check_value
from local.search_service.store import Store, StoredDocument
from local.search_service.text import TextEngine, words_of
from local.search_service.vectors import Vector, VectorField

MAX_TEXT_RECALL = 1_000  # text results that take part in a fusion, as in the service
RRF_CONSTANT = 60  # published constant of reciprocal rank fusion
LOAD_BATCH = 5_000
_KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-=")
_KEY_LENGTH = 1_024
_ACTIONS = frozenset({"upload", "merge", "mergeOrUpload", "delete"})


@dataclass(frozen=True, slots=True)
class Result:
    """One page of results: (score, document, highlights), the total when asked for, facets, and whether more follow."""

    hits: list[tuple[float, dict[str, Any], dict[str, list[str]]]]
    total: int | None
    facets: dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class ActionStatus:
    """What became of one action."""

    key: str
    status: int
    error: str | None


class SearchIndex:
    """An index. Every call may come from any thread; a search sees a batch whole or not at all."""

    def __init__(self, schema: IndexSchema, store: Store) -> None:
        self.schema = schema
        self._store = store
        self._turn = threading.RLock()
        self._documents: dict[int, dict[str, Any]] = {}
        self._rows: SortedDict[str, int] = SortedDict()
        self._next_row = 0
        self._text = TextEngine(schema.text_fields) if schema.text_fields else None
        self._vectors = {field.name: VectorField(field.dimensions, field.metric) for field in schema.vector_fields}
        self._raw_vectors: dict[int, dict[str, Vector]] = {}
        # value -> rows, for the filterable single strings: what makes `document_id eq '...'` quick
        self._postings: dict[str, defaultdict[str, set[int]]] = {
            field.name: defaultdict(set)
            for field in schema.fields.values()
            if field.filterable and field.type == "Edm.String" and not field.collection and not field.key
        }
        self._load()

    def __len__(self) -> int:
        return len(self._documents)

    # ---- documents ---------------------------------------------------------------------------------------------------

    def get(self, key: str, select: Sequence[str]) -> dict[str, Any] | None:
        """Return one document's selected fields, or None."""
        with self._turn:
            row = self._rows.get(key)
            return None if row is None else self._shown(row, select)

    def write(self, actions: Sequence[Mapping[str, Any]]) -> list[ActionStatus]:
        """Apply a batch: durable and visible when this returns. Raises a 400 when a whole request is wrong.

        The outcome of each action stands in its status: 201 new, 200 changed or deleted, 404 for a merge without a
        document.
        """
        with self._turn:
            pending: dict[str, tuple[dict[str, Any], dict[str, Vector]] | None] = {}
            statuses = [self._plan(action, pending) for action in actions]
            upserts: list[StoredDocument] = [(key, *value) for key, value in pending.items() if value is not None]
            deletes = [key for key, value in pending.items() if value is None and key in self._rows]
            self._store.write(self.schema.name, upserts, deletes)
            self._apply(upserts, deletes)
            return statuses

    def _plan(
        self,
        action: Mapping[str, Any],
        pending: dict[str, tuple[dict[str, Any], dict[str, Vector]] | None],
    ) -> ActionStatus:
        kind = action.get("@search.action", "upload")
        if kind not in _ACTIONS:
            raise bad_request(f"Invalid @search.action {kind!r}.")
        key = self._key(action)
        before = pending[key] if key in pending else self._stored(key)
        if kind == "delete":
            pending[key] = None
            return ActionStatus(key, 200, None)
        if kind == "merge" and before is None:
            return ActionStatus(key, 404, "Document not found.")
        values, vectors = self._values(action)
        if kind == "upload" or before is None:
            body = {name: values.get(name) for name in self._scalar_names()}
            body.update({name: [] for name in self._collection_names() if body.get(name) is None})
            pending[key] = (body, {name: vector for name, vector in vectors.items() if vector is not None})
        else:
            merged = {**before[1], **vectors}
            kept = {name: vector for name, vector in merged.items() if vector is not None}
            pending[key] = ({**before[0], **values}, kept)
        return ActionStatus(key, 200 if before is not None else 201, None)

    def _key(self, action: Mapping[str, Any]) -> str:
        key = action.get(self.schema.key)
        if not isinstance(key, str) or not key:
            raise bad_request(f"The document key field '{self.schema.key}' is missing or not a string.")
        if len(key) > _KEY_LENGTH or not set(key) <= _KEY_CHARACTERS:
            raise bad_request(
                f"Invalid document key: '{key[:80]}'. Keys can only contain letters, digits, underscore (_), "
                "dash (-), or equal sign (=)."
            )
        return key

    def _values(self, action: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Vector | None]]:
        values: dict[str, Any] = {}
        vectors: dict[str, Vector | None] = {}
        for name, value in action.items():
            if name == "@search.action":
                continue
            field = self.schema.field(name)
            checked = check_value(field, value)
            if field.is_vector:
                vectors[name] = None if checked is None else np.asarray(checked, dtype=np.float32)
            else:
                values[name] = checked
        return values, vectors

    def _stored(self, key: str) -> tuple[dict[str, Any], dict[str, Vector]] | None:
        row = self._rows.get(key)
        return None if row is None else (self._documents[row], self._raw_vectors.get(row, {}))

    def _apply(self, upserts: Sequence[StoredDocument], deletes: Sequence[str]) -> None:
        gone: list[int] = []
        added: list[tuple[int, Mapping[str, Any]]] = []
        for key in [*deletes, *(key for key, _, _ in upserts)]:
            row = self._rows.pop(key, None)
            if row is not None:
                self._forget(row)
                gone.append(row)
        for key, body, vectors in upserts:
            row = self._next_row
            self._next_row += 1
            self._rows[key] = row
            self._documents[row] = body
            if vectors:
                self._raw_vectors[row] = vectors
            for name, field in self._vectors.items():
                field.put(row, vectors.get(name))
            for name, posting in self._postings.items():
                if body.get(name) is not None:
                    posting[body[name]].add(row)
            added.append((row, body))
        if self._text is not None and (gone or added):
            self._text.replace(gone, added)

    def _forget(self, row: int) -> None:
        body = self._documents.pop(row)
        self._raw_vectors.pop(row, None)
        for field in self._vectors.values():
            field.put(row, None)
        for name, posting in self._postings.items():
            rows = posting.get(body.get(name) or "")
            if rows is not None:
                rows.discard(row)
                if not rows:
                    del posting[body[name]]

    def _load(self) -> None:
        dimensions = {field.name: field.dimensions for field in self.schema.vector_fields}
        batch: list[StoredDocument] = []
        for document in self._store.documents(self.schema.name, dimensions):
            batch.append(document)
            if len(batch) == LOAD_BATCH:
                self._apply(batch, [])
                batch = []
        if batch:
            self._apply(batch, [])

    def _scalar_names(self) -> list[str]:
        return [field.name for field in self.schema.fields.values() if not field.is_vector]

    def _collection_names(self) -> list[str]:
        return [field.name for field in self.schema.fields.values() if field.collection and not field.is_vector]

    # ---- searching ---------------------------------------------------------------------------------------------------

    def search(self, request: SearchRequest) -> Result:
        """Run a search."""
        with self._turn:
            allowed = self._allowed(request.filter)
            scored, total = self._scored(request, allowed)
            ordered = self._ordered(scored, request)
            page = ordered[request.skip : request.skip + request.top]
            highlighter = _Highlighter(self.schema, request)
            hits = [
                (score, self._shown(row, request.select), highlighter.of(self._documents[row])) for score, row in page
            ]
            facets = {facet.field: self._facet(facet, [row for _, row in scored]) for facet in request.facets}
            return Result(hits, total if request.count else None, facets)

    def _scored(self, request: SearchRequest, allowed: set[int] | None) -> tuple[list[tuple[float, int]], int]:
        """Return (score, row) of what matches, best first, and how many match in all."""
        query = parse_query(request.text) if request.text else None
        if not request.vectors:
            if query is None or self._text is None:
                rows = self._all_rows() if allowed is None else sorted(allowed)
                return [(1.0, row) for row in rows], len(rows)
            needed = len(self._documents) if request.order or request.facets else request.skip + request.top
            return self._text.search(query, request.search_fields, request.match_all, allowed, max(1, needed))
        lists: list[tuple[float, list[tuple[float, int]]]] = []
        if query is not None and self._text is not None:
            found, _ = self._text.search(query, request.search_fields, request.match_all, allowed, MAX_TEXT_RECALL)
            lists.append((1.0, found))
        for vector_query in request.vectors:
            for name in vector_query.fields:
                bound = None if request.post_filter else allowed
                found = self._vectors[name].nearest(vector_query.vector, vector_query.k, bound)
                if request.post_filter and allowed is not None:
                    found = [hit for hit in found if hit[1] in allowed]
                lists.append((vector_query.weight, found))
        fused = lists[0][1] if len(lists) == 1 else fuse(lists)
        return fused, len(fused)

    def _all_rows(self) -> list[int]:
        return list(self._documents)

    def _allowed(self, text: str) -> set[int] | None:
        """Return the rows that pass a filter, or None when there is none."""
        if not text.strip():
            return None
        node, passes = compile_filter(self.schema, text)
        return {row for row in self._candidates(node) if passes(self._documents[row])}

    def _candidates(self, node: Node) -> Iterable[int]:
        """Return rows among which all that pass must be: the smallest set that one conjunct of the filter names."""
        best: Iterable[int] | None = None
        size = len(self._documents)
        for term in node.terms if isinstance(node, Logic) and node.operator == "and" else (node,):
            rows = self._narrowed(term)
            if rows is not None and len(rows) <= size:
                best, size = rows, len(rows)
        return self._documents.keys() if best is None else best

    def _narrowed(self, term: Node) -> Sequence[int] | set[int] | None:
        if isinstance(term, In) and term.field in self._postings:
            return set().union(*(self._postings[term.field].get(value, ()) for value in term.values))
        if not isinstance(term, Comparison) or not isinstance(term.value, str):
            return None
        if term.operator == "eq" and term.field in self._postings:
            return self._postings[term.field].get(term.value, set())
        if term.field == self.schema.key:
            low = term.value if term.operator in ("gt", "ge", "eq") else None
            high = term.value if term.operator in ("lt", "le", "eq") else None
            if low is not None or high is not None:
                return [self._rows[key] for key in self._rows.irange(low, high)]
        return None

    def _ordered(self, scored: list[tuple[float, int]], request: SearchRequest) -> list[tuple[float, int]]:
        """Sort by the order asked for, key after key from the last to the first: Python's sort is stable."""
        ordered = scored
        for order in reversed(request.order):
            ordered = sorted(ordered, key=lambda hit: self._sort_key(hit, order), reverse=order.descending)
        return ordered

    def _sort_key(self, hit: tuple[float, int], order: Order) -> Any:
        if not order.field:
            return hit[0]
        value = comparable(self.schema.fields[order.field], self._documents[hit[1]].get(order.field))
        return (value is not None, value if value is not None else 0)  # null is less than any value

    def _shown(self, row: int, select: Sequence[str]) -> dict[str, Any]:
        body = self._documents[row]
        shown: dict[str, Any] = {}
        for name in select:
            if name in self._vectors:
                vector = self._raw_vectors.get(row, {}).get(name)
                stored = self.schema.fields[name].stored
                shown[name] = vector.tolist() if vector is not None and stored else None
            else:
                shown[name] = body.get(name)
        return shown

    def _facet(self, facet: Facet, rows: Sequence[int]) -> list[dict[str, Any]]:
        counts: Counter[Any] = Counter()
        for row in rows:
            value = self._documents[row].get(facet.field)
            counts.update(set(value) if isinstance(value, list) else [] if value is None else [value])
        by_value = sorted(counts.items(), key=lambda item: item[0], reverse=facet.sort == "-value")
        if facet.sort in ("count", "-count"):
            by_value.sort(key=lambda item: item[1], reverse=facet.sort == "count")
        return [{"value": value, "count": count} for value, count in by_value[: facet.count]]


class _Highlighter:
    """Marks the words that were looked for."""

    def __init__(self, schema: IndexSchema, request: SearchRequest) -> None:
        self._schema = schema
        self._request = request
        self._words = words_of(parse_query(request.text)) if request.highlight and request.text else []

    def of(self, body: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the marked fragments of a document, by field."""
        found: dict[str, list[str]] = {}
        for name, most in self._request.highlight.items():
            analyzer = self._schema.fields[name].analyzer
            wanted = {term for word in self._words for term in terms(analyzer, word)}
            value = body.get(name)
            texts = value if isinstance(value, list) else [value] if value else []
            marked = [part for text in texts for part in fragments(text, analyzer, wanted, self._request.tags)]
            if marked:
                found[name] = marked[:most]
        return found


def fuse(lists: Sequence[tuple[float, Sequence[tuple[float, int]]]]) -> list[tuple[float, int]]:
    """Fuse ranked lists by reciprocal rank: each contributes weight / (60 + rank), rank from 0; best first.

    Cormack, Clarke, Buettcher, "Reciprocal rank fusion outperforms Condorcet", SIGIR 2009; the constant and the first
    rank are the service's.
    """
    total: defaultdict[int, float] = defaultdict(float)
    for weight, found in lists:
        for rank, (_, row) in enumerate(found):
            total[row] += weight / (RRF_CONSTANT + rank)
    return sorted(((score, row) for row, score in total.items()), key=lambda hit: (-hit[0], hit[1]))


def not_found(what: str, name: str) -> ServiceError:
    """Return the 404 for an index or alias."""
    return ServiceError(404, f"No {what} with the name '{name}' was found in the service 'local'.", "ResourceNotFound")
