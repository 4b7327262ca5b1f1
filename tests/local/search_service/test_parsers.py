"""The pure parts: filters against plain Python, parsers against anything at all, fusion against the formula."""

from collections.abc import Callable
from datetime import datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.search_service.errors import ServiceError
from local.search_service.filters import compile_filter
from local.search_service.odata import parse_filter
from local.search_service.query_syntax import Group, Negated, Phrase, Term, parse_query
from local.search_service.schema import parse_index
from local.search_service.search import fuse

FILTER_CASES = 2_000
SCHEMA = parse_index(
    {
        "name": "things",
        "fields": [
            {"name": "id", "type": "Edm.String", "key": True},
            {"name": "word", "type": "Edm.String"},
            {"name": "number", "type": "Edm.Int32"},
            {"name": "flag", "type": "Edm.Boolean"},
            {"name": "many", "type": "Collection(Edm.String)"},
            {"name": "moment", "type": "Edm.DateTimeOffset"},
            {"name": "price", "type": "Edm.Double"},
            {
                "name": "inner",
                "type": "Edm.ComplexType",
                "fields": [{"name": "word", "type": "Edm.String"}, {"name": "number", "type": "Edm.Int32"}],
            },
            {
                "name": "rooms",
                "type": "Collection(Edm.ComplexType)",
                "fields": [
                    {"name": "number", "type": "Edm.Int32"},
                    {"name": "tags", "type": "Collection(Edm.String)"},
                ],
            },
        ],
    }
)
WORDS = st.sampled_from(["a", "b", "c", "it's", ""])
NUMBERS = st.integers(-3, 3)
# The same moments in different zones and precisions: they compare by time, not by text.
MOMENTS = st.sampled_from(
    [
        "2025-03-01T09:30:00Z",
        "2025-03-01T10:30:00+01:00",
        "2025-03-01T09:30:00.5Z",
        "2024-12-31T23:59:59Z",
        "2025-01-01T00:59:59+01:00",
    ]
)
PRICES = st.sampled_from([-1.5, 0.0, 2.0, 2.5])
ROOMS = st.fixed_dictionaries({"number": st.none() | NUMBERS, "tags": st.lists(WORDS, max_size=2)})
DOCUMENTS = st.fixed_dictionaries(
    {
        "word": st.none() | WORDS,
        "number": st.none() | NUMBERS,
        "flag": st.none() | st.booleans(),
        "many": st.lists(WORDS, max_size=3),
        "moment": st.none() | MOMENTS,
        "price": st.none() | PRICES,
        "inner": st.none() | st.fixed_dictionaries({"word": st.none() | WORDS, "number": st.none() | NUMBERS}),
        "rooms": st.lists(ROOMS, max_size=3),
    }
)
ORDER = {"eq": eq, "ne": ne, "gt": gt, "ge": ge, "lt": lt, "le": le}
FLIPPED = {"eq": "eq", "ne": "ne", "gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}


def quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


Holds = Callable[[Any], bool]
Condition = tuple[str, Holds]


def compare_with(operator: str, value: Any) -> Holds:
    """A comparison in Python: nothing is greater or less than null, and null equals only null."""

    def holds(found: Any) -> bool:
        if operator in ("eq", "ne"):
            return bool((found == value) is (operator == "eq"))
        return None not in (found, value) and bool(ORDER[operator](found, value))

    return holds


def literal(value: Any) -> str:
    """A value as OData writes it."""
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return value.isoformat()
    return quoted(value) if isinstance(value, str) else str(value)


@st.composite
def comparisons(draw: st.DrawFn, path: str, values: st.SearchStrategy[Any]) -> Condition:
    """A comparison of one path with a constant, either way round, as OData text and in Python on the path's value."""
    operator = draw(st.sampled_from(sorted(ORDER)))
    value = draw(st.none() | values)
    if draw(st.booleans()):
        return f"{path} {operator} {literal(value)}", compare_with(operator, value)
    return f"{literal(value)} {FLIPPED[operator]} {path}", compare_with(operator, value)


@st.composite
def of_document(draw: st.DrawFn) -> Condition:
    """A condition on one field of a document."""
    kinds: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Any]]] = {
        "word": (WORDS, lambda d: d["word"]),
        "number": (NUMBERS, lambda d: d["number"]),
        "price": (PRICES | NUMBERS, lambda d: d["price"]),
        "moment": (MOMENTS.map(datetime.fromisoformat), lambda d: d["moment"] and datetime.fromisoformat(d["moment"])),
        "inner/word": (WORDS, lambda d: d["inner"] and d["inner"]["word"]),
        "inner/number": (NUMBERS, lambda d: d["inner"]["number"] if d["inner"] else None),
    }
    path = draw(st.sampled_from(sorted(kinds)))
    values, get = kinds[path]
    text, holds = draw(comparisons(path, values))
    return text, lambda document: holds(get(document))


