"""Index definitions: what is completed, what is refused and by which name, and what an update may change."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.search_service.errors import ServiceError
from local.search_service.index import SearchIndex
from local.search_service.request import parse_search
from local.search_service.schema import IndexSchema, check_update, parse_index
from local.search_service.store import Store

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "Edm.String", "key": True},
    {"name": "title", "type": "Edm.String"},
    {"name": "at", "type": "Edm.DateTimeOffset"},
    {"name": "stars", "type": "Edm.Int32"},
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    made = Store(tmp_path)
    yield made
    made.close()


def parsed(**parts: Any) -> IndexSchema:
    """An index with these parts besides its fields."""
    return parse_index({"name": "books", "fields": FIELDS, **parts})


def profile(**function: Any) -> dict[str, Any]:
    """The scoring profiles of a definition: one with one function."""
    return {"scoringProfiles": [{"name": "one", "functions": [function]}]}


FRESH = {"type": "freshness", "fieldName": "at", "boost": 2, "freshness": {"boostingDuration": "P7D"}}


def test_scoring_profiles_are_completed() -> None:
    """A function gets its interpolation, null for the kinds it is not, and numbers with a fraction."""
    magnitude = {"boostingRangeStart": 1, "boostingRangeEnd": 5}
    given = profile(type="magnitude", fieldName="stars", boost=2, magnitude=magnitude)
    (completed,) = parsed(**given).definition["scoringProfiles"]
    assert completed == {
        "name": "one",
        "functionAggregation": "sum",
        "text": None,
        "functions": [
            {
                "fieldName": "stars",
                "interpolation": "linear",
                "type": "magnitude",
                "boost": 2.0,
                "freshness": None,
                "magnitude": {"boostingRangeStart": 1.0, "boostingRangeEnd": 5.0, "constantBoostBeyondRange": False},
                "distance": None,
                "tag": None,
            }
        ],
    }
    again = parsed(scoringProfiles=[completed]).definition["scoringProfiles"]
    assert again == [completed]


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        (profile(**{**FRESH, "fieldName": "gone"}), "'gone', which does not exist"),
        (profile(**{**FRESH, "fieldName": "stars"}), "'stars' of type Edm.Int32"),
        (profile(**{**FRESH, "boost": 1}), "boost of 'at'"),
        (profile(**{**FRESH, "freshness": {}}), "boostingDuration"),
        (profile(**{**FRESH, "tag": {"tagsParameter": "x"}}), "'tag'"),
        (profile(**{**FRESH, "curve": 1}), "'curve'"),
        ({"scoringProfiles": [{"name": "one", "weights": {}}]}, "'weights'"),
        ({"scoringProfiles": [{"name": "one", "functionAggregation": "median"}]}, "'median'"),
        ({"suggesters": [{"name": "sg", "sourceFields": ["title"], "fuzzy": True}]}, "'fuzzy'"),
        ({"semantic": {"configurations": [{"name": "s", "prioritizedFields": {}, "model": "x"}]}}, "'model'"),
        ({"semantic": {"configurations": [{"name": "s", "prioritizedFields": {"titel": {}}}]}}, "'titel'"),
        ({"semantic": {"default": "s"}}, "'default'"),
        (
            {"semantic": {"configurations": [{"name": "s", "rankingOrder": "BoostedRerankerScore"}]}},
            "rankingOrder",
        ),
        ({"vectorSearch": {"algorithm": []}}, "'algorithm'"),
        ({"vectorSearch": {"algorithms": [{"name": "a", "kind": "hnsw", "parameters": {}}]}}, "'parameters'"),
        ({"vectorSearch": {"algorithms": [{"name": "a", "kind": "hnsw", "hnswParameters": {"n": 4}}]}}, "'n'"),
        ({"vectorSearch": {"algorithms": [{"name": "a", "kind": "hnsw", "hnswParameters": {"m": 40}}]}}, "'m'"),
        ({"vectorSearch": {"compressions": [{"name": "c", "kind": "scalarQuantization", "bits": 4}]}}, "'bits'"),
        ({"corsOptions": {"allowedOrigins": ["*"], "methods": ["GET"]}}, "'methods'"),
        ({"corsOptions": {"allowedOrigins": []}}, "allowed origin"),
    ],
)
def test_what_is_unknown_or_does_not_fit_is_refused_by_name(parts: dict[str, Any], named: str) -> None:
    """Nothing in a definition is ignored silently."""
    with pytest.raises(ServiceError, match=named) as refused:
        parsed(**parts)
    assert refused.value.status == 400


@pytest.mark.parametrize("name", ["books", "my_books-2", "0-1"])
def test_names_of_indexes(name: str) -> None:
    """Lower-case letters, digits, single dashes and underscores."""
    assert parse_index({"name": name, "fields": FIELDS}).name == name


@pytest.mark.parametrize("name", ["Books", "_books", "-books", "my__books", "my--books", "b", "b" * 129])
def test_illegal_names_of_indexes(name: str) -> None:
    """Others are refused."""
    with pytest.raises(ServiceError, match="Invalid index name"):
        parse_index({"name": name, "fields": FIELDS})


def test_suggester_takes_only_fields_that_are_added_with_it() -> None:
    """Prefixes of a field that is there were not kept: a suggester over it would need all documents again."""
    plain = parsed()
    with pytest.raises(ServiceError, match=r"already present in an index \(title\)"):
        check_update(plain, parsed(suggesters=[{"name": "sg", "sourceFields": ["title"]}]))
    longer = [*FIELDS, {"name": "subtitle", "type": "Edm.String"}]
    with_new = parsed(fields=longer, suggesters=[{"name": "sg", "sourceFields": ["subtitle"]}])
    check_update(plain, with_new)
    check_update(with_new, with_new)
    with pytest.raises(ServiceError, match="cannot be removed from the suggester 'sg'"):
        check_update(with_new, parsed(fields=longer))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ([{"name": f"f{number}", "type": "Edm.Int32"} for number in range(1_000)], "1000 fields, not 1004"),
        (
            [
                {
                    "name": f"c{number}",
                    "type": "Collection(Edm.ComplexType)",
                    "fields": [{"name": "x", "type": "Edm.Int32"}],
                }
                for number in range(41)
            ],
            "40 collections of complex fields, not 41",
        ),
    ],
)
def test_limits_that_the_statistics_name_are_kept(fields: list[dict[str, Any]], named: str) -> None:
    """An index beyond the service's limits is refused."""
    with pytest.raises(ServiceError, match=named):
        parsed(fields=[*FIELDS, *fields])


