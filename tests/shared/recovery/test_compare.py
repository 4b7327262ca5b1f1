"""Comparing the lake with a generation."""

import json

from hypothesis import given
from hypothesis import strategies as st

from shared.index.schema import IndexedChunk
from shared.lake.model import LakeDocument
from shared.recovery.compare import SHOWN, Difference, by_path, compare
from tests.shared.chunks import MOMENT, chunk, whole

paths = st.sampled_from([f"{name}.md" for name in "abcdef"])
etags = st.sampled_from(["0x1", "0x2"])


def listed(path: str, etag: str = "0x1") -> LakeDocument:
    return LakeDocument(path, etag, "v", MOMENT, 5, {})


def indexed(path: str, etag: str = "0x1", count: int = 2) -> tuple[IndexedChunk, ...]:
    return whole(count, path=path, etag=etag)


def test_equal_means_no_difference() -> None:
    """An index that holds every document whole at its version needs nothing."""
    found = compare({"a.md": listed("a.md")}, {"a.md": indexed("a.md")}, {}, "p1")
    assert found == Difference()
    assert found.paths == ()


def test_each_kind_of_difference_is_told() -> None:
    """Missing, another version, half-written, another pipeline, and gone from the lake."""
    lake = {path: listed(path) for path in ("missing.md", "old.md", "half.md", "pipeline.md", "right.md")}
    held = {
        "old.md": indexed("old.md", "0x0"),
        "half.md": indexed("half.md")[:1],
        "pipeline.md": whole(1, path="pipeline.md", pipeline="p0"),
        "right.md": indexed("right.md"),
        "gone.md": indexed("gone.md"),
    }
    found = compare(lake, held, {}, "p1")
    assert found == Difference(("missing.md",), ("half.md", "old.md", "pipeline.md"), ("gone.md",), ())
    assert found.paths == ("gone.md", "half.md", "missing.md", "old.md", "pipeline.md")


def test_an_unreadable_version_is_no_fault_of_the_index() -> None:
    """A quarantined version may be absent or leave an earlier one in place; a newer version may not."""
    lake = {path: listed(path, "0x2") for path in ("never.md", "earlier.md", "mended.md")}
    held = {"earlier.md": indexed("earlier.md"), "mended.md": indexed("mended.md")}
    unreadable = {"never.md": "0x2", "earlier.md": "0x2", "mended.md": "0x1"}
    found = compare(lake, held, unreadable, "p1")
    assert found == Difference(stale=("mended.md",), quarantined=("earlier.md", "never.md"))
    assert found.paths == ("mended.md",)


def test_a_readable_version_counts_as_such() -> None:
    """A document that is whole in the index is right even though a problem is still on record."""
    assert compare({"a.md": listed("a.md")}, {"a.md": indexed("a.md")}, {"a.md": "0x1"}, "p1") == Difference()


@given(st.dictionaries(paths, etags), st.dictionaries(paths, etags), st.dictionaries(paths, etags))
def test_every_path_is_judged_once(lake: dict[str, str], held: dict[str, str], unreadable: dict[str, str]) -> None:
    """A path is right or in exactly one kind, kinds are sorted, and only what is in the lake or the index appears."""
    found = compare(
        {path: listed(path, etag) for path, etag in lake.items()},
        {path: indexed(path, etag) for path, etag in held.items()},
        unreadable,
        "p1",
    )
    kinds = [found.missing, found.stale, found.extra, found.quarantined]
    told = [path for kind in kinds for path in kind]
    right = [path for path in lake if held.get(path) == lake[path]]
    assert sorted([*told, *right]) == sorted({*lake, *held})
    assert all(list(kind) == sorted(kind) for kind in kinds)
    assert set(found.extra) == set(held) - set(lake)


def test_chunks_are_grouped_by_path() -> None:
    """Chunks of many documents come in any order."""
    mixed = [chunk(path="b.md"), chunk(path="a.md", ordinal=0), chunk(path="b.md", ordinal=1)]
    assert by_path(mixed) == {"b.md": (mixed[0], mixed[2]), "a.md": (mixed[1],)}
    assert by_path([]) == {}


def test_summary_counts_all_and_lists_some() -> None:
    """A report stays small with a million differences, and is JSON."""
    many = tuple(f"{number:04}.md" for number in range(SHOWN + 10))
    summary = json.loads(json.dumps(Difference(missing=many).summary()))
    assert summary["missing"] == {"count": SHOWN + 10, "paths": list(many[:SHOWN])}
    assert summary["extra"] == {"count": 0, "paths": []}
    assert list(summary) == ["missing", "stale", "extra", "quarantined"]
