"""An index with complex fields, places, a suggester, semantic and scoring configurations, through the official SDK."""

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient
from azure.search.documents.indexes.models import AnalyzeTextOptions, CorsOptions, SearchIndex
from azure.search.documents.models import VectorizedQuery

from tests.local.search_service.conftest import KEY

NARROW = ("Edm.Half", "Edm.Int16", "Edm.SByte", "Edm.Byte")
ADDRESS = [{"name": "city", "type": "Edm.String"}, {"name": "street", "type": "Edm.String", "filterable": False}]
ROOM = [
    {"name": "type", "type": "Edm.String"},
    {"name": "rate", "type": "Edm.Double"},
    {"name": "tags", "type": "Collection(Edm.String)"},
]


def hotels_index(name: str) -> SearchIndex:
    """The definition, as the service's JSON."""
    vectors = [
        {
            "name": f"v{number}",
            "type": f"Collection({kind})",
            "searchable": True,
            "dimensions": 2,
            "vectorSearchProfile": "p",
        }
        for number, kind in enumerate(NARROW)
    ]
    return SearchIndex(
        {
            "name": name,
            "fields": [
                {"name": "id", "type": "Edm.String", "key": True, "sortable": True},
                {"name": "name", "type": "Edm.String"},
                {"name": "description", "type": "Edm.String", "analyzer": "en.lucene"},
                {"name": "rating", "type": "Edm.Int32"},
                {"name": "renovated", "type": "Edm.DateTimeOffset"},
                {"name": "location", "type": "Edm.GeographyPoint"},
                {"name": "address", "type": "Edm.ComplexType", "fields": ADDRESS},
                {"name": "rooms", "type": "Collection(Edm.ComplexType)", "fields": ROOM},
                *vectors,
            ],
            "corsOptions": {"allowedOrigins": ["*"], "maxAgeInSeconds": 60},
            "scoringProfiles": [{"name": "by-name", "text": {"weights": {"name": 5}}}],
            "suggesters": [{"name": "sg", "searchMode": "analyzingInfixMatching", "sourceFields": ["name"]}],
            "semantic": {
                "configurations": [
                    {
                        "name": "sem",
                        "prioritizedFields": {"prioritizedContentFields": [{"fieldName": "description"}]},
                    }
                ]
            },
            "vectorSearch": {
                "algorithms": [{"name": "a", "kind": "hnsw"}],
                "compressions": [{"name": "c", "kind": "scalarQuantization"}],
                "profiles": [{"name": "p", "algorithm": "a", "compression": "c"}],
            },
        }
    )


HOTELS: list[dict[str, Any]] = [
    {
        "id": "1",
        "name": "Harbour Motel",
        "description": "A plain house by the harbour. Breakfast is served until eleven. Pets stay for free.",
        "rating": 3,
        "renovated": "2020-05-01T00:00:00Z",
        "location": {"type": "Point", "coordinates": [18.07, 59.33]},
        "address": {"city": "Stockholm", "street": "Skeppsbron 1"},
        "rooms": [
            {"type": "single", "rate": 70.0, "tags": ["quiet"]},
            {"type": "suite", "rate": 210.0, "tags": ["view", "bath"]},
        ],
        **{f"v{number}": [1.0, 0.0] for number in range(len(NARROW))},
    },
    {
        "id": "2",
        "name": "Motorway Inn",
        "description": "Beside the motorway, far from the harbour.",
        "rating": 5,
        "renovated": "2020-08-15T00:00:00Z",
        "location": None,
        "address": {"city": "Uppsala"},
        "rooms": [{"type": "single", "rate": 40.0, "tags": []}],
        **{f"v{number}": [0.0, 1.0] for number in range(len(NARROW))},
    },
    {"id": "3", "name": "Breakfast House", "description": "Rooms.", "rating": 5, "address": None, "rooms": []},
]


@pytest.fixture
def name() -> str:
    return f"hotels-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def admin(search_service: str, name: str) -> Iterator[SearchIndexClient]:
    with SearchIndexClient(search_service, KEY) as client:
        client.create_index(hotels_index(name))
        yield client
        client.delete_index(name)


@pytest.fixture
def hotels(search_service: str, admin: SearchIndexClient, name: str) -> Iterator[SearchClient]:
    with SearchClient(search_service, name, KEY) as client:
        client.upload_documents([dict(hotel) for hotel in HOTELS])
        yield client


def found(client: SearchClient, condition: str) -> list[str]:
    """Keys of the documents that pass a filter, in order."""
    return [hit["id"] for hit in client.search("*", filter=condition, order_by=["id"])]


