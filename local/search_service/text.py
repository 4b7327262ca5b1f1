"""Full-text search over one index: tantivy in memory, BM25 summed over the fields. Rebuilt from the store at start."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from local.search_service.analysis import analyzer, prepare, terms
from local.search_service.fields import Field, value_at
from local.search_service.query_syntax import Group, Negated, Phrase, Query, Term
from local.search_service.vectors import Mask

_HEAP_BYTES = 64_000_000
_ROW = "_row"
_MARGIN = 1.1  # more hits than the filter's share says are looked at, so that one search is mostly enough
_FEW = 4_000  # allowed rows up to here become part of the query; above, hits are checked one by one


class TextEngine:
    """The inverted index. Rows are the numbers under which the index knows its documents."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = {field.name: field for field in fields}
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field(_ROW, stored=False, indexed=True, fast=True)
        for field in fields:
            builder.add_text_field(_engine_name(field), tokenizer_name=field.analyzer, index_option="position")
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema)
        for name in {field.analyzer for field in fields}:
            self._index.register_tokenizer(name, analyzer(name))
        self._writer = self._index.writer(_HEAP_BYTES, 1)
        self._searcher = self._index.searcher()
        self._staged = False  # whether something waits to be revealed

    def stage(self, gone: Iterable[int], added: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        """Remove rows and add documents, to be visible after `reveal`: the engine works on them meanwhile."""
        rows = sorted(gone)
        if rows:
            # By query: the engine's deletion by term reads a Python int as signed, and finds no unsigned row.
            self._writer.delete_documents_by_query(tantivy.Query.term_set_query(self._schema, _ROW, rows))
        for row, values in added:
            document = tantivy.Document()
            document.add_unsigned(_ROW, row)
            for name, field in self._fields.items():
                value = values.get(name) if "/" not in name else value_at(values, field.parts)
                for text in value if isinstance(value, list) else [value]:
                    if text:
                        document.add_text(_engine_name(field), prepare(field.analyzer, text))
            self._writer.add_document(document)
            self._staged = True
        self._staged = self._staged or bool(rows)

    def reveal(self) -> None:
        """Make what was staged visible to the next search."""
        if not self._staged:
            return
        self._staged = False
        self._writer.commit()
        self._index.reload()
        self._searcher = self._index.searcher()

    def search(
        self,
        query: Query,
        names: Sequence[str],
        match_all: bool,
        allowed: Mask | None,
        most: int,
        weights: Mapping[str, float],
        count_all: bool,
    ) -> tuple[list[tuple[float, int]], int]:
        """Return the best `most` (score, row), best first, and how many rows match in all (only with `count_all`).

        `allowed` bounds the result to these rows; scores do not depend on it, as in the service. `weights` multiply the
        scores of fields.
        """
        built = self._build(query, [self._fields[name] for name in names], match_all, weights)
        total = max(1, self._searcher.num_docs)
        if allowed is None:
            return self._found(built, min(most, total))
        rows = np.flatnonzero(allowed)
        if not len(rows):
            return [], 0
        if len(rows) <= _FEW:
            few = tantivy.Query.const_score_query(tantivy.Query.term_set_query(self._schema, _ROW, rows.tolist()), 0.0)
            both = tantivy.Query.boolean_query([(tantivy.Occur.Must, built), (tantivy.Occur.Must, few)])
            return self._found(both, min(most, total))
        return self._filtered(built, allowed, most, total, count_all)

    def _filtered(
        self, built: tantivy.Query, allowed: Mask, most: int, total: int, count_all: bool
    ) -> tuple[list[tuple[float, int]], int]:
        """Look at more and more of the best hits until enough of them are allowed."""
        share = max(1, int(np.count_nonzero(allowed))) / total
        looked = total if count_all else min(total, int(most * _MARGIN / share))
        while True:
            found = self._searcher.search(built, limit=looked)
            scores, rows = self._split(found)
            kept = np.flatnonzero(_at(allowed, rows))
            if len(kept) >= most or len(rows) < looked or looked == total:
                best = kept[:most]
                return list(zip(scores[best].tolist(), rows[best].tolist(), strict=True)), len(kept)
            looked = min(total, 4 * looked)

    def _found(self, query: tantivy.Query, most: int) -> tuple[list[tuple[float, int]], int]:
        found: Any = self._searcher.search(query, limit=most, count=True)  # its stubs do not know `count`
        return self._rows(found), int(found.count or 0)

    def _rows(self, found: tantivy.SearchResult) -> list[tuple[float, int]]:
        scores, rows = self._split(found)
        return list(zip(scores.tolist(), rows.tolist(), strict=True))

    def _split(self, found: tantivy.SearchResult) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the scores and the rows of hits. A score is None when the query has none to give."""
        hits = found.hits
        if not hits:
            return np.zeros(0), np.zeros(0, dtype=np.int64)
        scores, addresses = zip(*hits, strict=True)
        rows = self._searcher.fast_field_values(_ROW, list(addresses))
        return np.nan_to_num(np.array(scores, dtype=np.float64)), np.array(rows, dtype=np.int64)

    def _build(
        self, query: Query, fields: Sequence[Field], match_all: bool, weights: Mapping[str, float]
    ) -> tantivy.Query:
        if isinstance(query, Negated):
            inner = self._build(query.term, fields, match_all, weights)
            everything = tantivy.Query.const_score_query(tantivy.Query.all_query(), 1.0)
            return tantivy.Query.boolean_query([(tantivy.Occur.Must, everything), (tantivy.Occur.MustNot, inner)])
        if isinstance(query, Group):
            return self._group(query, fields, match_all, weights)
        return self._any_field([self._weighted(query, field, weights) for field in fields])

    def _group(
        self, group: Group, fields: Sequence[Field], match_all: bool, weights: Mapping[str, float]
    ) -> tantivy.Query:
        must = group.operator == "and" or (group.operator == "" and match_all)
        clauses: list[tuple[tantivy.Occur, tantivy.Query]] = []
        for term in group.terms:
            if isinstance(term, Negated) and must:
                clauses.append((tantivy.Occur.MustNot, self._build(term.term, fields, match_all, weights)))
                continue
            built = self._build(term, fields, match_all, weights)
            if self._vanishes(term, fields):
                continue  # a stop word constrains nothing
            clauses.append((tantivy.Occur.Must if must else tantivy.Occur.Should, built))
        if not clauses:
            return tantivy.Query.empty_query()
        if all(occur == tantivy.Occur.MustNot for occur, _ in clauses):
            everything = tantivy.Query.const_score_query(tantivy.Query.all_query(), 1.0)
            clauses.append((tantivy.Occur.Must, everything))
        return tantivy.Query.boolean_query(clauses)

    def _vanishes(self, query: Query, fields: Sequence[Field]) -> bool:
        if not isinstance(query, Term | Phrase) or (isinstance(query, Term) and query.prefix):
            return False
        return not any(terms(field.search_analyzer, query.text) for field in fields)

    def _weighted(self, query: Term | Phrase, field: Field, weights: Mapping[str, float]) -> tantivy.Query:
        built = self._leaf(query, field)
        return tantivy.Query.boost_query(built, weights[field.name]) if field.name in weights else built

    def _leaf(self, query: Term | Phrase, field: Field) -> tantivy.Query:
        name = _engine_name(field)
        if isinstance(query, Term) and query.prefix:
            # A prefix is not analyzed, only lower-cased, as in the service.
            pattern = re.escape(query.text if field.search_analyzer == "keyword" else query.text.lower()) + ".*"
            return tantivy.Query.regex_query(self._schema, name, pattern)
        words = terms(field.search_analyzer, query.text)
        if not words:
            return tantivy.Query.empty_query()
        if len(words) == 1:
            return tantivy.Query.term_query(self._schema, name, words[0])
        return tantivy.Query.phrase_query(self._schema, name, list(words))

    def _any_field(self, queries: Sequence[tantivy.Query]) -> tantivy.Query:
        if len(queries) == 1:
            return queries[0]
        return tantivy.Query.boolean_query([(tantivy.Occur.Should, query) for query in queries])


def _at(mask: Mask, rows: NDArray[np.int64]) -> Mask:
    """Return a mask's values at some rows; beyond its end it is False."""
    inside: Mask = rows < len(mask)
    inside[inside] = mask[rows[inside]]
    return inside


def _engine_name(field: Field) -> str:
    """Return the engine's name of a field: prefixed, because it has names of its own, and without path marks."""
    return "f_" + field.name.replace("/", "__")


def words_of(query: Query | None) -> list[str]:
    """Return the words of a query that are looked for, for highlighting."""
    if query is None or isinstance(query, Negated):
        return []
    if isinstance(query, Group):
        return [word for term in query.terms for word in words_of(term)]
    return [query.text]
