"""A small index on the real service, through the official SDK."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient
from azure.search.documents.indexes.models import (
    HnswAlgorithmConfiguration,
    HnswParameters,
    SearchableField,
    SearchField,
    SearchIndex,
    SimpleField,
    VectorSearch,
    VectorSearchProfile,
)

KEY = AzureKeyCredential("local")
VERSION = "api-version=2026-04-01"
VECTOR = "Collection(Edm.Single)"


def call(url: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Message]:
    """Send one request as it is; returns status, body, parsed where it is JSON, and headers."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{url}{path}", data, {"Content-Type": "application/json", **headers}, method=method)
    try:
        with urlopen(request, timeout=30) as reply:
            status, content, said = reply.status, reply.read().decode("utf-8"), reply.headers
    except HTTPError as error:
        with error:
            status, content, said = error.code, error.read().decode("utf-8"), error.headers
    try:
        return status, json.loads(content), said
    except ValueError:
        return status, content or None, said


@dataclass(frozen=True, slots=True)
class Library:
    """An index of books: its name, and clients for it."""

    name: str
    admin: SearchIndexClient
    books: SearchClient


def books_index(name: str, metric: str = "cosine") -> SearchIndex:
    """The definition of an index with one field of every kind."""
    return SearchIndex(
        name=name,
        fields=[
            SimpleField(name="id", type="Edm.String", key=True, filterable=True, sortable=True),
            SearchableField(name="title", type="Edm.String", analyzer_name="en.lucene", sortable=True),
            SearchableField(name="text", type="Edm.String", analyzer_name="en.lucene"),
            SimpleField(name="genre", type="Edm.String", filterable=True, facetable=True),
            SimpleField(name="pages", type="Edm.Int32", filterable=True, sortable=True, facetable=True),
            SimpleField(name="price", type="Edm.Double", filterable=True, sortable=True),
            SimpleField(name="lent", type="Edm.Boolean", filterable=True),
            SimpleField(name="bought", type="Edm.DateTimeOffset", filterable=True, sortable=True),
            SimpleField(name="tags", type="Collection(Edm.String)", filterable=True, facetable=True),
            SearchField(
                name="vector",
                type=VECTOR,
                searchable=True,
                vector_search_dimensions=3,
                vector_search_profile_name="profile",
            ),
        ],
        vector_search=VectorSearch(
            algorithms=[HnswAlgorithmConfiguration(name="hnsw", parameters=HnswParameters(metric=metric))],
            profiles=[VectorSearchProfile(name="profile", algorithm_configuration_name="hnsw")],
        ),
    )


BOOKS = [
    {
        "id": "1",
        "title": "The hotel's keeper",
        "text": "A keeper runs a hotel by the sea. Dogs are welcome in the hotel.",
        "genre": "novel",
        "pages": 320,
        "price": 12.5,
        "lent": True,
        "bought": "2024-01-05T10:00:00Z",
        "tags": ["sea", "dogs"],
        "vector": [1.0, 0.0, 0.0],
    },
    {
        "id": "2",
        "title": "Running dogs",
        "text": "How to run with a dog, and how dogs run alone.",
        "genre": "guide",
        "pages": 96,
        "price": 8.0,
        "lent": False,
        "bought": "2025-03-01T09:30:00+01:00",
        "tags": ["dogs"],
        "vector": [0.0, 1.0, 0.0],
    },
    {
        "id": "3",
        "title": "Quiet cold",
        "text": "Snow, ice, and a quiet sea.",
        "genre": "novel",
        "pages": 210,
        "price": None,
        "lent": None,
        "bought": None,
        "tags": [],
        "vector": [0.6, 0.8, 0.0],
    },
]


@pytest.fixture
def library(search_service: str) -> Iterator[Library]:
    """An index of three books."""
    name = f"books-{uuid.uuid4().hex[:12]}"
    with SearchIndexClient(search_service, KEY) as admin, SearchClient(search_service, name, KEY) as books:
        admin.create_index(books_index(name))
        books.upload_documents([dict(book) for book in BOOKS])
        yield Library(name, admin, books)
        admin.delete_index(name)
