"""Writing and reading documents through the official SDK: actions, statuses, keys, merges."""

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tests.local.search_service.conftest import BOOKS, Library


def statuses(results: list[Any]) -> list[tuple[str, bool, int]]:
    """Key, success and status of each action."""
    return [(result.key, result.succeeded, result.status_code) for result in results]


def test_each_action_has_its_own_status(library: Library) -> None:
    """New is 201, changed and deleted are 200, and a merge without a document fails alone with 404."""
    assert statuses(library.books.upload_documents([{"id": "1"}, {"id": "9"}])) == [("1", True, 200), ("9", True, 201)]
    merged = library.books.merge_documents([{"id": "9", "pages": 5}, {"id": "nobody", "pages": 5}])
    assert statuses(merged) == [("9", True, 200), ("nobody", False, 404)]
    assert merged[1].error_message == "Document not found."
    assert statuses(library.books.merge_or_upload_documents([{"id": "10"}])) == [("10", True, 201)]
    assert statuses(library.books.delete_documents([{"id": "10"}, {"id": "never"}])) == [
        ("10", True, 200),
        ("never", True, 200),
    ]
    assert library.books.get_document_count() == 4


def test_upload_replaces_and_merge_keeps(library: Library) -> None:
    """An upload leaves nothing of what was there; a merge changes only what it names, null and collections included."""
    library.books.upload_documents([{"id": "1", "pages": 7}])
    replaced = library.books.get_document("1")
    assert (replaced["pages"], replaced["title"], replaced["tags"], replaced["vector"]) == (7, None, [], None)
    library.books.merge_documents([{"id": "2", "price": None, "tags": ["x"]}])
    merged = library.books.get_document("2")
    assert (merged["title"], merged["price"], merged["tags"]) == ("Running dogs", None, ["x"])
    assert merged["vector"] == BOOKS[1]["vector"]


def test_a_write_is_visible_to_the_next_search(library: Library) -> None:
    """Text, filter and vector searches see a change as soon as the write has returned."""
    library.books.merge_documents([{"id": "3", "text": "A wombat sleeps."}])
    assert [hit["id"] for hit in library.books.search("wombat")] == ["3"]
    assert list(library.books.search("snow")) == []
    library.books.delete_documents([{"id": "3"}])
    assert list(library.books.search("wombat")) == []
    assert [hit["id"] for hit in library.books.search("*", filter="genre eq 'novel'")] == ["1"]


def test_actions_of_one_batch_apply_in_order(library: Library) -> None:
    """Two actions on one key in a batch: the later one sees the earlier one."""
    library.books.upload_documents([{"id": "8", "pages": 1}, {"id": "8", "pages": 2}])
    assert library.books.get_document("8")["pages"] == 2
    assert library.books.get_document_count() == 4


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"id": "a b"}, "a b"),
        ({"pages": 1}, "id"),
        ({"id": "1", "nothing": 1}, "nothing"),
        ({"id": "1", "pages": "many"}, "pages"),
        ({"id": "1", "pages": 2**31}, "pages"),
        ({"id": "1", "tags": "one"}, "tags"),
        ({"id": "1", "bought": "yesterday"}, "bought"),
        ({"id": "1", "vector": [1.0]}, "vector"),
    ],
)
def test_wrong_documents_are_refused_and_named(library: Library, document: dict[str, Any], named: str) -> None:
    """A document that does not fit refuses the request with a 400 that names the field; nothing was written."""
    before = library.books.get_document("1")
    with pytest.raises(HttpResponseError, match=named) as refused:
        library.books.upload_documents([{"id": "new"}, document])
    assert refused.value.status_code == 400
    assert library.books.get_document("1") == before
    assert library.books.get_document_count() == 3


def test_a_batch_has_at_most_1000_actions(library: Library) -> None:
    """One action too many refuses the whole batch."""
    with pytest.raises(HttpResponseError, match="1001 actions"):
        library.books.upload_documents([{"id": str(n)} for n in range(1_001)])
    assert library.books.get_document_count() == 3


def test_lookup_selects_fields_and_misses_with_404(library: Library) -> None:
    """A lookup returns the fields asked for; a missing document is a 404."""
    assert library.books.get_document("1", selected_fields=["id", "pages"]) == {"id": "1", "pages": 320}
    with pytest.raises(ResourceNotFoundError):
        library.books.get_document("nobody")
