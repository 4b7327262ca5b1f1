"""Running one search over an index: filter, text, vectors, fusion, order, page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from local.search_service.analysis import terms
from local.search_service.facets import count_facet
from local.search_service.fields import comparable, value_at
from local.search_service.filters import Predicate, compile_filter
from local.search_service.highlight import fragments
from local.search_service.index import SearchIndex, values_of
from local.search_service.odata import Comparison, In, Logic, Node
from local.search_service.query_syntax import parse_query
from local.search_service.request import Order, SearchRequest
from local.search_service.schema import IndexSchema
from local.search_service.semantic import Ranked, rerank
from local.search_service.text import words_of
from local.search_service.vectors import Mask

MAX_TEXT_RECALL = 1_000  # text results that take part in a fusion, as in the service
RRF_CONSTANT = 60  # published constant of reciprocal rank fusion
SEMANTIC_DEPTH = 50  # results that the semantic ranker looks at, as in the service
_FEW = 2_000  # rows up to here are filtered one by one; above, the filter's mask is kept for the next search

Scored = list[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Hit:
    """One result: its score, fields, highlights by field, and what the semantic ranker said."""

    score: float
    document: dict[str, Any]
    highlights: dict[str, list[str]]
    ranked: Ranked | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One page of results, the total when asked for, facets, semantic answers, and whether more follow."""

    hits: list[Hit]
    total: int | None
    facets: dict[str, list[dict[str, Any]]]
    answers: list[dict[str, Any]]
    more: bool


def search(index: SearchIndex, request: SearchRequest) -> Result:
    """Run a search."""
    with index.turn:
        index.settle()
        return _Search(index, request).run()


