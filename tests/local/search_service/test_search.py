"""Searching through the official SDK: text, filters, order, paging, facets, vectors, hybrid."""

import math
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.search.documents import SearchClient
from azure.search.documents.models import VectorizedQuery

from tests.local.search_service.conftest import Library


def keys(books: SearchClient, text: str | None = "*", **options: Any) -> list[str]:
    """The keys that a search finds, in order."""
    return [result["id"] for result in books.search(text, **options)]


@pytest.mark.parametrize(
    ("text", "mode", "found"),
    [
        ("hotel", "any", {"1"}),
        ("hotels", "any", {"1"}),  # stemmed
        ("dog", "any", {"1", "2"}),
        ("sea snow", "any", {"1", "3"}),
        ("sea snow", "all", {"3"}),
        ("sea +snow", "any", {"3"}),
        ("sea | running", "any", {"1", "2", "3"}),
        ("sea -snow", "all", {"1"}),
        ('"quiet sea"', "any", {"3"}),
        ('"sea quiet"', "any", set()),
        ("qui*", "any", {"3"}),
        ("(snow | dog) +sea", "all", {"1", "3"}),
        ("the", "any", set()),  # a stop word finds nothing
        ("", "any", {"1", "2", "3"}),
    ],
)
def test_simple_query_syntax(library: Library, text: str, mode: str, found: set[str]) -> None:
    """Words, phrases, prefixes and operators find what the service's documentation says."""
    assert set(keys(library.books, text, search_mode=mode)) == found


def test_search_fields_bound_the_text_search(library: Library) -> None:
    """A word that stands only in another field is not found."""
    assert keys(library.books, "snow", search_fields=["text"]) == ["3"]
    assert keys(library.books, "snow", search_fields=["title"]) == []


def test_bm25_scores_follow_the_formula(library: Library) -> None:
    """One term in one field scores idf times the saturated term frequency, with k1 1.2 and b 0.75."""
    (hit,) = library.books.search("snow", search_fields=["text"])
    lengths = {"1": 9, "2": 8, "3": 4}  # words of `text` without stop words
    idf = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    average = sum(lengths.values()) / 3
    expected = idf * 2.2 / (1 + 1.2 * (1 - 0.75 + 0.75 * lengths["3"] / average))
    assert hit["@search.score"] == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("genre eq 'novel'", ["1", "3"]),
        ("genre ne 'novel'", ["2"]),
        ("pages gt 96 and pages le 320", ["1", "3"]),
        ("100 lt pages", ["1", "3"]),
        ("price eq null", ["3"]),
        ("price ne null", ["1", "2"]),
        ("price lt 100", ["1", "2"]),  # null is never less
        ("lent", ["1"]),
        ("not lent", ["2", "3"]),
        ("lent eq false", ["2"]),
        ("bought ge 2025-03-01T08:30:00Z", ["2"]),
        ("tags/any()", ["1", "2"]),
        ("not tags/any()", ["3"]),
        ("tags/any(t: t eq 'sea')", ["1"]),
        ("tags/all(t: t eq 'dogs')", ["2", "3"]),
        ("tags/any(t: search.in(t, 'sea|moon', '|'))", ["1"]),
        ("search.in(id, '1,3')", ["1", "3"]),
        ("genre eq 'novel' or (pages lt 100 and not lent)", ["1", "2", "3"]),
        ("id gt '1' and id lt '3'", ["2"]),
    ],
)
def test_filters(library: Library, condition: str, found: list[str]) -> None:
    """Comparisons, logic, null, booleans, dates, lambdas and search.in select what they say."""
    assert keys(library.books, filter=condition, order_by=["id asc"]) == found


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"filter": "genre eq"}, "Syntax error"),
        ({"filter": "nowhere eq 1"}, "nowhere"),
        ({"filter": "pages eq 'many'"}, "pages"),
        ({"filter": "title eq 'x'"}, "filterable"),
        ({"filter": "tags eq 'x'"}, "tags"),
        ({"filter": "geo.distance(a, b) lt 3"}, "geo.distance"),
        ({"order_by": ["text asc"]}, "text"),
        ({"select": ["nothing"]}, "nothing"),
        ({"top": -1}, "top"),
        ({"skip": 100_001}, "skip"),
        ({"query_type": "full"}, "full"),
        ({"scoring_profile": "mine"}, "mine"),
        ({"facets": ["text"]}, "text"),
        ({"vector_queries": [VectorizedQuery(vector=[1.0], fields="vector")]}, "length 1"),
    ],
)
def test_what_is_wrong_or_not_supported_is_named(library: Library, options: dict[str, Any], named: str) -> None:
    """A request that cannot be answered gets a 400 that names the reason; nothing is silently ignored."""
    with pytest.raises(HttpResponseError, match=named) as refused:
        keys(library.books, **options)
    assert refused.value.status_code == 400


