"""What is on the wire besides the SDK's own use: envelopes, documented addresses, collections without members, CORS."""

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.search.documents.indexes import SearchIndexClient, SearchIndexerClient
from azure.search.documents.indexes.models import CorsOptions, SynonymMap

from tests.local.search_service.conftest import KEY, VERSION, Library, call

NONE = {"Accept": "application/json;odata.metadata=none"}


@pytest.fixture
def url(search_service: str) -> str:
    """The service's address."""
    return search_service


def test_resources_that_are_not_provided_are_empty_collections(url: str) -> None:
    """Their lists are empty, as the SDK's own test setup asks; making or reading one is a 400 that names the kind."""
    with SearchIndexClient(url, KEY) as indexes, SearchIndexerClient(url, KEY) as indexers:
        assert list(indexes.get_synonym_maps()) == []
        assert list(indexes.list_knowledge_bases()) == list(indexes.list_knowledge_sources()) == []
        assert list(indexers.get_indexers()) == []
        assert list(indexers.get_data_source_connection_names()) == list(indexers.get_skillset_names()) == []
        with pytest.raises(HttpResponseError, match="synonymmaps") as refused:
            indexes.create_synonym_map(SynonymMap(name="words", synonyms=["a, b"]))
        assert refused.value.status_code == 400
        with pytest.raises(HttpResponseError, match="indexers") as refused:
            indexers.get_indexer("one")
        assert refused.value.status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body", "context"),
    [
        ("GET", "indexes/{}", None, "/$metadata#indexes/$entity"),
        ("GET", "indexes/{}/stats", None, "/$metadata#Microsoft.Azure.Search.V2026_04_01.IndexStatistics"),
        (
            "POST",
            "indexes/{}/analyze",
            {"text": "a b", "analyzer": "simple"},
            "/$metadata#Microsoft.Azure.Search.V2026_04_01.AnalyzeResult",
        ),
        ("POST", "indexes/{}/docs/search", {"search": "dogs"}, "/indexes('{}')/$metadata#docs(*)"),
        (
            "POST",
            "indexes/{}/docs/index",
            {"value": [{"@search.action": "delete", "id": "9"}]},
            "/indexes('{}')/$metadata#Collection(Microsoft.Azure.Search.V2026_04_01.IndexResult)",
        ),
        ("GET", "indexes/{}/docs/1", None, "/indexes('{}')/$metadata#docs(*)/$entity"),
    ],
)
def test_documented_addresses_answer_in_the_envelope_that_is_accepted(
    library: Library, url: str, method: str, path: str, body: Any, context: str
) -> None:
    """`indexes/x/...` is `indexes('x')/...`; an answer says what it is of, unless no metadata are accepted."""
    address = f"/{path.format(library.name)}?{VERSION}"
    status, answered, headers = call(url, method, address, body)
    assert (status, headers["Content-Type"]) == (200, "application/json; odata.metadata=minimal")
    assert answered.pop("@odata.context") in {url + context.format(library.name), url + context.split("')", 1)[-1]}
    assert headers["OData-Version"] == "4.0"
    status, bare, headers = call(url, method, address, body, **NONE)
    assert (status, bare, headers["Content-Type"]) == (200, answered, "application/json; odata.metadata=none")


@pytest.mark.parametrize("path", ["docs?search=dogs", "docs/suggest?search=do", "docs/search.autocomplete?search=do"])
def test_searches_by_get_are_refused_by_name(library: Library, url: str, path: str) -> None:
    """What only POST provides is a 400 that says so, and not a document that does not exist."""
    status, answered, _ = call(url, "GET", f"/indexes/{library.name}/{path}&{VERSION}")
    assert (status, answered["error"]["code"]) == (400, "NotSupportedLocally")


def test_index_is_shown_after_an_update_only_when_that_is_preferred(library: Library, url: str) -> None:
    """A PUT without Prefer is a 204 with the new ETag, whose weak form guards the next one."""
    address = f"/indexes('{library.name}')?{VERSION}"
    _, definition, _ = call(url, "GET", address, **NONE)
    status, answered, headers = call(url, "PUT", address, definition)
    assert (status, answered) == (204, None)
    guarded = {"If-Match": headers["ETag"], "Prefer": "return=representation"}
    status, answered, headers = call(url, "PUT", address, definition, **guarded)
    assert (status, f"W/{answered['@odata.etag']}") == (200, headers["ETag"])
    status, answered, _ = call(url, "PUT", address, definition, **guarded)
    assert (status, answered["error"]["message"]) == (
        412,
        "The precondition given in one of the request headers evaluated to false. "
        "No change was made to the resource from this request.",
    )


def test_pages_of_the_allowed_origins_may_query(library: Library, url: str) -> None:
    """CORS options let pages of these origins send queries, and nothing else."""
    here, elsewhere = {"Origin": "https://a.example"}, {"Origin": "https://b.example"}
    search = f"/indexes('{library.name}')/docs/search.post.search?{VERSION}"
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "api-key"}
    assert "Access-Control-Allow-Origin" not in call(url, "POST", search, {"search": "dogs"}, **here)[2]
    definition = library.admin.get_index(library.name)
    definition.cors_options = CorsOptions(allowed_origins=["https://a.example"], max_age_in_seconds=60)
    library.admin.create_or_update_index(definition)
    status, _, headers = call(url, "POST", search, {"search": "dogs"}, **here)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "https://a.example")
    status, _, headers = call(url, "OPTIONS", search, **here, **asks)
    assert (status, headers["Access-Control-Allow-Headers"], headers["Access-Control-Max-Age"]) == (
        200,
        "api-key",
        "60",
    )
    assert "Access-Control-Allow-Origin" not in call(url, "OPTIONS", search, **elsewhere, **asks)[2]
    write = f"/indexes('{library.name}')/docs/search.index?{VERSION}"
    assert call(url, "OPTIONS", write, **here, **asks)[0] == 405


def test_service_says_its_counters_and_limits(library: Library, url: str) -> None:
    """The statistics of the service have the keys of the real one; an index without vectors has none in memory."""
    _, answered, _ = call(url, "GET", f"/servicestats?{VERSION}", **NONE)
    assert set(answered["counters"]) == {
        *("documentCount", "indexesCount", "aliasesCount", "indexersCount", "dataSourcesCount"),
        *("storageSize", "synonymMaps", "skillsetCount", "vectorIndexSize"),
    }
    assert answered["limits"] == {
        "maxFieldsPerIndex": 1_000,
        "maxFieldNestingDepthPerIndex": 10,
        "maxComplexCollectionFieldsPerIndex": 40,
        "maxComplexObjectsInCollectionsPerDocument": 3_000,
    }
    stats = f"/indexes/{library.name}/stats?{VERSION}"
    assert call(url, "GET", stats, **NONE)[1]["vectorIndexSize"] == 3 * 3 * 4  # books, dimensions, bytes
    library.books.merge_documents([{"id": key, "vector": None} for key in "123"])
    assert call(url, "GET", stats, **NONE)[1]["vectorIndexSize"] == 0
