"""What the lake says of a document, and which document an event is about."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access import NOBODY
from shared.lake.model import LakeDocument, is_document, path_of_event

SUBJECT = "/blobServices/default/containers/{}/blobs/{}"


def document(metadata: dict[str, str]) -> LakeDocument:
    return LakeDocument("a.md", "0x1", "2026-01-01T00:00:00.0000000Z", datetime(2026, 1, 1, tzinfo=UTC), 3, metadata)


@pytest.mark.parametrize(
    ("given", "groups"),
    [
        ("", NOBODY),
        (" , ,", NOBODY),
        ("hr", ("hr",)),
        (" hr , board,hr", ("board", "hr")),
    ],
)
def test_allowed_groups(given: str, groups: tuple[str, ...]) -> None:
    """Groups are sorted, each once, without blanks; an empty list means nobody, as it does in a folder's rule."""
    assert document({"allowed_groups": given}).allowed_groups == groups


def test_no_metadata_means_everybody_and_no_tags() -> None:
    """A document without metadata is for everybody."""
    assert (document({}).allowed_groups, document({}).tags) == ((), "")


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8)))
def test_tags_are_canonical(metadata: dict[str, str]) -> None:
    """Equal metadata gives equal tags in any order; the groups are not among them."""
    tags = document({**metadata, "allowed_groups": "hr"}).tags
    rest = {name: value for name, value in metadata.items() if name != "allowed_groups"}
    assert tags == document(dict(reversed(metadata.items()))).tags
    assert (json.loads(tags) if tags else {}) == rest


@pytest.mark.parametrize("path", ["a.md", "a/b/c.pdf", "a b/ü.md", "a./b", "a..b"])
def test_paths_of_documents(path: str) -> None:
    """Ordinary paths name documents, with any characters in them."""
    assert is_document(path)


@pytest.mark.parametrize("path", ["", "a/", ".hidden", "a/.git/config", ".versions/a.md", "a/../b", "./a"])
def test_paths_of_no_documents(path: str) -> None:
    """Folders, dot-files and whatever is below a dot-folder are not documents."""
    assert not is_document(path)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=50))
def test_path_of_event_is_exact(path: str) -> None:
    """Any path comes back as it is, with slashes, line ends and what looks like another subject."""
    assert path_of_event({"subject": SUBJECT.format("documents", path)}, "documents") == path
    twisted = f"x/blobs/{path}/containers/other/blobs/y"
    assert path_of_event({"subject": SUBJECT.format("documents", twisted)}, "documents") == twisted


def test_event_of_another_container_is_none() -> None:
    """The account's other containers raise events too; they are not ours."""
    assert path_of_event({"subject": SUBJECT.format("embeddings", "a.md")}, "documents") is None
    assert path_of_event({"subject": SUBJECT.format("documents2", "a.md")}, "documents") is None


@pytest.mark.parametrize("event", [{}, {"subject": None}, {"subject": 7}, {"subject": "a.md"}, {"subject": SUBJECT}])
def test_event_without_a_blob_is_named(event: dict[str, object]) -> None:
    """An event that names no blob is an error that shows its subject."""
    broken = {**event, "subject": "/blobServices/default/containers/x"} if event.get("subject") == SUBJECT else event
    with pytest.raises(ValueError, match="names no blob"):
        path_of_event(broken, "documents")


def test_groups_are_found_whatever_the_case_of_their_name() -> None:
    """Metadata names are case-insensitive on Azure: another spelling restricts the document just the same."""
    document = LakeDocument("a.md", "e", "v", datetime(2026, 1, 1, tzinfo=UTC), 1, {"Allowed_Groups": "hr", "x": "y"})
    assert document.allowed_groups == ("hr",)
    assert document.tags == '{"x": "y"}'
