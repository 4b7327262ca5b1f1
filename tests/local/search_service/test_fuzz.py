"""The request parsers under fire: whatever is sent, the answer is a result or a 400, never a failure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.search_service.errors import ServiceError
from local.search_service.request import parse_search
from local.search_service.schema import parse_index
from local.search_service.search import search
from local.search_service.service import SearchService
from local.search_service.suggest import autocomplete, suggest

DEFINITION: dict[str, Any] = {
    "name": "fuzzed",
    "fields": [
        {"name": "id", "type": "Edm.String", "key": True},
        {"name": "text", "type": "Edm.String", "analyzer": "en.lucene"},
        {"name": "number", "type": "Edm.Int32"},
        {"name": "moment", "type": "Edm.DateTimeOffset"},
        {"name": "tags", "type": "Collection(Edm.String)"},
        {"name": "point", "type": "Edm.GeographyPoint"},
        {"name": "rooms", "type": "Collection(Edm.ComplexType)", "fields": [{"name": "rate", "type": "Edm.Double"}]},
        {
            "name": "vector",
            "type": "Collection(Edm.Single)",
            "searchable": True,
            "dimensions": 2,
            "vectorSearchProfile": "p",
        },
    ],
    "suggesters": [{"name": "sg", "searchMode": "analyzingInfixMatching", "sourceFields": ["text"]}],
    "vectorSearch": {
        "algorithms": [{"name": "a", "kind": "hnsw"}],
        "profiles": [{"name": "p", "algorithm": "a"}],
    },
    "semantic": {
        "configurations": [
            {"name": "s", "prioritizedFields": {"prioritizedContentFields": [{"fieldName": "text"}]}},
        ]
    },
}
VALID: dict[str, Any] = {
    "search": "a quiet sea",
    "count": True,
    "filter": "number gt 1 and tags/any(t: t eq 'x') or rooms/all(r: r/rate lt 3)",
    "orderby": "search.score() desc,number asc",
    "facets": ["number,interval:10", "tags,count:3", "moment,interval:month", "number,values:1|2"],
    "highlight": "text-3",
    "select": "id,text,rooms/rate",
    "searchFields": "text",
    "searchMode": "all",
    "queryType": "simple",
    "skip": 1,
    "top": 3,
    "vectorFilterMode": "preFilter",
    "vectorQueries": [{"kind": "vector", "vector": [0.5, 0.5], "k": 3, "fields": "vector", "weight": 0.5}],
    "minimumCoverage": 50.0,
    "scoringStatistics": "global",
}
SEMANTIC = {"search": "a quiet sea", "queryType": "semantic", "semanticConfiguration": "s", "captions": "extractive"}
DOCUMENT: dict[str, Any] = {
    "@search.action": "mergeOrUpload",
    "id": "1",
    "text": "A quiet sea, and a cold one.",
    "number": 3,
    "moment": "2025-03-01T09:30:00+01:00",
    "tags": ["x", "y"],
    "point": {"type": "Point", "coordinates": [18.0, 59.3]},
    "rooms": [{"rate": 2.5}],
    "vector": [0.1, 0.9],
}
SUGGEST = {"search": "qui", "suggesterName": "sg", "top": 3, "filter": "number gt 1", "select": ["id"]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CASES = 1_500
WRITES = 150  # each is a transaction and a commit of the text index


@st.composite
def mutated(draw: st.DrawFn, valid: dict[str, Any]) -> dict[str, Any]:
    """A valid body with some values replaced by anything, some taken out, some names added."""
    body = dict(valid)
    for name in draw(st.lists(st.sampled_from(sorted(valid)), max_size=4)):
        change = draw(st.sampled_from(["anything", "gone", "inside", "text"]))
        if change == "gone":
            body.pop(name, None)
        elif change == "inside" and isinstance(body.get(name), (list, dict)):
            body[name] = draw(_inside(body[name]))
        elif change == "text" and isinstance(body.get(name), str):
            cut = draw(st.integers(0, len(body[name])))
            body[name] = body[name][:cut] + draw(st.text(max_size=4)) + body[name][cut:]
        else:
            body[name] = draw(JSON)
    return {**body, **draw(st.dictionaries(st.text(max_size=6), JSON, max_size=1))}


@st.composite
def _inside(draw: st.DrawFn, value: Any) -> Any:
    """A list or object with one of its items replaced."""
    if not value or not isinstance(value, (list, dict)):
        return draw(JSON)
    if isinstance(value, list):
        place = draw(st.integers(0, len(value) - 1))
        return [draw(_inside(item)) if at == place else item for at, item in enumerate(value)]
    name = draw(st.sampled_from(sorted(value)))
    return {**value, name: draw(JSON)}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchService]:
    made = SearchService(tmp_path_factory.mktemp("fuzz"))
    made.create_index(DEFINITION)
    made.index("fuzzed").write([DOCUMENT, {**DOCUMENT, "id": "2", "text": "Dogs run."}])
    yield made
    made.close()


def answered(call: Any) -> None:
    """Run a call; only the service's own refusals may come out of it."""
    try:
        call()
    except ServiceError as refused:
        assert refused.status in (400, 409), refused


FUZZED = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
FUZZED_WRITES = settings(FUZZED, max_examples=WRITES)


@FUZZED
@given(mutated(VALID) | mutated(SEMANTIC) | st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_any_search_body_is_answered(service: SearchService, body: dict[str, Any]) -> None:
    """A search body is parsed and run, or refused with a 400."""
    index = service.index("fuzzed")
    answered(lambda: search(index, parse_search(index.schema, body)))


@FUZZED_WRITES
@given(st.lists(mutated(DOCUMENT), max_size=3))
def test_any_batch_is_answered(service: SearchService, actions: list[dict[str, Any]]) -> None:
    """A batch is applied or refused with a 400, and what was there before can still be read."""
    index = service.index("fuzzed")
    answered(lambda: index.write(actions))
    index.write([{**DOCUMENT, "id": "2"}])
    assert index.get("2", ["number"]) == {"number": 3}


@FUZZED
@given(mutated(SUGGEST))
def test_any_suggestion_body_is_answered(service: SearchService, body: dict[str, Any]) -> None:
    """Suggestions and completions are given or refused with a 400."""
    index = service.index("fuzzed")
    answered(lambda: suggest(index, body))
    answered(lambda: autocomplete(index, body))


@FUZZED
@given(mutated(DEFINITION))
def test_any_definition_is_answered(body: dict[str, Any]) -> None:
    """An index definition is taken or refused with a 400."""
    answered(lambda: parse_index(body))


def test_service_survives_its_fuzzed_documents(tmp_path: Path) -> None:
    """What was written is read back after a restart, field by field."""
    first = SearchService(tmp_path)
    first.create_index(DEFINITION)
    first.index("fuzzed").write([DOCUMENT])
    names = [field["name"] for field in DEFINITION["fields"]]
    before = first.index("fuzzed").get("1", names)
    first.close()
    again = SearchService(tmp_path)
    assert again.index("fuzzed").get("1", names) == before
    again.close()
