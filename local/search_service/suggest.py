"""Suggestions and autocompletion over the source fields of a suggester: prefixes of words, found by reading them all.

https://learn.microsoft.com/rest/api/searchservice/documents/suggest-post
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from local.search_service import shapes
from local.search_service.analysis import terms
from local.search_service.errors import bad_request, unsupported
from local.search_service.filters import compile_filter
from local.search_service.highlight import mark
from local.search_service.index import SearchIndex, values_of
from local.search_service.request import parse_search
from local.search_service.schema import IndexSchema

DEFAULT_TOP = 5
MAX_TOP = 100
ANALYZER = "standard.lucene"  # words are completed as they stand in the text, not their stems
MODES = ("oneTerm", "twoTerms", "oneTermWithContext")
_COMMON = frozenset(
    [
        *("search", "suggesterName", "filter", "fuzzy", "highlightPostTag", "highlightPreTag", "minimumCoverage"),
        *("searchFields", "top"),
    ]
)
_SUGGEST = _COMMON | {"orderby", "select"}
_AUTOCOMPLETE = _COMMON | {"autocompleteMode"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What both kinds of request have in common."""

    text: str
    words: tuple[str, ...]
    fields: tuple[str, ...]
    top: int
    tags: tuple[str, str] | None


def suggest(index: SearchIndex, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return documents that have all words of the text, the last one as a prefix, in a source field."""
    asked = _asked(index.schema, body, _SUGGEST)
    key = index.schema.key
    select = shapes.names(body.get("select"), "select") or [key]
    request = parse_search(index.schema, {"select": ",".join(select)})
    with index.turn:
        index.settle()
        found = [(text, row) for row, document in _documents(index, body) if (text := _match(index, asked, document))]
        shown = [{"@search.text": text, **index.shown(row, request.select)} for text, row in found[: asked.top]]
    return {**_coverage(body), "value": shown}


def autocomplete(index: SearchIndex, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return terms, or pairs of terms, of the source fields that complete the text, the most frequent first."""
    asked = _asked(index.schema, body, _AUTOCOMPLETE)
    mode = shapes.a_text(body.get("autocompleteMode"), "autocompleteMode") or "oneTerm"
    if mode not in MODES:
        raise bad_request(f"autocompleteMode must be one of {', '.join(MODES)}, not {mode!r}.")
    counts: Counter[str] = Counter()
    with index.turn:
        index.settle()
        for _, document in _documents(index, body):
            counts.update(set(_completions(index, asked, mode, document)))
    before = list(asked.words[:-2] if mode == "oneTermWithContext" else asked.words[:-1])
    best = sorted(counts, key=lambda text: (-counts[text], text))[: asked.top]
    return {
        **_coverage(body),
        "value": [{"text": text, "queryPlusText": " ".join([*before, text])} for text in best],
    }


def _asked(schema: IndexSchema, body: Mapping[str, Any], known: frozenset[str]) -> _Asked:
    if unknown := sorted(set(body) - known):
        raise bad_request(f"The property '{unknown[0]}' does not exist on this request.")
    if shapes.a_switch(body.get("fuzzy"), "fuzzy"):
        raise unsupported("'fuzzy'")
    if body.get("orderby"):
        raise unsupported("'orderby' of suggestions")
    text = shapes.a_text(body.get("search"), "search")
    name = shapes.a_text(body.get("suggesterName"), "suggesterName")
    if not text.strip():
        raise bad_request("search must be a text that is not empty.")
    if name not in schema.suggesters:
        raise bad_request(f"The suggester '{name}' does not exist.")
    fields = schema.suggesters[name]
    narrowed = shapes.names(body.get("searchFields"), "searchFields")
    outside = [field for field in narrowed if field not in fields]
    if outside:
        raise bad_request(f"The field '{outside[0]}' is no source field of suggester '{name}'.")
    top = body.get("top")
    if top is not None and (not isinstance(top, int) or isinstance(top, bool) or not 1 <= top <= MAX_TOP):
        raise bad_request(f"top must be a whole number from 1 to {MAX_TOP}, not {top!r}.")
    before, after = (shapes.a_text(body.get(tag), tag) for tag in ("highlightPreTag", "highlightPostTag"))
    tags = (before, after) if before and after else None
    return _Asked(text, tuple(terms(ANALYZER, text)), tuple(narrowed or fields), top or DEFAULT_TOP, tags)


def _documents(index: SearchIndex, body: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the documents that pass the request's filter, in the order of keys."""
    condition = shapes.a_text(body.get("filter"), "filter").strip()
    passes = compile_filter(index.schema, condition)[1] if condition else None
    for row in index.rows.values():
        document = index.documents[row]
        if passes is None or passes(document):
            yield row, document


def _texts(index: SearchIndex, fields: Sequence[str], document: Mapping[str, Any]) -> Iterator[str]:
    for name in fields:
        yield from values_of(document, index.schema.fields[name].parts)


def _match(index: SearchIndex, asked: _Asked, document: Mapping[str, Any]) -> str:
    """Return the first text of a document that has the words, or ""."""
    if not asked.words:
        return ""
    *whole, last = asked.words
    for text in _texts(index, asked.fields, document):
        words = terms(ANALYZER, text)
        held = set(words)
        completed = {word for word in held if word.startswith(last)}
        if completed and held.issuperset(whole):
            return mark(text, ANALYZER, {*whole, *completed}, asked.tags) if asked.tags else text
    return ""


def _completions(index: SearchIndex, asked: _Asked, mode: str, document: Mapping[str, Any]) -> Iterator[str]:
    if not asked.words:
        return
    last = asked.words[-1]
    before = asked.words[-2] if len(asked.words) > 1 else None
    for text in _texts(index, asked.fields, document):
        words = terms(ANALYZER, text)
        if mode == "oneTerm":
            yield from (word for word in words if word.startswith(last))
        for first, second in pairwise(words):
            if mode == "twoTerms" and first.startswith(last):
                yield f"{first} {second}"
            if mode == "oneTermWithContext" and first == before and second.startswith(last):
                yield f"{first} {second}"


def _coverage(body: Mapping[str, Any]) -> dict[str, float]:
    return {"@search.coverage": 100.0} if body.get("minimumCoverage") is not None else {}