def test_complex_values_come_back_whole_and_in_parts(hotels: SearchClient) -> None:
    """A lookup completes what was left out; a path selects a part of a complex value, in each element of many."""
    first = hotels.get_document("1")
    assert first["rooms"] == HOTELS[0]["rooms"]
    assert first["location"]["coordinates"] == [18.07, 59.33]
    assert hotels.get_document("2")["address"] == {"city": "Uppsala", "street": None}
    (hit,) = hotels.search("*", filter="id eq '1'", select=["address/city", "rooms/rate"])
    assert {key: value for key, value in hit.items() if not key.startswith("@")} == {
        "address": {"city": "Stockholm"},
        "rooms": [{"rate": 70.0}, {"rate": 210.0}],
    }


def test_merge_goes_into_a_complex_value_and_replaces_a_collection(hotels: SearchClient) -> None:
    """A merge changes the named part of a single complex value; a collection of them is replaced as a whole."""
    hotels.merge_documents([{"id": "1", "address": {"street": "Strandvägen 2"}, "rooms": [{"type": "hall"}]}])
    merged = hotels.get_document("1")
    assert merged["address"] == {"city": "Stockholm", "street": "Strandvägen 2"}
    assert merged["rooms"] == [{"type": "hall", "rate": None, "tags": []}]
    assert merged["name"] == "Harbour Motel"
    assert found(hotels, "rooms/any(r: r/type eq 'suite')") == []


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ("address/city eq 'Stockholm'", ["1"]),
        ("address/city eq null", ["3"]),
        ("rooms/any(r: r/rate lt 50)", ["2"]),
        ("rooms/all(r: r/rate lt 50)", ["2", "3"]),
        ("rooms/any(r: r/tags/any(t: search.in(t, 'bath,pool')))", ["1"]),
        ("not rooms/any()", ["3"]),
        ("renovated ge 2020-06-01T00:00:00Z", ["2"]),
    ],
)
def test_filters_reach_into_complex_values(hotels: SearchClient, condition: str, keys: list[str]) -> None:
    """Paths, lambdas over complex collections and lambdas within them select what they say."""
    assert found(hotels, condition) == keys


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        ("geo.distance(location, geography'POINT(18 59)') lt 5", "geo.distance"),
        ("address/street eq 'x'", "street"),
        ("address/zip eq 'x'", "zip"),
    ],
)
def test_filters_that_cannot_be_answered_are_named(hotels: SearchClient, condition: str, named: str) -> None:
    """A function that is not there, a field that cannot be filtered and one that does not exist are refused by name."""
    with pytest.raises(HttpResponseError, match=named) as refused:
        found(hotels, condition)
    assert refused.value.status_code == 400


def test_facets_by_interval_bounds_and_path(hotels: SearchClient) -> None:
    """Numbers by interval and by bounds, dates by month, and a path below a collection, which counts documents."""
    facets = ["rating,interval:2", "renovated,interval:month", "rooms/type,sort:value", "address/city"]
    shown = hotels.search("*", facets=facets, top=0).get_facets() or {}
    assert [(facet["value"], facet["count"]) for facet in shown["rating"]] == [(2.0, 1), (4.0, 2)]
    assert [facet["count"] for facet in shown["renovated"]] == [1, 1]
    assert [(facet["value"], facet["count"]) for facet in shown["rooms/type"]] == [("single", 2), ("suite", 1)]
    both = hotels.search("*", facets=["rating,interval:2", "rating,values:4"], top=0).get_facets() or {}
    assert [facet["count"] for facet in both["rating"]] == [1, 2, 1, 2]
    ranges = hotels.search("*", facets=["rating,values:4"], top=0).get_facets() or {}
    assert [(facet.get("from"), facet.get("to"), facet["count"]) for facet in ranges["rating"]] == [
        (None, 4, 1),
        (4, None, 2),
    ]


def test_suggestions_and_completions(hotels: SearchClient) -> None:
    """The last word is completed; a document is suggested with the text that matched."""
    suggested = hotels.suggest("mot", "sg")
    assert sorted((item["id"], item["@search.text"]) for item in suggested) == [
        ("1", "Harbour Motel"),
        ("2", "Motorway Inn"),
    ]
    assert [item["text"] for item in hotels.autocomplete("mot", "sg")] == ["motel", "motorway"]
    (two,) = hotels.autocomplete("harbour mo", "sg", mode="oneTermWithContext")
    assert (two["text"], two["queryPlusText"]) == ("harbour motel", "harbour motel")
    with pytest.raises(HttpResponseError, match="other"):
        hotels.suggest("mot", "other")


