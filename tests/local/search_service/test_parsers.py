"""The pure parts: filters against plain Python, parsers against anything at all, fusion against the formula."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.search_service.errors import ServiceError
from local.search_service.filters import compile_filter
from local.search_service.odata import parse_filter
from local.search_service.query_syntax import Group, Negated, Phrase, Term, parse_query
from local.search_service.schema import parse_index
from local.search_service.search import fuse

SCHEMA = parse_index(
    {
        "name": "things",
        "fields": [
            {"name": "id", "type": "Edm.String", "key": True},
            {"name": "word", "type": "Edm.String"},
            {"name": "number", "type": "Edm.Int32"},
            {"name": "flag", "type": "Edm.Boolean"},
            {"name": "many", "type": "Collection(Edm.String)"},
        ],
    }
)
WORDS = st.sampled_from(["a", "b", "c", "it's", ""])
NUMBERS = st.integers(-3, 3)
DOCUMENTS = st.fixed_dictionaries(
    {
        "word": st.none() | WORDS,
        "number": st.none() | NUMBERS,
        "flag": st.none() | st.booleans(),
        "many": st.lists(WORDS, max_size=3),
    }
)
PYTHON = {"eq": "==", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, Any]:
    """A comparison as OData text, and as a Python function of a document."""
    operator = draw(st.sampled_from(sorted(PYTHON)))
    name = draw(st.sampled_from(["word", "number"]))
    value = draw(WORDS if name == "word" else NUMBERS)
    shown = quoted(value) if isinstance(value, str) else str(value)

    def holds(document: dict[str, Any]) -> bool:
        found = document[name]
        if operator in ("eq", "ne"):
            return bool((found == value) is (operator == "eq"))
        return found is not None and bool(eval(f"found {PYTHON[operator]} value", {}, {"found": found, "value": value}))

    return f"{name} {operator} {shown}", holds


@st.composite
def leaves(draw: st.DrawFn) -> tuple[str, Any]:
    """Any simple condition."""
    kind = draw(st.sampled_from(["comparison", "null", "flag", "any", "any_in", "all", "in"]))
    words = draw(st.lists(WORDS.filter(lambda word: word not in ("", "it's")), min_size=1, max_size=2))
    if kind == "null":
        return "word eq null", lambda document: document["word"] is None
    if kind == "flag":
        return "flag", lambda document: document["flag"] is True
    if kind == "any":
        return "many/any()", lambda document: bool(document["many"])
    if kind == "any_in":
        return f"many/any(m: search.in(m, '{'|'.join(words)}', '|'))", lambda d: bool(set(d["many"]) & set(words))
    if kind == "all":
        return f"many/all(m: m ne '{words[0]}')", lambda document: words[0] not in document["many"]
    if kind == "in":
        return f"search.in(word, '{','.join(words)}')", lambda document: document["word"] in words
    return draw(comparisons())


def combined(children: st.SearchStrategy[tuple[str, Any]]) -> st.SearchStrategy[tuple[str, Any]]:
    """Conditions made of conditions."""
    pairs = st.tuples(children, children)
    return (
        pairs.map(lambda p: (f"({p[0][0]}) and ({p[1][0]})", lambda d: p[0][1](d) and p[1][1](d)))
        | pairs.map(lambda p: (f"{p[0][0]} or {p[1][0]}", lambda d: p[0][1](d) or p[1][1](d)))
        | children.map(lambda c: (f"not ({c[0]})", lambda d: not c[1](d)))
    )


@settings(max_examples=400)
@given(st.recursive(leaves(), combined, max_leaves=6), st.lists(DOCUMENTS, min_size=1, max_size=8))
def test_filters_agree_with_plain_python(condition: tuple[str, Any], documents: list[dict[str, Any]]) -> None:
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
