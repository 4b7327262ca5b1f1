"""Route templates and their constraints."""

import pytest

from local.functions_host.model import HostError
from local.functions_host.routing import Match, Router, parse_route


def route(template: str, path: str) -> dict[str, str] | None:
    """Return the values that a path gives a template."""
    return parse_route(template, [], None, "test").match(path)


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", ["1", "-5"], ["x", "1.5", "2147483648"]),
        ("long", ["2147483648"], ["9223372036854775808", "a"]),
        ("bool", ["true", "FALSE"], ["yes", "1"]),
        ("guid", ["0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5bd9cb469fa16570867728950e"], ["0f8f", "x" * 32]),
        ("alpha", ["abcZ"], ["a1", "a-b"]),
        ("datetime", ["2026-01-31", "2026-01-31T10:00:00"], ["today", "2026-02-30"]),
        ("decimal", ["1.5", "-2"], ["1,x", "abc", "nan"]),
        ("double", ["1.5e3"], ["abc"]),
        ("float", ["1.5"], ["1.5.5"]),
        ("length(3)", ["abc"], ["ab", "abcd"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("min(5)", ["5"], ["4", "x"]),
        ("max(5)", ["5"], ["6"]),
        ("range(1,3)", ["1", "3"], ["0", "4"]),
        (r"regex(^\d{{3}}-\d+$)", ["123-4"], ["12-4", "x123-4"]),
        ("int:min(5)", ["5"], ["4", "a"]),
    ],
)
def test_constraints_accept_and_refuse(constraint: str, good: list[str], bad: list[str]) -> None:
    """As ASP.NET's do."""
    template = f"a/{{v:{constraint}}}"
    assert [value for value in good if route(template, f"/a/{value}") is None] == []
    assert [value for value in bad if route(template, f"/a/{value}") is not None] == []


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("a/{b?}", "/a", {}),
        ("a/{b=5}/{c?}", "/a", {"b": "5"}),
        ("a/{b:int=5}", "/a", {"b": "5"}),
        ("{*rest}", "/", {"rest": ""}),
        ("{*rest}", "/x/y%2Fz", {"rest": "x/y/z"}),
        ("files/{name}.{extension?}", "/files/a.b.txt", {"name": "a.b", "extension": "txt"}),
        ("files/{name}.{extension?}", "/files/a", {"name": "a"}),
        ("v{version:int}/x", "/v2/x", {"version": "2"}),
        ("a/{b}", "/a/", None),
        ("a/{b}", "/a/b/c", None),
        ("", "/", {}),
    ],
)
def test_templates_give_values(template: str, path: str, values: dict[str, str] | None) -> None:
    """Optional and default parameters, catch-alls, several parameters in one segment."""
    assert route(template, path) == values


def test_the_order_of_declaration_does_not_matter() -> None:
    """Literal, constrained, plain, constrained catch-all, catch-all."""
    templates = ["{*all}", "{*all:int}", "{any}", "{number:int}", "7"]
    router = Router([parse_route(template, [], template, "test") for template in templates])
    taken = []
    for path in ("/7", "/8", "/x", "/x/y"):
        found = router.find("GET", path)
        assert isinstance(found, Match)
        taken.append(found.route.target)
    assert taken == ["7", "{number:int}", "{any}", "{*all}"]


@pytest.mark.parametrize("template", ["a/{b", "{a}/{A}", "{*all}/b", "{a:colour}", "{a:length(x)}", "{a:range(1)}"])
def test_malformed_templates_are_refused(template: str) -> None:
    """With the function's name."""
    with pytest.raises(HostError, match="test"):
        parse_route(template, [], None, "test")
