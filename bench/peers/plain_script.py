"""A plain script of the kind that tutorials have: windows of characters, keys by position, and an upload.

It knows nothing of what it did before: an edited document is embedded anew and uploaded over its old chunks, a deleted
one is looked up and deleted, and a synchronisation uploads everything.
"""

import base64
import itertools
import json
import sys
from typing import Any

from azure.core.credentials import AzureKeyCredential
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient
from azure.search.documents.indexes.models import (
    HnswAlgorithmConfiguration,
    SearchableField,
    SearchField,
    SearchFieldDataType,
    SearchIndex,
    SimpleField,
    VectorSearch,
    VectorSearchProfile,
)
from openai import OpenAI

DIMENSIONS = 384
BATCH = 64  # texts in one call to the model
UPLOAD = 500  # documents in one call to the search service


def definition(name: str) -> SearchIndex:
    """Return the index."""
    text = SearchFieldDataType.String
    return SearchIndex(
        name=name,
        fields=[
            SimpleField(name="id", type=text, key=True),
            SimpleField(name="path", type=text, filterable=True),
            SearchableField(name="content", type=text),
            SearchField(
                name="vector",
                type=SearchFieldDataType.Collection(SearchFieldDataType.Single),
                searchable=True,
                vector_search_dimensions=DIMENSIONS,
                vector_search_profile_name="default",
            ),
        ],
        vector_search=VectorSearch(
            algorithms=[HnswAlgorithmConfiguration(name="hnsw")],
            profiles=[VectorSearchProfile(name="default", algorithm_configuration_name="hnsw")],
        ),
    )


def windows(text: str, size: int, overlap: int) -> list[str]:
    """Return the text in windows."""
    return [text[start : start + size] for start in range(0, max(1, len(text) - overlap), size - overlap)]


def main() -> None:
    """Do what each line says; answer it with one."""
    model_url, search_url, name, _, size, overlap = sys.argv[1:]
    model = OpenAI(base_url=model_url, api_key="local")
    admin = SearchIndexClient(search_url, AzureKeyCredential("local"))
    admin.create_or_update_index(definition(name))
    search = SearchClient(search_url, name, AzureKeyCredential("local"))

    def upload(documents: list[dict[str, Any]]) -> None:
        rows = [
            {"id": f"{key(one['path'])}-{number}", "path": one["path"], "content": text}
            for one in documents
            for number, text in enumerate(windows(one["text"], int(size), int(overlap)))
        ]
        for batch in itertools.batched(rows, BATCH, strict=False):
            reply = model.embeddings.create(model="all-minilm-l6-v2-int8", input=[row["content"] for row in batch])
            for row, item in zip(batch, reply.data, strict=True):
                row["vector"] = item.embedding
        for batch in itertools.batched(rows, UPLOAD, strict=False):
            search.upload_documents(list(batch))

    def delete(path: str) -> None:
        quoted = path.replace("'", "''")
        found = search.search("*", filter=f"path eq '{quoted}'", select=["id"], top=1000)
        gone = [{"id": hit["id"]} for hit in found]
        if gone:
            search.delete_documents(gone)

    print("ready", flush=True)
    for line in sys.stdin:
        changes = json.loads(line)["changes"]
        try:
            upload([one for one in changes if one["text"] is not None])
            for one in changes:
                if one["text"] is None:
                    delete(one["path"])
            print("done", flush=True)
        except Exception as fault:
            print(f"failed: {fault!r}"[:200].replace("\n", " "), flush=True)


def key(path: str) -> str:
    """Return a path as the service takes keys."""
    return base64.urlsafe_b64encode(path.encode()).decode()


main()
