"""What a question can be narrowed to: parsed strictly, and an OData filter that means the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.search_service.filters import compile_filter
from local.search_service.schema import parse_index
from shared.chat.filters import LONGEST, MOST_PATHS, MOST_TAGS, Filters, parse_filters
from shared.errors import BadRequest
from shared.index.schema import index_definition
from tests.shared.chunks import chunk

SCHEMA = parse_index(index_definition("documents", 4).as_dict())

names = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P"), include_characters=" "), min_size=1, max_size=6
)
paths = st.sampled_from(["hr/a.md", "hr/b/c.md", "hr0.md", "o'neil/x.md", "hr.md", "f.md"])
asked = st.sampled_from(["hr/", "hr/a.md", "o'neil/", "f.md", "hr/b/", "hr", "o'neil", "hr/b"])
wanted = st.lists(asked | names, min_size=1, max_size=4)


def passes(filters: Filters, **changed: Any) -> bool:
    """Whether a chunk, as it is indexed, passes the filter that goes to the search service."""
    fields = chunk(**changed).fields()
    _, holds = compile_filter(SCHEMA, filters.odata())
    return holds(fields)


@given(wanted, paths)
def test_paths_and_folders(given_paths: list[str], path: str) -> None:
    """A document passes that lies at one of the paths or below it, with or without a slash at its end, quotes in names
    included.
    """
    expected = any(path == one or path.startswith(one.removesuffix("/") + "/") for one in given_paths)
    assert passes(parse_filters({"path": given_paths}), path=path) == expected


@given(
    st.dictionaries(st.sampled_from(["team", "Lang"]), names, min_size=1), st.sampled_from(["", '{"Team": "it\'s"}'])
)
def test_tags_must_all_fit(tags: dict[str, str], stored: str) -> None:
    """Every tag that is asked for must be there with its value; names are compared without case."""
    have = {"team": "it's"} if stored else {}
    expected = all(have.get(name.lower()) == value for name, value in tags.items())
    assert passes(parse_filters({"tags": tags}), tags=stored) == expected


def test_a_tag_is_found_by_its_value() -> None:
    """A tag's value is compared as it is, quotes included."""
    assert passes(parse_filters({"tags": {"TEAM": "it's"}}), tags='{"Team": "it\'s"}')


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"after": "2026-03-01T12:00:00Z"}, True),
        ({"after": "2026-03-01T12:00:01Z"}, False),
        ({"before": "2026-03-01T12:00:00Z"}, False),
        ({"before": "2026-03-02"}, True),
        ({"after": "2026-03-01T14:00:00+02:00", "before": "2026-03-01T12:00:01"}, True),
    ],
)
def test_dates_bound_when_it_was_written(filters: dict[str, str], expected: bool) -> None:
    """From `after`, which is included, to `before`, which is not; without a zone a time is UTC."""
    assert passes(parse_filters(filters)) == expected


def test_no_filters_are_none() -> None:
    """Nothing given narrows nothing."""
    assert parse_filters(None) == parse_filters({}) == Filters()
    assert Filters().odata() == ""


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([], "must be an object"),
        ({"paths": "x"}, r"unknown fields \['paths'\]"),
        ({"path": ""}, "must be a path"),
        ({"path": []}, "must be a path"),
        ({"path": [1]}, "must be a path"),
        ({"path": "a\nb"}, "must be a path"),
        ({"path": "x" * (LONGEST + 1)}, "must be a path"),
        ({"path": ["x"] * (MOST_PATHS + 1)}, f"at most {MOST_PATHS}"),
        ({"tags": ["x"]}, "must be texts by name"),
        ({"tags": {"x": 1}}, "must be texts by name"),
        ({"tags": {f"n{n}": "x" for n in range(MOST_TAGS + 1)}}, f"at most {MOST_TAGS}"),
        ({"after": "yesterday"}, "after must be a date"),
        ({"after": 5}, "after must be a date"),
        ({"before": "0001-01-01T00:00:00+14:00"}, "before must be a date"),
        ({"after": "2026-02-01", "before": "2026-01-01"}, "nothing lies between"),
    ],
)
def test_what_is_wrong_is_named(value: Any, fault: str) -> None:
    """A filter that cannot be meant is refused with its name."""
    with pytest.raises(BadRequest, match=fault):
        parse_filters(value)
