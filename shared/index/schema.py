"""The search index: its fields, and the chunk as the app sees it."""

import functools
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.search.documents.indexes.models import (
    HnswAlgorithmConfiguration,
    SearchableField,
    SearchField,
    SearchFieldDataType,
    SearchIndex,
    SemanticConfiguration,
    SemanticField,
    SemanticPrioritizedFields,
    SemanticSearch,
    SimpleField,
    VectorSearch,
    VectorSearchProfile,
)

VECTOR = "content_vector"
VECTOR_PROFILE = "default"
SEMANTIC_CONFIGURATION = "default"
ANALYZER = "en.lucene"
SCHEMA_VERSION = "3"  # bump on any change below: part of the pipeline id

# Everything of a chunk but its vector: what is compared, merged and shown.
SCALARS: tuple[str, ...] = (
    "id",
    "document_id",
    "path",
    "name",
    "title",
    "heading",
    "content",
    "ordinal",
    "chunk_count",
    "page",
    "version_id",
    "etag",
    "last_modified",
    "content_sha256",
    "allowed_groups",
    "pipeline",
    "tags",
    "newer_unreadable",
)


@dataclass(frozen=True, slots=True)
class IndexedChunk:
    """One search document: a chunk of one version of one lake document.

    `name` is the file's name in words, so that a question can name it. `ordinal` counts from 0, `chunk_count` is the
    number of chunks of this version; `last_modified` is in UTC. `newer_unreadable` is why a newer version is not
    shown, "" while there is none.
    """

    id: str
    document_id: str
    path: str
    name: str
    title: str
    heading: str
    content: str
    ordinal: int
    chunk_count: int
    page: int | None
    version_id: str
    etag: str
    last_modified: datetime
    content_sha256: str
    allowed_groups: tuple[str, ...]
    pipeline: str
    tags: str
    newer_unreadable: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the search document without its vector."""
        values = {name: getattr(self, name) for name in SCALARS}
        values["allowed_groups"] = list(self.allowed_groups)
        values["last_modified"] = self.last_modified.isoformat().replace("+00:00", "Z")
        values["labels"] = [label(name, value) for name, value in json.loads(self.tags or "{}").items()]
        return values

    @classmethod
    def from_fields(cls, values: dict[str, Any]) -> "IndexedChunk":
        """Build a chunk from a search result that selected SCALARS."""
        value = values.get
        # One by one: a verification builds every chunk of the index once.
        return cls(
            id=values["id"],
            document_id=values["document_id"],
            path=values["path"],
            name=value("name") or "",
            title=value("title") or "",
            heading=value("heading") or "",
            content=value("content") or "",
            ordinal=values["ordinal"],
            chunk_count=values["chunk_count"],
            page=value("page"),
            version_id=value("version_id") or "",
            etag=values["etag"],
            last_modified=_moment(values["last_modified"]),
            content_sha256=values["content_sha256"],
            allowed_groups=tuple(sorted(value("allowed_groups") or ())),
            pipeline=values["pipeline"],
            tags=value("tags") or "",
            newer_unreadable=value("newer_unreadable") or "",
        )


@functools.lru_cache(maxsize=1_024)
def _moment(text: str) -> datetime:
    """Return the time that a search result has: the same for all chunks of a document."""
    return datetime.fromisoformat(text)


def label(name: str, value: str) -> str:
    """Return a tag as filters compare it: names without case, as storage has them."""
    return f"{name.lower()}={value}"


def index_definition(name: str, dimensions: int) -> SearchIndex:
    """Return the definition of one generation, for vectors of `dimensions` floats."""
    text, integer = SearchFieldDataType.STRING, SearchFieldDataType.INT32
    fields = [
        SimpleField(name="id", type=text, key=True, filterable=True, sortable=True),
        SimpleField(name="document_id", type=text, filterable=True),
        SimpleField(name="path", type=text, filterable=True, sortable=True),
        SearchableField(name="name", type=text, analyzer_name=ANALYZER),
        SearchableField(name="title", type=text, analyzer_name=ANALYZER),
        SearchableField(name="heading", type=text, analyzer_name=ANALYZER),
        SearchableField(name="content", type=text, analyzer_name=ANALYZER),
        SimpleField(name="ordinal", type=integer, filterable=True, sortable=True),
        SimpleField(name="chunk_count", type=integer, filterable=True),
        SimpleField(name="page", type=integer, filterable=True),
        SimpleField(name="version_id", type=text, filterable=True),
        SimpleField(name="etag", type=text, filterable=True),
        SimpleField(name="last_modified", type=SearchFieldDataType.DATE_TIME_OFFSET, filterable=True, sortable=True),
        SimpleField(name="content_sha256", type=text, filterable=True),
        SimpleField(name="allowed_groups", type=f"Collection({text.value})", filterable=True),
        SimpleField(name="pipeline", type=text, filterable=True),
        SimpleField(name="tags", type=text),
        # The tags once more, one `name=value` each: what a filter can ask for.
        SimpleField(name="labels", type=f"Collection({text.value})", filterable=True),
        SimpleField(name="newer_unreadable", type=text),
        SearchField(
            name=VECTOR,
            type=f"Collection({SearchFieldDataType.SINGLE.value})",
            searchable=True,
            vector_search_dimensions=dimensions,
            vector_search_profile_name=VECTOR_PROFILE,
        ),
    ]
    return SearchIndex(
        name=name,
        fields=fields,
        vector_search=VectorSearch(
            algorithms=[HnswAlgorithmConfiguration(name="hnsw")],
            profiles=[VectorSearchProfile(name=VECTOR_PROFILE, algorithm_configuration_name="hnsw")],
        ),
        semantic_search=SemanticSearch(
            configurations=[
                SemanticConfiguration(
                    name=SEMANTIC_CONFIGURATION,
                    prioritized_fields=SemanticPrioritizedFields(
                        title_field=SemanticField(field_name="title"),
                        content_fields=[SemanticField(field_name="content")],
                        keywords_fields=[SemanticField(field_name="heading")],
                    ),
                )
            ]
        ),
    )
