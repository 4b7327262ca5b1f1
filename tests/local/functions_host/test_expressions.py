"""Names in blob paths: what they match, and what they are called."""

import pytest

from local.functions_host.model import HostError
from local.functions_host.storage.expressions import PathPattern


@pytest.mark.parametrize(
    ("path", "blob", "values"),
    [
        ("c/{file-name}", "a/b.txt", {"file-name": "a/b.txt"}),
        ("c/{name}.{extension}", "a.b.md", {"name": "a.b", "extension": "md"}),
        ("c/{a}/{a}.txt", "x/x.txt", {"a": "x"}),
        ("c/{a}/{a}1{b}", "x/x12", {"a": "x", "b": "2"}),
        ("c/{a}/{a}.txt", "x/y.txt", None),
        ("c/{1st}(1).txt", "x(1).txt", {"1st": "x"}),
        ("c", "anything/at.all", {}),
    ],
)
def test_a_path_gives_its_names_what_they_stand_for(path: str, blob: str, values: dict[str, str] | None) -> None:
    """Names need not be those of Python; a name that comes twice stands for the same text twice."""
    assert PathPattern(path, "function 'f'").match("c", blob) == values


@pytest.mark.parametrize("path", ["c/x-{id:guid}.txt", "c/{a b}", "{c}/x", ""])
def test_a_path_that_is_none_is_refused_with_its_function(path: str) -> None:
    """At the start, not at the first blob."""
    with pytest.raises(HostError, match=r"function 'f'.*path"):
        PathPattern(path, "function 'f'")
