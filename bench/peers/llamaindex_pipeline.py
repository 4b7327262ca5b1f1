"""LlamaIndex's IngestionPipeline with its Azure AI Search store: a line of standard input has changes."""

import json
import sys
from pathlib import Path
from typing import Any

from azure.core.credentials import AzureKeyCredential
from azure.search.documents import _search_client
from azure.search.documents.indexes import SearchIndexClient, _search_index_client
from llama_index.core import Document
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.vector_stores.azureaisearch import AzureAISearchVectorStore, IndexManagement
from openai import OpenAI

DIMENSIONS = 384

# The store's newest version asks for an SDK that refuses plain HTTP, which is what local services speak.
for module in (_search_client, _search_index_client):
    module.normalize_endpoint = lambda endpoint: endpoint


class Embeddings(BaseEmbedding):
    """The same model as everybody's, over the OpenAI SDK."""

    url: str

    def _embed(self, texts: list[str]) -> list[list[float]]:
        client = OpenAI(base_url=self.url, api_key="local")
        reply = client.embeddings.create(model="all-minilm-l6-v2-int8", input=texts)
        return [item.embedding for item in reply.data]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._embed(texts)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._embed([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._embed([query])[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._embed([query])[0]


def main() -> None:
    """Index every change; answers each line with one."""
    model_url, search_url, name, state, size, overlap = sys.argv[1:]
    store = AzureAISearchVectorStore(
        search_or_index_client=SearchIndexClient(search_url, AzureKeyCredential("local")),
        index_name=name,
        index_management=IndexManagement.CREATE_IF_NOT_EXISTS,
        filterable_metadata_field_keys=["path"],
        id_field_key="id",
        chunk_field_key="chunk",
        embedding_field_key="embedding",
        embedding_dimensionality=DIMENSIONS,
        metadata_string_field_key="metadata",
        doc_id_field_key="doc_id",
    )
    file = Path(state) / "docstore.json"
    kept = SimpleDocumentStore.from_persist_path(str(file)) if file.is_file() else SimpleDocumentStore()
    pipeline = IngestionPipeline(
        transformations=[
            SentenceSplitter(chunk_size=int(size), chunk_overlap=int(overlap)),
            Embeddings(url=model_url, embed_batch_size=64),
        ],
        docstore=kept,
        vector_store=store,
    )

    def apply(changes: list[dict[str, Any]], strategy: DocstoreStrategy) -> None:
        pipeline.docstore_strategy = strategy
        documents = [
            Document(
                id_=change["path"],
                text=change["text"],
                metadata={"path": change["path"]},
                excluded_embed_metadata_keys=["path"],
            )
            for change in changes
            if change["text"] is not None
        ]
        if documents:
            pipeline.run(documents=documents)
        for change in changes:
            if change["text"] is None:
                store.delete(change["path"])
                kept.delete_document(change["path"], raise_error=False)
        kept.persist(str(file))

    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        # The second removes what a whole lake does not have; of single changes it would remove the rest of the lake.
        strategy = DocstoreStrategy.UPSERTS_AND_DELETE if asked.get("whole") else DocstoreStrategy.UPSERTS
        try:
            apply(asked["changes"], strategy)
            print("done", flush=True)
        except Exception as fault:
            print(f"failed: {fault!r}"[:200].replace("\n", " "), flush=True)


main()