def test_order_select_skip_top_and_count(library: Library) -> None:
    """Results come in the order asked for, null first, with the fields asked for, from the page asked for."""
    assert keys(library.books, order_by=["price asc"]) == ["3", "2", "1"]
    assert keys(library.books, order_by=["bought desc", "id asc"]) == ["2", "1", "3"]
    results = library.books.search("*", order_by=["pages desc"], select=["id"], skip=1, top=1, include_total_count=True)
    documents = list(results)
    assert results.get_count() == 3
    assert [{name: value for name, value in document.items() if name == "id"} for document in documents] == [
        {"id": "3"}
    ]
    assert "title" not in documents[0]


def test_paging_goes_on_beyond_one_page(library: Library) -> None:
    """The SDK's iterator follows the service's continuation past 1,000 results, each exactly once."""
    library.books.upload_documents([{"id": f"n{n:05d}", "text": "filler"} for n in range(999)])
    library.books.upload_documents([{"id": f"m{n:05d}", "text": "filler"} for n in range(999)])
    found = keys(library.books, "filler", order_by=["id asc"])
    assert len(found) == len(set(found)) == 1998
    assert len(keys(library.books, "filler", top=1_500)) == 1_500


def test_facets_count_values(library: Library) -> None:
    """Facets count values over all matches, most frequent first or by value."""
    facets = library.books.search("*", facets=["genre", "tags,count:1", "pages,sort:value"], top=0).get_facets()
    assert facets == {
        "genre": [{"value": "novel", "count": 2}, {"value": "guide", "count": 1}],
        "tags": [{"value": "dogs", "count": 2}],
        "pages": [{"value": 96, "count": 1}, {"value": 210, "count": 1}, {"value": 320, "count": 1}],
    }


def test_highlights_mark_the_words_found(library: Library) -> None:
    """The sentences that matched come back with the words marked, stemmed ones too."""
    (hit,) = library.books.search("hotels", highlight_fields="text")
    assert hit["@search.highlights"]["text"] == [
        "A keeper runs a <em>hotel</em> by the sea.",
        "Dogs are welcome in the <em>hotel</em>.",
    ]


def test_vector_search_scores_by_cosine(library: Library) -> None:
    """The nearest come first, scored 1 / (1 + (1 - cos)), among those that pass the filter."""
    query = VectorizedQuery(vector=[2.0, 0.0, 0.0], k_nearest_neighbors=2, fields="vector")
    hits = list(library.books.search(None, vector_queries=[query]))
    assert [hit["id"] for hit in hits] == ["1", "3"]
    assert [hit["@search.score"] for hit in hits] == pytest.approx([1.0, 1 / 1.4])
    assert keys(library.books, None, vector_queries=[query], filter="genre eq 'guide'") == ["2"]
    options = {"vector_queries": [query], "filter": "genre eq 'guide'", "vector_filter_mode": "postFilter"}
    assert keys(library.books, None, **options) == []


def test_hybrid_fuses_by_reciprocal_rank(library: Library) -> None:
    """Each list adds weight / (60 + rank), with rank from 0."""
    query = VectorizedQuery(vector=[0.0, 1.0, 0.0], k_nearest_neighbors=2, fields="vector", weight=2.0)
    hits = {hit["id"]: hit["@search.score"] for hit in library.books.search("snow", vector_queries=[query])}
    assert hits == pytest.approx({"3": 1 / 60 + 2 / 61, "2": 2 / 60})
    assert list(hits) == ["3", "2"]
