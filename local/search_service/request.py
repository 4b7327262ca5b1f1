"""Search requests: checked against the schema; what is unknown or not supported is a 400 that names it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.search_service.errors import bad_request, unsupported
from local.search_service.schema import IndexSchema

DEFAULT_TOP = 50
MAX_TOP = 1_000
MAX_SKIP = 100_000
DEFAULT_K = 50

_KNOWN = frozenset(
    [
        *("search", "count", "facets", "filter", "highlight", "highlightPostTag", "highlightPreTag", "orderby"),
        *("queryType", "searchFields", "searchMode", "select", "skip", "top", "vectorQueries", "vectorFilterMode"),
        *("minimumCoverage", "scoringStatistics", "sessionId", "scoringParameters", "scoringProfile", "debug"),
        *("semanticConfiguration", "answers", "captions", "queryLanguage", "speller", "semanticErrorHandling"),
        *("semanticQuery", "semanticMaxWaitInMilliseconds", "hybridSearch", "semanticFields", "queryRewrites"),
        *("xMsQuerySourceAuthorization", "xMsEnableElevatedRead"),
    ]
)
_IGNORED = frozenset({"minimumCoverage", "scoringStatistics", "sessionId", "debug"})  # they change no result here
_SUPPORTED = frozenset(
    [
        *("search", "count", "facets", "filter", "highlight", "highlightPostTag", "highlightPreTag", "orderby"),
        *("queryType", "searchFields", "searchMode", "select", "skip", "top", "vectorQueries", "vectorFilterMode"),
    ]
)
_VECTOR_KNOWN = frozenset(
    {"kind", "vector", "k", "fields", "exhaustive", "weight", "oversampling", "threshold", "filterOverride"}
)


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """One vector query."""

    vector: tuple[float, ...]
    fields: tuple[str, ...]
    k: int
    weight: float


@dataclass(frozen=True, slots=True)
class Order:
    """One key of the order; `field` is "" for the score."""

    field: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """A facet: the field, how many values, in which order."""

    field: str
    count: int
    sort: str


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A checked request. `text` is "" for everything; `highlight` maps fields to numbers of fragments."""

    text: str
    search_fields: tuple[str, ...]
    match_all: bool
    filter: str
    post_filter: bool
    order: tuple[Order, ...]
    select: tuple[str, ...]
    skip: int
    top: int
    count: bool
    facets: tuple[Facet, ...]
    highlight: Mapping[str, int]
    tags: tuple[str, str]
    vectors: tuple[VectorQuery, ...]
    body: Mapping[str, Any]


def parse_search(schema: IndexSchema, body: Mapping[str, Any]) -> SearchRequest:
    """Return the checked request."""
    for name, value in body.items():
        if name not in _KNOWN:
            raise bad_request(f"The property '{name}' does not exist on type 'search.searchRequest'.")
        if name not in _SUPPORTED and name not in _IGNORED and value is not None:
            raise unsupported(f"the search parameter '{name}'")
    if body.get("queryType", "simple") != "simple":
        raise unsupported(f"queryType '{body['queryType']}'")
    mode = body.get("searchMode", "any")
    if mode not in ("any", "all"):
        raise bad_request(f"searchMode must be any or all, not {mode!r}.")
    text = body.get("search") or ""
    if not isinstance(text, str):
        raise bad_request("search must be a string.")
    return SearchRequest(
        text="" if text.strip() in ("", "*") else text,
        search_fields=_search_fields(schema, body.get("searchFields")),
        match_all=mode == "all",
        filter=_string(body, "filter"),
        post_filter=body.get("vectorFilterMode", "preFilter") == "postFilter",
        order=_order(schema, body.get("orderby")),
        select=_select(schema, body.get("select")),
        skip=_number(body, "skip", 0, 0, MAX_SKIP),
        top=_number(body, "top", DEFAULT_TOP, 0, 2**31 - 1),
        count=bool(body.get("count")),
        facets=tuple(_facet(schema, text) for text in body.get("facets") or ()),
        highlight=_highlight(schema, body.get("highlight")),
        tags=(body.get("highlightPreTag") or "<em>", body.get("highlightPostTag") or "</em>"),
        vectors=tuple(_vector_query(schema, query) for query in body.get("vectorQueries") or ()),
        body=body,
    )


