"""LangChain's index() with its Azure AI Search store: a line of standard input has changes, or a whole lake.

The best of its variants for this history: `scoped_full` clean-up, Markdown headers and the recursive splitter.
"""

import json
import sys

from azure.search.documents.indexes.models import (
    SearchableField,
    SearchField,
    SearchFieldDataType,
    SimpleField,
)
from langchain_classic.indexes import SQLRecordManager, index
from langchain_community.vectorstores.azuresearch import AzureSearch
from langchain_core.documents import Document
from langchain_openai import OpenAIEmbeddings
from langchain_text_splitters import MarkdownHeaderTextSplitter, RecursiveCharacterTextSplitter

DIMENSIONS = 384
HEADERS = [("#", "h1"), ("##", "h2"), ("###", "h3")]


def main() -> None:
    """Index every change; answers each line with one."""
    model_url, search_url, name, state, size, overlap = sys.argv[1:]
    embeddings = OpenAIEmbeddings(
        model="all-minilm-l6-v2-int8",
        base_url=model_url,
        api_key="local",
        chunk_size=64,
        check_embedding_ctx_length=False,  # it would fetch a tokenizer from the network
    )
    text = SearchFieldDataType.String
    fields = [
        SimpleField(name="id", type=text, key=True, filterable=True),
        SearchableField(name="content", type=text, searchable=True),
        SearchField(
            name="content_vector",
            type=SearchFieldDataType.Collection(SearchFieldDataType.Single),
            searchable=True,
            vector_search_dimensions=DIMENSIONS,
            vector_search_profile_name="myHnswProfile",
        ),
        SearchableField(name="metadata", type=text, searchable=True),
        SimpleField(name="source", type=text, filterable=True),
    ]
    store = AzureSearch(
        azure_search_endpoint=search_url,
        azure_search_key="local",
        index_name=name,
        embedding_function=embeddings,
        fields=fields,
    )
    manager = SQLRecordManager(name, db_url=f"sqlite:///{state}/records.db")
    manager.create_schema()
    headers = MarkdownHeaderTextSplitter(HEADERS)
    splitter = RecursiveCharacterTextSplitter(chunk_size=int(size), chunk_overlap=int(overlap))

    def parts(change: dict[str, str]) -> list[Document]:
        split = splitter.split_documents(headers.split_text(change["text"]))
        return [Document(part.page_content, metadata={**part.metadata, "source": change["path"]}) for part in split]

    def apply(changes: list[dict[str, str]], cleanup: str) -> None:
        documents = [part for change in changes if change["text"] is not None for part in parts(change)]
        if documents:
            index(documents, manager, store, cleanup=cleanup, source_id_key="source", key_encoder="sha256")
        for change in changes:
            if change["text"] is None and (keys := manager.list_keys(group_ids=[change["path"]])):
                store.delete(keys)
                manager.delete_keys(keys)

    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            # `full` removes what a whole lake does not have; of single changes it would remove the rest of the lake.
            apply(asked["changes"], "full" if asked.get("whole") else "scoped_full")
            print("done", flush=True)
        except Exception as fault:
            print(f"failed: {fault!r}"[:200].replace("\n", " "), flush=True)


main()
