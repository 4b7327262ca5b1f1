"""Search requests: checked against the schema; what is unknown or not supported is a 400 that names it. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from local.search_service import shapes
from local.search_service.errors import bad_request, unsupported
from local.search_service.fields import NUMBERS, Field, moment
from local.search_service.schema import IndexSchema

DEFAULT_TOP = 50
MAX_TOP = 1_000
MAX_SKIP = 100_000
DEFAULT_K = 50
MAX_K = 10_000
DEFAULT_HIGHLIGHTS = 5

_SUPPORTED = frozenset(
    [
        *("search", "count", "facets", "filter", "highlight", "highlightPostTag", "highlightPreTag", "orderby"),
        *("queryType", "searchFields", "searchMode", "select", "skip", "top", "vectorQueries", "vectorFilterMode"),
        *("semanticConfiguration", "semanticQuery", "answers", "captions", "scoringProfile", "minimumCoverage"),
        *("semanticErrorHandling", "semanticMaxWaitInMilliseconds", "sessionId", "scoringStatistics"),
    ]
)
# Parameters the service has and this one has not: each is refused by name.
_REFUSED = frozenset(
    [
        *("scoringParameters", "debug", "queryLanguage", "speller", "hybridSearch", "semanticFields", "queryRewrites"),
        *("xMsQuerySourceAuthorization", "xMsEnableElevatedRead"),
    ]
)
_SCORING_STATISTICS = ("local", "global")
_INTERVALS = ("minute", "hour", "day", "month", "quarter", "year")
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
    """A facet: the field, how many values, in which order; or an interval, or the bounds of ranges."""

    field: str
    count: int
    sort: str
    interval: float | str | None = None
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Semantic:
    """What the semantic ranker is asked: the configuration, the question, whether captions and with words marked, how
    many answers.
    """

    configuration: str
    query: str
    captions: bool
    marked: bool
    answers: int


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
    weights: Mapping[str, float]
    semantic: Semantic | None
    minimum_coverage: float | None
    body: Mapping[str, Any]


def parse_search(schema: IndexSchema, body: Mapping[str, Any]) -> SearchRequest:
    """Return the checked request."""
    for name, value in body.items():
        if name in _REFUSED and value not in (None, "none", "disabled"):
            raise unsupported(f"the search parameter '{name}'")
        if name not in _SUPPORTED and name not in _REFUSED:
            raise bad_request(f"The property '{name}' does not exist on type 'search.searchRequest'.")
    kind = shapes.a_text(body.get("queryType"), "queryType") or "simple"
    if kind not in ("simple", "semantic"):
        raise unsupported(f"queryType '{kind}'")
    if body.get("scoringStatistics") not in (None, *_SCORING_STATISTICS):
        raise bad_request(f"scoringStatistics must be local or global, not {body['scoringStatistics']!r}.")
    mode = shapes.a_text(body.get("searchMode"), "searchMode") or "any"
    if mode not in ("any", "all"):
        raise bad_request(f"searchMode must be any or all, not {mode!r}.")
    text = shapes.a_text(body.get("search"), "search")
    return SearchRequest(
        text="" if text.strip() in ("", "*") else text,
        search_fields=_search_fields(schema, body.get("searchFields")),
        match_all=mode == "all",
        filter=shapes.a_text(body.get("filter"), "filter"),
        post_filter=_post_filter(body.get("vectorFilterMode")),
        order=_order(schema, body.get("orderby")),
        select=_select(schema, body.get("select")),
        skip=_number(body, "skip", 0, 0, MAX_SKIP),
        top=_number(body, "top", DEFAULT_TOP, 0, 2**31 - 1),
        count=shapes.a_switch(body.get("count"), "count"),
        facets=tuple(_facet(schema, text) for text in shapes.a_list(body.get("facets"), "facets")),
        highlight=_highlight(schema, body.get("highlight")),
        tags=(
            shapes.a_text(body.get("highlightPreTag"), "highlightPreTag") or "<em>",
            shapes.a_text(body.get("highlightPostTag"), "highlightPostTag") or "</em>",
        ),
        vectors=tuple(
            _vector_query(schema, query) for query in shapes.a_list(body.get("vectorQueries"), "vectorQueries")
        ),
        weights=_weights(schema, shapes.a_text(body.get("scoringProfile"), "scoringProfile")),
        semantic=_semantic(schema, body, kind, text),
        minimum_coverage=_coverage(body.get("minimumCoverage")),
        body=body,
    )


def _post_filter(value: Any) -> bool:
    if value not in (None, "preFilter", "postFilter"):
        raise unsupported(f"vectorFilterMode {value!r}")
    return bool(value == "postFilter")


def _coverage(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 100:
        raise bad_request(f"minimumCoverage must be a number from 0 to 100, not {value!r}.")
    return float(value)


def _weights(schema: IndexSchema, name: str) -> Mapping[str, float]:
    """Return the field weights of a scoring profile. One with functions is refused: they are not computed here."""
    wanted = name or schema.default_profile
    if not wanted:
        return {}
    if wanted not in schema.profiles:
        raise bad_request(f"The scoring profile '{wanted}' does not exist.")
    profile = schema.profiles[wanted]
    if profile.functions:
        raise unsupported(f"the {profile.functions[0]} function of scoring profile '{wanted}'")
    return profile.weights


def _semantic(schema: IndexSchema, body: Mapping[str, Any], kind: str, text: str) -> Semantic | None:
    if kind != "semantic":
        for name in ("semanticConfiguration", "semanticQuery", "answers", "captions"):
            if body.get(name) not in (None, "none"):
                raise bad_request(f"'{name}' needs queryType 'semantic'.")
        return None
    if body.get("orderby"):
        raise bad_request("orderby cannot be used with queryType 'semantic'.")
    name = shapes.a_text(body.get("semanticConfiguration"), "semanticConfiguration") or schema.default_semantic
    if not name:
        raise bad_request("queryType 'semantic' needs a semanticConfiguration.")
    if name not in schema.semantic:
        raise bad_request(f"The semantic configuration '{name}' does not exist.")
    query = shapes.a_text(body.get("semanticQuery"), "semanticQuery") or text
    if not query.strip() or query.strip() == "*":
        raise bad_request("queryType 'semantic' needs a search text.")
    captions, shown = _extractive(body, "captions", ("highlight",))
    if shown.get("highlight", "true") not in ("true", "false"):
        raise bad_request(f"The captions option highlight must be true or false, not {shown['highlight']!r}.")
    answers, options = _extractive(body, "answers", ("count", "threshold"))
    count = options.get("count", "1")
    if not count.isdecimal() or not 1 <= int(count) <= 10:
        raise bad_request(f"The number of answers must be from 1 to 10, not {count!r}.")
    if "threshold" in options:
        raise unsupported("the answers option 'threshold'")
    return Semantic(name, query, captions, shown.get("highlight") != "false", int(count) if answers else 0)


def _extractive(body: Mapping[str, Any], name: str, known: Sequence[str]) -> tuple[bool, dict[str, str]]:
    """Return whether `none` or `extractive` is asked for, and the options after it: `extractive|count-3`."""
    kind, *options = (shapes.a_text(body.get(name), name) or "none").split("|")
    if kind not in ("none", "extractive"):
        raise unsupported(f"{name} '{kind}'")
    given: dict[str, str] = {}
    for option in (part for text in options for part in text.split(",")):
        label, _, value = option.partition("-")
        if label not in known:
            raise unsupported(f"the {name} option '{option}'")
        given[label] = value
    return kind == "extractive", given


def _number(body: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise bad_request(f"Value must be between {least} and {most}. (Parameter '{name}')")
    return value


def _search_fields(schema: IndexSchema, value: Any) -> tuple[str, ...]:
    names = shapes.names(value, "searchFields")
    for name in names:
        if not schema.field(name).searchable or schema.field(name).is_vector:
            raise bad_request(f"The field '{name}' in the search field list is not searchable.")
    return tuple(names or [field.name for field in schema.text_fields])


def _select(schema: IndexSchema, value: Any) -> tuple[str, ...]:
    names = shapes.names(value, "select")
    if not names or names == ["*"]:
        return _retrievable(schema.top)
    for name in names:
        if not schema.field(name).retrievable:
            raise bad_request(f"The field '{name}' is not retrievable.")
    return tuple(names)


def _retrievable(fields: Sequence[Field]) -> tuple[str, ...]:
    """Return the names that show everything that may be shown: a complex field itself, or those of its parts."""
    names: list[str] = []
    for field in fields:
        if not field.retrievable:
            continue
        hidden = any(not child.retrievable for child in field.fields)
        names.extend(_retrievable(field.fields) if hidden else [field.name])
    return tuple(names)


def _order(schema: IndexSchema, value: Any) -> tuple[Order, ...]:
    found: list[Order] = []
    for part in shapes.names(value, "orderby"):
        name, _, direction = part.partition(" ")
        if name.startswith("geo.") or (name.startswith("search.") and name != "search.score()"):
            raise unsupported(f"the orderby function '{name}'")
        if direction.strip() not in ("", "asc", "desc"):
            raise bad_request(f"Invalid expression: '{part}' in orderby.")
        if name != "search.score()" and not schema.field(name).sortable:
            raise bad_request(f"Invalid expression: '{name}' is not a sortable field.")
        found.append(Order("" if name == "search.score()" else name, direction.strip() == "desc"))
    return tuple(found)


def _facet(schema: IndexSchema, text: Any) -> Facet:
    name, *options = shapes.a_text(text, "facets").split(",")
    field = schema.field(name)
    if not field.facetable:
        raise bad_request(f"The field '{name}' is not facetable.")
    given: dict[str, str] = {}
    for option in options:
        label, _, value = option.partition(":")
        if label not in ("count", "sort", "interval", "values") or label in given or not value:
            raise unsupported(f"the facet option '{option}'")
        given[label] = value
    if ("values" in given and len(given) > 1) or {"interval", "count"} <= given.keys():
        raise bad_request(f"The facet options of '{name}' cannot be combined: {', '.join(given)}.")
    sort = given.get("sort", "value" if "interval" in given else "count")
    if sort not in ("count", "-count", "value", "-value"):
        raise bad_request(f"Invalid facet sort {sort!r}.")
    count = given.get("count", "10")
    if not count.isdecimal() or int(count) < 1:
        raise bad_request(f"Invalid facet count {count!r}.")
    values = tuple(_facet_value(field, value) for value in given["values"].split("|")) if "values" in given else ()
    return Facet(name, int(count), sort, _interval(field, given.get("interval")), values)


def _interval(field: Field, text: str | None) -> float | str | None:
    if text is None:
        return None
    if field.type == "Edm.DateTimeOffset":
        if text not in _INTERVALS:
            raise bad_request(f"Invalid facet interval {text!r} of '{field.name}'; known are {', '.join(_INTERVALS)}.")
        return text
    width = _facet_value(field, text)
    if width <= 0:
        raise bad_request(f"The facet interval of '{field.name}' must be greater than 0.")
    return float(width)


def _facet_value(field: Field, text: str) -> Any:
    """Return a number or moment that bounds a range."""
    try:
        if field.type == "Edm.DateTimeOffset":
            return moment(text, UTC)
        if field.type in NUMBERS and math.isfinite(number := float(text)):
            return int(number) if field.type in ("Edm.Int32", "Edm.Int64") and number == int(number) else number
    except ValueError as fault:
        raise bad_request(f"Invalid facet value {text!r} for '{field.name}': {fault}.") from None
    raise bad_request(f"Invalid facet value {text!r} for '{field.name}' of type {field.kind}.")


def _highlight(schema: IndexSchema, value: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in shapes.names(value, "highlight"):
        name, _, number = part.partition("-")
        if not schema.field(name).searchable:
            raise bad_request(f"The field '{name}' cannot be highlighted: it is not searchable.")
        if number and (not number.isdecimal() or int(number) < 1):
            raise bad_request(f"Invalid number of highlights in '{part}'.")
        found[name] = int(number) if number else DEFAULT_HIGHLIGHTS
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
    names = shapes.names(query.get("fields"), "vectorQueries/fields")
    vector = shapes.a_list(query.get("vector"), "vectorQueries/vector")
    shapes.a_switch(query.get("exhaustive"), "vectorQueries/exhaustive")  # true of every search here
    if not names or not vector:
        raise bad_request("A vector query needs 'vector' and 'fields'.")
    for name in names:
        field = schema.field(name)
        if not field.is_vector:
            raise bad_request(f"The field '{name}' is no vector field.")
        if len(vector) != field.dimensions:
            raise bad_request(
                f"The vector query's vector has length {len(vector)}, the field '{name}' has {field.dimensions}."
            )
    if not {int, float}.issuperset(map(type, vector)) or not all(map(math.isfinite, vector)):
        raise bad_request("The vector of a vector query must be finite numbers.")
    k = query.get("k")
    weight = query.get("weight")
    if k is not None and (not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= MAX_K):
        raise bad_request(f"k must be a whole number from 1 to {MAX_K}, not {k!r}.")
    if weight is not None and (not isinstance(weight, int | float) or isinstance(weight, bool) or not weight > 0):
        raise bad_request(f"weight must be a positive number, not {weight!r}.")
    return VectorQuery(tuple(vector), tuple(names), k or DEFAULT_K, float(weight if weight is not None else 1.0))