def test_semantic_ranking_has_the_services_shape(hotels: SearchClient) -> None:
    """Results are reranked from 0 to 4 with a caption that marks the words, and the best is offered as an answer."""
    results = hotels.search(
        "when is breakfast served",
        query_type="semantic",
        semantic_configuration_name="sem",
        query_caption="extractive",
        query_answer="extractive",
        query_answer_count=1,
    )
    answers = results.get_answers() or []
    hits = list(results)
    assert hits[0]["id"] == "1"
    scores = [hit["@search.reranker_score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 4 for score in scores)
    assert "<em>Breakfast</em>" in hits[0]["@search.captions"][0].highlights
    assert {answer.key for answer in answers} <= {"1"}
    plain = hotels.search(
        "when is breakfast served",
        query_type="semantic",
        semantic_configuration_name="sem",
        query_caption="extractive",
        query_caption_highlight_enabled=False,
    )
    captions = [hit["@search.captions"][0] for hit in plain]
    assert [(bool(caption.text), caption.highlights) for caption in captions] == [(True, "")] * len(hits)


def test_scoring_profile_weighs_fields(hotels: SearchClient) -> None:
    """A weight multiplies what a field adds to the score; a profile that does not exist is refused by name."""
    plain = {hit["id"]: hit["@search.score"] for hit in hotels.search("breakfast", search_fields=["name"])}
    options: dict[str, Any] = {"search_fields": ["name"], "scoring_profile": "by-name"}
    weighed = {hit["id"]: hit["@search.score"] for hit in hotels.search("breakfast", **options)}
    assert weighed == {key: pytest.approx(5 * score) for key, score in plain.items()}
    assert next(hit["id"] for hit in hotels.search("breakfast", scoring_profile="by-name")) == "3"
    with pytest.raises(HttpResponseError, match="missing"):
        list(hotels.search("breakfast", scoring_profile="missing"))


@pytest.mark.parametrize("field", [f"v{number}" for number in range(len(NARROW))])
def test_vectors_of_narrow_types_are_searched(hotels: SearchClient, field: str) -> None:
    """Half, Int16, SByte and Byte vectors find the nearest, with a compressed profile."""
    query = VectorizedQuery(vector=[0.1, 0.9], k_nearest_neighbors=1, fields=field)
    assert [hit["id"] for hit in hotels.search(None, vector_queries=[query])] == ["2"]


def test_definition_keeps_what_it_was_given(admin: SearchIndexClient, name: str) -> None:
    """CORS options, profiles, suggesters and compression come back, and CORS options may be changed."""
    index = admin.get_index(name)
    assert index.suggesters is not None and index.scoring_profiles is not None
    assert [suggester.name for suggester in index.suggesters] == ["sg"]
    assert [profile.name for profile in index.scoring_profiles] == ["by-name"]
    index.cors_options = CorsOptions(allowed_origins=["https://example.org"], max_age_in_seconds=30)
    changed = admin.create_or_update_index(index)
    assert changed.cors_options is not None
    assert changed.cors_options.allowed_origins == ["https://example.org"]


def test_stale_index_is_not_deleted(admin: SearchIndexClient, name: str) -> None:
    """A deletion under the condition that nothing has changed is refused with 412 after a change."""
    stale = admin.get_index(name)
    admin.create_or_update_index(admin.get_index(name))
    with pytest.raises(HttpResponseError) as refused:
        admin.delete_index(stale, match_condition=MatchConditions.IfNotModified)
    assert refused.value.status_code == 412
    assert name in list(admin.list_index_names())


def test_analysis_gives_terms_and_places(admin: SearchIndexClient, name: str) -> None:
    """The standard analyzer keeps apostrophes in words; the English one stems, and leaves stop words out."""
    tokens = admin.analyze_text(name, AnalyzeTextOptions(text="One's <two/>", analyzer_name="standard.lucene")).tokens
    assert [(token.token, token.start_offset, token.end_offset) for token in tokens] == [
        ("one's", 0, 5),
        ("two", 7, 10),
    ]
    english = admin.analyze_text(name, AnalyzeTextOptions(text="The hotel's dogs", analyzer_name="en.lucene")).tokens
    assert [(token.token, token.position) for token in english] == [("hotel", 1), ("dog", 2)]


def test_too_large_request_is_halved_by_the_sdk(hotels: SearchClient) -> None:
    """More than 16 MB in one request is 413; the SDK then sends two halves, and every document arrives."""
    text = "x" * 6_000_000
    results = hotels.upload_documents([{"id": f"big{number}", "description": text} for number in range(3)])
    assert [result.status_code for result in results] == [201, 201, 201]
    assert hotels.get_document_count() == len(HOTELS) + 3


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"name": "other", "indexes": ["x"]}, "the address says 'never'"),
        ({"indexes": [["x"]]}, "exactly one index"),
        ({"indexes": ["x", "y"]}, "exactly one index"),
    ],
)
def test_alias_that_makes_no_sense_is_refused(search_service: str, body: dict[str, Any], named: str) -> None:
    """A body with another name than the address, or without exactly one index's name, is a 400 that says so."""
    url = f"{search_service}/aliases('never')?api-version=2026-04-01"
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(url, json.dumps(body).encode(), method="PUT"))
    with refused.value as reply:
        assert reply.status == 400
        assert named in json.loads(reply.read())["error"]["message"]