class _Search:
    def __init__(self, index: SearchIndex, request: SearchRequest) -> None:
        self._index = index
        self._schema = index.schema
        self._request = request
        self._node: Node | None = None
        self._passes: Predicate | None = None
        if request.filter.strip():
            self._node, self._passes = compile_filter(self._schema, request.filter)

    def run(self) -> Result:
        request = self._request
        end = request.skip + request.top
        if self._is_key_scan():
            page = [(1.0, row) for row in self._by_key(end + 1)]
            return self._result(page, None, page)
        scored, total = self._scored()
        ordered = self._ordered(scored)
        return self._result(ordered, total if request.count else None, scored)

    def _result(self, ordered: Scored, total: int | None, scored: Scored) -> Result:
        request = self._request
        ranked: Mapping[int, Ranked] = {}
        answers: list[dict[str, Any]] = []
        if request.semantic is not None and ordered:
            head = ordered[:SEMANTIC_DEPTH]
            made, answers = rerank(self._index, request, head)
            ranked = {item.row: item for item in made}
            scores = {row: score for score, row in head}
            ordered = [*((scores[item.row], item.row) for item in made), *ordered[SEMANTIC_DEPTH:]]
        end = request.skip + request.top
        highlighter = _Highlighter(self._schema, request)
        page = ordered[request.skip : end]
        shown = self._index.all_shown((row for _, row in page), request.select)
        hits = [
            Hit(score, document, highlighter.of(self._index.documents[row]), ranked.get(row))
            for (score, row), document in zip(page, shown, strict=True)
        ]
        documents = [self._index.documents[row] for _, row in scored] if request.facets else []
        facets: dict[str, list[dict[str, Any]]] = {}
        for facet in request.facets:  # a field may be asked for in several ways: its buckets follow each other
            facets.setdefault(facet.field, []).extend(count_facet(self._schema, facet, documents))
        return Result(hits, total, facets, answers, len(ordered) > end)

    # ---- what matches ------------------------------------------------------------------------------------------------

    def _scored(self) -> tuple[Scored, int]:
        """Return (score, row) of what matches, best first, and how many match in all."""
        request, index = self._request, self._index
        query = parse_query(request.text) if request.text else None
        allowed = self._allowed()
        if not request.vectors:
            if query is None or index.text is None:
                rows = sorted(index.documents) if allowed is None else np.flatnonzero(allowed).tolist()
                return [(1.0, row) for row in rows], len(rows)
            everything = bool(request.order or request.facets)
            needed = len(index.documents) if everything else request.skip + request.top + 1
            if request.semantic is not None:
                needed = max(needed, SEMANTIC_DEPTH)
            return index.text.search(
                query, request.search_fields, request.match_all, allowed, max(1, needed), request.weights, request.count
            )
        lists: list[tuple[float, Scored]] = []
        if query is not None and index.text is not None:
            found, _ = index.text.search(
                query, request.search_fields, request.match_all, allowed, MAX_TEXT_RECALL, request.weights, False
            )
            lists.append((1.0, found))
        for vector_query in request.vectors:
            for name in vector_query.fields:
                bound = None if request.post_filter else allowed
                found = index.vectors[name].nearest(vector_query.vector, vector_query.k, bound)
                if request.post_filter and allowed is not None:
                    found = [hit for hit in found if hit[1] < len(allowed) and allowed[hit[1]]]
                lists.append((vector_query.weight, found))
        fused = lists[0][1] if len(lists) == 1 else fuse(lists)
        return fused, len(fused)

    def _allowed(self) -> Mask | None:
        """Return the rows that pass the filter, or None when there is none."""
        if self._node is None or self._passes is None:
            return None
        index = self._index
        few = self._narrowed()
        if few is None or len(few) > _FEW:
            return index.filters.mask(self._request.filter, self._passes, index.documents, index.row_count)
        mask = np.zeros(index.row_count, dtype=bool)
        mask[[row for row in few if self._passes(index.documents[row])]] = True
        return mask

    def _narrowed(self) -> set[int] | None:
        """Return rows among which all that pass must be: the smallest set that one conjunct of the filter names."""
        found = [rows for term in self._conjuncts() if (rows := self._rows_of(term)) is not None]
        low, high, inclusive = self._key_bounds()
        if low is not None or high is not None:
            rows = self._index.rows
            start = 0 if low is None else rows.bisect_left(low) if inclusive[0] else rows.bisect_right(low)
            end = len(rows) if high is None else rows.bisect_right(high) if inclusive[1] else rows.bisect_left(high)
            if end - start <= _FEW:
                found.append({rows[key] for key in rows.islice(start, end)})
        return min(found, key=len, default=None)

    def _conjuncts(self) -> Sequence[Node]:
        node = self._node
        if node is None:
            return ()
        return node.terms if isinstance(node, Logic) and node.operator == "and" else (node,)

    def _rows_of(self, term: Node) -> set[int] | None:
        postings = self._index.postings
        if isinstance(term, In) and term.field in postings:
            return set().union(*(postings[term.field].get(value, ()) for value in term.values))
        if isinstance(term, Comparison) and isinstance(term.value, str) and term.operator == "eq":
            return postings[term.field].get(term.value, set()) if term.field in postings else None
        return None

    # ---- scans in the order of keys ----------------------------------------------------------------------------------

    def _is_key_scan(self) -> bool:
        """Whether the results are all documents of a key range in the order of keys: read them, and sort nothing."""
        request = self._request
        plain = not (request.text or request.vectors or request.facets or request.count or request.semantic)
        return plain and request.order == (Order(self._schema.key, False),)

    def _by_key(self, most: int) -> Iterator[int]:
        low, high, inclusive = self._key_bounds()
        found = 0
        for key in self._index.rows.irange(low, high, inclusive):
            if found == most:
                return
            row = self._index.rows[key]
            if self._passes is None or self._passes(self._index.documents[row]):
                found += 1
                yield row

    def _key_bounds(self) -> tuple[str | None, str | None, tuple[bool, bool]]:
        low: str | None = None
        high: str | None = None
        inclusive = [True, True]
        for term in self._conjuncts():
            if not isinstance(term, Comparison) or term.field != self._schema.key or not isinstance(term.value, str):
                continue
            if term.operator in ("gt", "ge", "eq") and (low is None or term.value > low):
                low, inclusive[0] = term.value, term.operator != "gt"
            if term.operator in ("lt", "le", "eq") and (high is None or term.value < high):
                high, inclusive[1] = term.value, term.operator != "lt"
        return low, high, (inclusive[0], inclusive[1])

    # ---- order -------------------------------------------------------------------------------------------------------

    def _ordered(self, scored: Scored) -> Scored:
        """Sort by the order asked for, key after key from the last to the first: Python's sort is stable."""
        ordered = scored
        for order in reversed(self._request.order):
            ordered = sorted(ordered, key=lambda hit: self._sort_key(hit, order), reverse=order.descending)
        return ordered

    def _sort_key(self, hit: tuple[float, int], order: Order) -> Any:
        if not order.field:
            return hit[0]
        field = self._schema.fields[order.field]
        value = comparable(field, value_at(self._index.documents[hit[1]], field.parts))
        return (value is not None, value if value is not None else 0)  # null is less than any value


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
            field = self._schema.fields[name]
            wanted = {term for word in self._words for term in terms(field.analyzer, word)}
            texts = values_of(body, field.parts)
            marked = [part for text in texts for part in fragments(text, field.analyzer, wanted, self._request.tags)]
            if marked:
                found[name] = marked[:most]
        return found


def fuse(lists: Sequence[tuple[float, Scored]]) -> Scored:
    """Fuse ranked lists by reciprocal rank: each contributes weight / (60 + rank), rank from 0; best first.

    Cormack, Clarke, Buettcher, "Reciprocal rank fusion outperforms Condorcet", SIGIR 2009; the constant and the first
    rank are the service's.
    """
    if not any(found for _, found in lists):
        return []
    rows = np.concatenate([np.array([row for _, row in found], dtype=np.int64) for _, found in lists])
    parts = np.concatenate([weight / (RRF_CONSTANT + np.arange(len(found))) for weight, found in lists])
    unique, place = np.unique(rows, return_inverse=True)
    total = np.bincount(place, weights=parts)
    best = np.lexsort((unique, -total))
    return list(zip(total[best].tolist(), unique[best].tolist(), strict=True))