def _string(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name) or ""
    if not isinstance(value, str):
        raise bad_request(f"{name} must be a string.")
    return value


def _number(body: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise bad_request(f"Value must be between {least} and {most}. (Parameter '{name}')")
    return value


def _names(value: Any) -> list[str]:
    if not value:
        return []
    parts: Sequence[Any] = value.split(",") if isinstance(value, str) else value
    return [str(part).strip() for part in parts if str(part).strip()]


def _search_fields(schema: IndexSchema, value: Any) -> tuple[str, ...]:
    names = _names(value)
    for name in names:
        if not schema.field(name).searchable or schema.field(name).is_vector:
            raise bad_request(f"The field '{name}' in the search field list is not searchable.")
    return tuple(names or [field.name for field in schema.text_fields])


def _select(schema: IndexSchema, value: Any) -> tuple[str, ...]:
    names = _names(value)
    if not names or names == ["*"]:
        return tuple(field.name for field in schema.fields.values() if field.retrievable)
    for name in names:
        if not schema.field(name).retrievable:
            raise bad_request(f"The field '{name}' is not retrievable.")
    return tuple(names)


def _order(schema: IndexSchema, value: Any) -> tuple[Order, ...]:
    found: list[Order] = []
    for part in _names(value):
        name, _, direction = part.partition(" ")
        if direction.strip() not in ("", "asc", "desc"):
            raise bad_request(f"Invalid expression: '{part}' in orderby.")
        if name != "search.score()" and not schema.field(name).sortable:
            raise bad_request(f"Invalid expression: '{name}' is not a sortable field.")
        found.append(Order("" if name == "search.score()" else name, direction.strip() == "desc"))
    return tuple(found)


def _facet(schema: IndexSchema, text: Any) -> Facet:
    name, *options = str(text).split(",")
    field = schema.field(name)
    if not field.facetable:
        raise bad_request(f"The field '{name}' is not facetable.")
    given = dict(option.split(":", 1) for option in options if ":" in option)
    unknown = sorted(set(given) - {"count", "sort"}) + [option for option in options if ":" not in option]
    if unknown:
        raise unsupported(f"the facet option '{unknown[0]}'")
    sort = given.get("sort", "count")
    if sort not in ("count", "-count", "value", "-value"):
        raise bad_request(f"Invalid facet sort {sort!r}.")
    return Facet(name, int(given.get("count", "10")), sort)


def _highlight(schema: IndexSchema, value: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in _names(value):
        name, _, number = part.partition("-")
        if not schema.field(name).searchable:
            raise bad_request(f"The field '{name}' cannot be highlighted: it is not searchable.")
        found[name] = int(number) if number.isdecimal() else 5
    return found


def _vector_query(schema: IndexSchema, query: Any) -> VectorQuery:
    if not isinstance(query, dict):
        raise bad_request("A vector query must be an object.")
    if query.get("kind") != "vector":
        raise unsupported(f"the vector query kind {query.get('kind')!r}")
    unknown = sorted(set(query) - _VECTOR_KNOWN)
    if unknown:
        raise bad_request(f"The property '{unknown[0]}' does not exist on type 'search.vectorQuery'.")
    for name in ("threshold", "filterOverride"):
        if query.get(name) is not None:
            raise unsupported(f"the vector query parameter '{name}'")
    names = _names(query.get("fields"))
    vector = query.get("vector")
    if not names or not isinstance(vector, list):
        raise bad_request("A vector query needs 'vector' and 'fields'.")
    for name in names:
        field = schema.field(name)
        if not field.is_vector:
            raise bad_request(f"The field '{name}' is no vector field.")
        if len(vector) != field.dimensions:
            raise bad_request(
                f"The vector query's vector has length {len(vector)}, the field '{name}' has {field.dimensions}."
            )
    k = query.get("k")
    weight = query.get("weight")
    if k is not None and (not isinstance(k, int) or k < 1):
        raise bad_request(f"k must be a positive integer, not {k!r}.")
    if weight is not None and (not isinstance(weight, int | float) or weight <= 0):
        raise bad_request(f"weight must be a positive number, not {weight!r}.")
    return VectorQuery(tuple(vector), tuple(names), k or DEFAULT_K, float(weight if weight is not None else 1.0))
