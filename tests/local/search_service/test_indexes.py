"""Indexes and aliases through the official SDK: definitions, changes, names, and what an alias guards."""

import uuid
from collections.abc import Iterator

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.search.documents import SearchClient
from azure.search.documents.indexes.models import SearchAlias, SimpleField

from tests.local.search_service.conftest import KEY, Library, books_index


@pytest.fixture
def alias(library: Library) -> Iterator[str]:
    """An alias that points at the library."""
    name = f"alias-{uuid.uuid4().hex[:12]}"
    library.admin.create_alias(SearchAlias(name=name, indexes=[library.name]))
    yield name
    library.admin.delete_alias(name)


def test_definition_comes_back_as_it_was_given(library: Library) -> None:
    """Names, types and attributes of the fields survive the round trip."""
    given, returned = books_index(library.name), library.admin.get_index(library.name)
    assert [(field.name, field.type) for field in returned.fields] == [(f.name, f.type) for f in given.fields]
    assert {field.name for field in returned.fields if field.key} == {"id"}
    assert returned.e_tag
    assert library.name in list(library.admin.list_index_names())


def test_fields_can_be_added_but_not_changed(library: Library) -> None:
    """A new field is taken; another type, or a field that is gone, is refused by name and changes nothing."""
    definition = library.admin.get_index(library.name)
    definition.fields.append(SimpleField(name="shelf", type="Edm.String", filterable=True))
    library.admin.create_or_update_index(definition)
    library.books.merge_documents([{"id": "1", "shelf": "A"}])
    assert [hit["id"] for hit in library.books.search("*", filter="shelf eq 'A'")] == ["1"]
    definition.fields = [field for field in definition.fields if field.name != "pages"]
    with pytest.raises(HttpResponseError, match="pages"):
        library.admin.create_or_update_index(definition)
    assert library.books.get_document("1")["pages"] == 320


def test_names_and_etags_are_guarded(library: Library) -> None:
    """A taken name is 409, a stale etag 412, an illegal name 400, a missing index 404."""
    with pytest.raises(ResourceExistsError):
        library.admin.create_index(books_index(library.name))
    definition = library.admin.get_index(library.name)
    library.admin.create_or_update_index(definition)
    with pytest.raises(HttpResponseError) as stale:
        library.admin.create_or_update_index(definition, match_condition=MatchConditions.IfNotModified)
    assert stale.value.status_code == 412
    with pytest.raises(HttpResponseError, match="Invalid index name"):
        library.admin.create_index(books_index("Not_Legal"))
    with pytest.raises(ResourceNotFoundError):
        library.admin.get_index("nowhere")


def test_unsupported_parts_of_a_definition_are_named(library: Library) -> None:
    """What would change results and is not there is refused, not ignored."""
    definition = books_index("other")
    definition.fields[1].analyzer_name = "de.lucene"
    with pytest.raises(HttpResponseError, match=r"de\.lucene"):
        library.admin.create_index(definition)


def test_alias_stands_for_its_index(library: Library, alias: str, search_service: str) -> None:
    """Documents are read and written through the alias, and it moves in one step."""
    other = f"{library.name}-2"
    library.admin.create_index(books_index(other))
    with SearchClient(search_service, alias, KEY) as through:
        assert through.get_document_count() == 3
        through.delete_documents([{"id": "3"}])
        assert library.books.get_document_count() == 2
        library.admin.create_or_update_alias(SearchAlias(name=alias, indexes=[other]))
        assert through.get_document_count() == 0
    library.admin.create_or_update_alias(SearchAlias(name=alias, indexes=[library.name]))
    library.admin.delete_index(other)


def test_alias_guards_its_index(library: Library, alias: str) -> None:
    """An aliased index cannot be deleted, and an alias cannot name what does not exist."""
    with pytest.raises(HttpResponseError, match=alias):
        library.admin.delete_index(library.name)
    with pytest.raises(HttpResponseError, match="nowhere"):
        library.admin.create_or_update_alias(SearchAlias(name=alias, indexes=["nowhere"]))
    assert library.admin.get_alias(alias).indexes == [library.name]


def test_statistics_count_documents(library: Library) -> None:
    """Index and service statistics know the documents."""
    assert library.admin.get_index_statistics(library.name)["documentCount"] == 3
    assert library.admin.get_service_statistics()["counters"]["documentCount"]["usage"] >= 3