def test_document_has_at_most_so_many_objects(store: Store) -> None:
    """Objects in all collections of a document count, at every level; a batch with one too many changes nothing."""
    inner = {"name": "beds", "type": "Collection(Edm.ComplexType)", "fields": [{"name": "x", "type": "Edm.Int32"}]}
    rooms = {"name": "rooms", "type": "Collection(Edm.ComplexType)", "fields": [inner]}
    index = SearchIndex(parsed(fields=[*FIELDS, rooms]), store)
    full = [{"beds": [{"x": 1}] * 2}] * 1_000
    assert [status.status for status in index.write([{"id": "1", "rooms": full}])] == [201]
    with pytest.raises(ServiceError, match="3003 objects"):
        index.write([{"id": "2", "rooms": []}, {"id": "1", "rooms": [*full, full[0]]}])
    assert len(index) == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("1970-01-18T00:00:00-05:00", "1970-01-18T05:00:00Z"),
        ("2015-04-15T10:30:09.7552052Z", "2015-04-15T10:30:09.755Z"),
        ("2015-04-15T10:30:09.500+00:00", "2015-04-15T10:30:09.5Z"),
        ("2015-04-15T10:30:00.000Z", "2015-04-15T10:30:00Z"),
    ],
)
def test_dates_are_kept_in_utc_with_milliseconds(store: Store, given: str, kept: str) -> None:
    """A date is stored, returned and found as the moment that it is."""
    index = SearchIndex(parsed(), store)
    index.write([{"id": "1", "at": given}])
    shown = index.get("1", ["at"])
    assert shown == {"at": kept}


@pytest.mark.parametrize("given", ["2015-04-15T10:30:00", "0001-01-01T00:00:00+05:00", "yesterday"])
def test_dates_without_a_moment_are_refused(store: Store, given: str) -> None:
    """A date needs an offset, and has to lie within the calendar."""
    with pytest.raises(ServiceError, match="'at'"):
        SearchIndex(parsed(), store).write([{"id": "1", "at": given}])


def test_keys_do_not_begin_with_an_underscore(store: Store) -> None:
    """An underscore may be anywhere else."""
    index = SearchIndex(parsed(), store)
    assert [status.status for status in index.write([{"id": "a_b=-"}])] == [201]
    with pytest.raises(ServiceError, match="underscore"):
        index.write([{"id": "_a"}])


def test_captions_say_whether_words_are_marked() -> None:
    """`highlight-false` marks none; anything but true and false is refused."""
    schema = parsed(
        semantic={
            "defaultConfiguration": "s",
            "configurations": [{"name": "s", "prioritizedFields": {"titleField": {"fieldName": "title"}}}],
        }
    )
    body = {"search": "dogs", "queryType": "semantic"}
    plain = parse_search(schema, {**body, "captions": "extractive|highlight-false"}).semantic
    marked = parse_search(schema, {**body, "captions": "extractive"}).semantic
    assert plain is not None
    assert marked is not None
    assert (plain.captions, plain.marked, marked.captions, marked.marked) == (True, False, True, True)
    with pytest.raises(ServiceError, match="highlight"):
        parse_search(schema, {**body, "captions": "extractive|highlight-yes"})