@st.composite
def of_words(draw: st.DrawFn, variable: str) -> Condition:
    """A condition on one word of a collection."""
    if draw(st.booleans()):
        return draw(comparisons(variable, WORDS))
    words = draw(st.lists(WORDS.filter(lambda word: word not in ("", "it's")), min_size=1, max_size=2))
    return f"search.in({variable}, '{'|'.join(words)}', '|')", lambda found: found in words


@st.composite
def of_rooms(draw: st.DrawFn) -> Condition:
    """A condition on one element of a collection of complex values, a lambda within included."""
    kind = draw(st.sampled_from(["number", "tags", "empty", "both"]))
    if kind == "number":
        text, holds = draw(comparisons("r/number", NUMBERS))
        return text, lambda room: holds(room["number"])
    if kind == "empty":
        return "not r/tags/any()", lambda room: not room["tags"]
    quantifier = draw(st.sampled_from(["any", "all"]))
    inner, fits = draw(of_words("t"))
    check = any if quantifier == "any" else all
    tags = f"r/tags/{quantifier}(t: {inner})"
    if kind == "tags":
        return tags, lambda room: check(fits(tag) for tag in room["tags"])
    text, holds = draw(comparisons("r/number", NUMBERS))
    return f"{text} and {tags}", lambda room: holds(room["number"]) and check(fits(tag) for tag in room["tags"])


@st.composite
def leaves(draw: st.DrawFn) -> Condition:
    """Any condition that is not made of others."""
    kind = draw(st.sampled_from(["field", "field", "flag", "not_empty", "in", "words", "rooms"]))
    if kind == "flag":
        return "flag", lambda document: document["flag"] is True
    if kind == "not_empty":
        name = draw(st.sampled_from(["many", "rooms"]))
        return f"{name}/any()", lambda document: bool(document[name])
    if kind == "in":
        text, holds = draw(of_words("word").filter(lambda made: made[0].startswith("search.in")))
        return text, lambda document: holds(document["word"])
    if kind in ("words", "rooms"):
        quantifier = draw(st.sampled_from(["any", "all"]))
        name, variable = ("many", "m") if kind == "words" else ("rooms", "r")
        text, holds = draw(of_words("m") if kind == "words" else of_rooms())
        check = any if quantifier == "any" else all
        return f"{name}/{quantifier}({variable}: {text})", lambda document: check(map(holds, document[name]))
    return draw(of_document())


def combined(children: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    """Conditions made of conditions."""
    pairs = st.tuples(children, children)
    return (
        pairs.map(lambda p: (f"({p[0][0]}) and ({p[1][0]})", lambda d: p[0][1](d) and p[1][1](d)))
        | pairs.map(lambda p: (f"{p[0][0]} or {p[1][0]}", lambda d: p[0][1](d) or p[1][1](d)))
        | children.map(lambda c: (f"not ({c[0]})", lambda d: not c[1](d)))
    )


@settings(max_examples=FILTER_CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(leaves(), combined, max_leaves=6), st.lists(DOCUMENTS, min_size=1, max_size=8))
def test_filters_agree_with_plain_python(condition: Condition, documents: list[dict[str, Any]]) -> None:
    """A filter selects exactly the documents that the same condition in Python does."""
    text, holds = condition
    _, passes = compile_filter(SCHEMA, text)
    assert [passes(document) for document in documents] == [holds(document) for document in documents]


@given(st.text(max_size=60) | st.text(alphabet="abt() '|/:,.eqnorad-0123456789", max_size=60))
def test_any_filter_text_is_parsed_or_refused(text: str) -> None:
    """No text makes the filter parser fail in any other way than with the service's own 400."""
    try:
        parse_filter(text)
    except ServiceError as refused:
        assert refused.status == 400


@given(st.text(max_size=60) | st.text(alphabet='ab"+-|()*\\ ', max_size=60))
def test_any_query_text_is_parsed(text: str) -> None:
    """The simple syntax has no errors: every text is a query, or none at all."""
    parse_query(text)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", None),
        ("a", Term("a")),
        ("a*", Term("a", prefix=True)),
        ('"a b"', Phrase("a b")),
        ("-a", Negated(Term("a"))),
        ("a b", Group("", (Term("a"), Term("b")))),
        ("a + b", Group("and", (Term("a"), Term("b")))),
        ("a | b c", Group("or", (Term("a"), Group("", (Term("b"), Term("c")))))),
        (r"a\*", Term("a*")),
        ("(a | b) + c", Group("and", (Group("or", (Term("a"), Term("b"))), Term("c")))),
        ("well-known", Term("well-known")),
    ],
)
def test_simple_syntax_trees(text: str, tree: object) -> None:
    """Operators bind as documented: + before words side by side, | last."""
    assert parse_query(text) == tree


def test_fusion_adds_reciprocal_ranks() -> None:
    """A row in both lists beats rows that are first in one; equal sums keep the order of rows."""
    lists = [(1.0, [(9.0, 1), (8.0, 2)]), (1.0, [(0.9, 3), (0.8, 2)])]
    assert fuse(lists) == [(2 / 61, 2), (1 / 60, 1), (1 / 60, 3)]
