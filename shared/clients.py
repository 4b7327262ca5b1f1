"""The one place that makes clients, lazily and once a process.

Keys are for one machine; without them every client signs in with the app's identity.
"""

import asyncio
import contextlib
import functools
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.request import getproxies

from azure.core.credentials import AzureKeyCredential
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import DefaultAzureCredential, get_bearer_token_provider
from azure.search.documents.aio import SearchClient
from azure.search.documents.indexes.aio import SearchIndexClient
from azure.storage.blob import LocationMode
from azure.storage.blob.aio import BlobServiceClient
from openai import AsyncOpenAI, Timeout

from shared.access_rules import AccessRules
from shared.built import Built
from shared.documents import PIPELINE_PARTS, ChunkLimits, Extracted, ReadLimits, count_tokens
from shared.documents.extraction import Extraction
from shared.documents.scans import Scans
from shared.embeddings.budget import Budget
from shared.embeddings.model import Embedder, EmbeddingModel
from shared.embeddings.store import EmbeddingStore
from shared.errors import Refused, UnreadableDocument
from shared.freshness import Freshness
from shared.ids import pipeline_id
from shared.index.chunks import Chunks
from shared.index.client import BulkClient
from shared.index.generations import Generations
from shared.index.schema import SCHEMA_VERSION
from shared.index.writer import BulkWriter
from shared.lake.container import Lake
from shared.settings import Settings, StorageAccount
from shared.source import Source
from shared.state import RegionalState
from shared.sync import Indexer

logger = logging.getLogger(__name__)

OPENAI_SCOPE = "https://cognitiveservices.azure.com/.default"
OPENAI_RETRIES = 6  # the client waits as Retry-After and retry-after-ms say
# A service that takes a request and never answers shall end as a fault that is tried again. Reading is the longest time
# between two pieces of a reply: a large document or a long answer takes as long as it takes.
CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0  # of storage and search: a batch of 16 MB is written and acknowledged meanwhile
MODEL_READ_SECONDS = 120.0  # of the model: what one call embeds takes a while on a small machine


class Services:
    """Everything the app talks to, made from its settings when first used."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._search_clients: dict[str, SearchClient] = {}
        self._writers: dict[str, BulkWriter] = {}

    @functools.cached_property
    def _identity(self) -> DefaultAzureCredential:
        client_id = self.settings.azure_client_id
        return DefaultAzureCredential(managed_identity_client_id=client_id) if client_id else DefaultAzureCredential()

    @functools.cached_property
    def _search_credential(self) -> Any:
        key = self.settings.search_api_key
        return AzureKeyCredential(key) if key else self._identity

    @functools.cached_property
    def lake_account(self) -> BlobServiceClient:
        """The lake's storage account."""
        return self._blob_service(self.settings.lake_storage)

    @functools.cached_property
    def lake_replica_account(self) -> BlobServiceClient:
        """The lake's storage account, read at its replica in the other region. Raises Refused when it has none."""
        account = self._blob_service(self.settings.lake_storage)
        try:
            account.location_mode = LocationMode.SECONDARY
        except ValueError as error:
            raise Refused("LAKE_STORAGE has no secondary endpoint; read-access geo-redundancy provides one") from error
        return account

    @functools.cached_property
    def regional_account(self) -> BlobServiceClient:
        """The region's own storage account."""
        return self._blob_service(self.settings.regional_storage)

    @property
    def lake(self) -> Lake:
        """The documents."""
        return self.primary.lake

    @functools.cached_property
    def state(self) -> RegionalState:
        """Leases, problems, reports."""
        return RegionalState(self.regional_account.get_container_client(self.settings.state_container))

    @functools.cached_property
    def model(self) -> AsyncOpenAI:
        """The model endpoint, for chat and embeddings."""
        api_key: str | Callable[[], Awaitable[str]] = self.settings.openai_api_key
        if not api_key:
            api_key = get_bearer_token_provider(self._identity, OPENAI_SCOPE)
        return AsyncOpenAI(
            base_url=self.settings.openai_endpoint,
            api_key=api_key,
            timeout=Timeout(MODEL_READ_SECONDS, connect=CONNECT_SECONDS),
            max_retries=OPENAI_RETRIES,
        )

    @functools.cached_property
    def embedding_budget(self) -> Budget:
        """What all calls to the embedding model share."""
        return Budget(self.settings.embedding_tokens_per_minute, self.settings.embedding_concurrency)

    @functools.cached_property
    def embedder(self) -> Embedder:
        """The embedding model, for questions and live indexing."""
        return self._embedder(live=True)

    def _embedder(self, live: bool) -> Embedder:
        settings = self.settings
        model = EmbeddingModel(settings.openai_embedding_model, settings.embedding_dimensions)
        return Embedder(self.model, model, count_tokens, settings.embedding_batch, self.embedding_budget, live)

    @functools.cached_property
    def pipeline(self) -> str:
        """The id of everything that changes what a document becomes."""
        settings = self.settings
        return pipeline_id(
            {
                **PIPELINE_PARTS,
                "schema": SCHEMA_VERSION,
                "embedding_model": settings.openai_embedding_model,
                "embedding_dimensions": settings.embedding_dimensions,
                "chunk_target_tokens": settings.chunk_target_tokens,
                "chunk_max_tokens": settings.chunk_max_tokens,
            }
        )

    @property
    def vectors(self) -> str:
        """What makes vectors: only those of the same can be compared."""
        return f"{self.settings.openai_embedding_model}/{self.settings.embedding_dimensions}"

    @functools.cached_property
    def built(self) -> Built:
        """Which generations are this pipeline's."""
        return Built(self.pipeline, self.vectors, self.generations, self._chunks, self.state)

    @functools.cached_property
    def _search_index_client(self) -> SearchIndexClient:
        endpoint, credential = self.settings.search_endpoint, self._search_credential
        return SearchIndexClient(endpoint, credential, transport=_transport())

    @functools.cached_property
    def generations(self) -> Generations:
        """The generations of the index, and the alias."""
        return Generations(self._search_index_client, self.settings.search_index, self.settings.embedding_dimensions)

    def search_client(self, index: str) -> SearchClient:
        """The client of one index or alias, kept for the next use."""
        if index not in self._search_clients:
            endpoint, credential = self.settings.search_endpoint, self._search_credential
            self._search_clients[index] = SearchClient(endpoint, index, credential, transport=_transport())
        return self._search_clients[index]

    def bulk_client(self, index: str) -> BulkClient:
        """The same client, without a model object for every result."""
        return BulkClient(self.search_client(index), index)

    @property
    def extraction(self) -> Extraction:
        """What reads documents."""
        settings = self.settings
        read = ReadLimits(
            pages=settings.document_max_pages,
            seconds=settings.document_timeout_seconds,
            megabytes=settings.document_memory_mb,
        )
        chunk = ChunkLimits(settings.chunk_target_tokens, settings.chunk_max_tokens)
        return _extraction(settings.extraction_processes, read, chunk)

    @functools.cached_property
    def scans(self) -> Scans | None:
        """What recognises the text of scans, where there is such a service."""
        endpoint, key = self.settings.document_intelligence_endpoint, self.settings.document_intelligence_key
        if not endpoint:
            return None
        from azure.ai.documentintelligence.aio import DocumentIntelligenceClient  # most deployments do without

        credential = AzureKeyCredential(key) if key else self._identity
        self._scans_client = DocumentIntelligenceClient(endpoint, credential, transport=_transport())
        return Scans(self._scans_client)

    async def _extract(self, path: str, content: bytes, live: bool = True) -> Extracted:
        """Return the document's chunks; the text of scanned pages is recognised where there is a service for that."""
        try:
            extracted = await self.extraction.extract(path, content, live=live)
        except UnreadableDocument as fault:
            if fault.reason != "image_only" or self.scans is None:
                raise
            return await self.extraction.chunk(path, await self.scans.pages(content), live)
        if extracted.pictures and self.scans is not None:
            with contextlib.suppress(UnreadableDocument):  # photographs; the other pages are no worse for it
                recognised = await self.scans.pages(content, extracted.pictures)
                extracted = await self.extraction.extract(path, content, recognised, live)
        if extracted.pictures:
            numbers = ",".join(map(str, extracted.pictures))
            logger.warning("extraction document=%s pages_without_text=%s", path, numbers)
        return extracted

    def _chunks(self, index: str) -> Chunks:
        client = self.bulk_client(index)
        if index not in self._writers:
            self._writers[index] = BulkWriter(client, self.settings.index_write_concurrency)
        return Chunks(client, self._writers[index])

    def _source(self, account: BlobServiceClient, replica: bool, live: bool = False) -> Source:
        settings = self.settings
        lake = Lake(account.get_container_client(settings.lake_container))
        embeddings = account.get_container_client(settings.embeddings_container)
        read_only = replica or settings.lake_read_only
        store = EmbeddingStore(embeddings, self.pipeline, settings.embedding_dimensions, read_only)
        indexer = Indexer(
            lake=lake,
            store=store,
            embedder=self.embedder if live else self._embedder(live=False),
            state=self.state,
            chunks_of=self._chunks,
            pipeline=self.pipeline,
            extract=functools.partial(self._extract, live=live),
            max_bytes=settings.document_max_bytes,
        )
        return Source(account, lake, store, indexer, replica)

    @functools.cached_property
    def primary(self) -> Source:
        """The lake where it is written."""
        return self._source(self.lake_account, replica=False, live=True)

    @functools.cached_property
    def _rebuilding(self) -> Source:
        """The lake where it is written, for a rebuild: it reads and embeds documents behind live indexing."""
        return self._source(self.lake_account, replica=False)

    @functools.cached_property
    def secondary(self) -> Source:
        """The lake's replica in the other region, which can only be read."""
        return self._source(self.lake_replica_account, replica=True)

    @functools.cached_property
    def reading_slots(self) -> asyncio.Semaphore:
        """What bounds the documents that a rebuild reads at once in this process."""
        return asyncio.Semaphore(self.settings.converge_concurrency)

    def source(self, name: str) -> Source:
        """Return the side of the lake that a rebuild reads: "primary" or "secondary"."""
        return self.secondary if name == "secondary" else self._rebuilding

    @property
    def indexer(self) -> Indexer:
        """What converges a path with the lake where it is written."""
        return self.primary.indexer

    def lakes(self) -> list[Lake]:
        """Return the lake, and its replica where it has one: what can be asked while the lake is away."""
        try:
            return [self.lake, self.secondary.lake]
        except Refused:
            return [self.lake]

    @functools.cached_property
    def access_rules(self) -> AccessRules:
        """Who may see which folder."""
        return AccessRules(self.lakes)

    @functools.cached_property
    def freshness(self) -> Freshness:
        """How far the index is behind the lake."""
        return Freshness(self.state)

    async def close(self) -> None:
        """Close every client that was made."""
        made = vars(self)
        for name in (
            "lake_account",
            "lake_replica_account",
            "regional_account",
            "model",
            "_search_index_client",
            "_scans_client",
            "_identity",
        ):
            if name in made:
                await made[name].close()
        for client in self._search_clients.values():
            await client.close()

    def _blob_service(self, account: StorageAccount) -> BlobServiceClient:
        if account.connection_string:
            return BlobServiceClient.from_connection_string(account.connection_string, transport=_transport())
        return BlobServiceClient(account.blob_endpoint, credential=self._identity, transport=_transport())


def _transport() -> AioHttpTransport:
    """Return what a client sends its requests with, and how long it waits: by itself it would wait for five minutes.

    Where no proxy is set, the environment is not asked for one: aiohttp would ask in a thread, twice for every request.
    """
    return AioHttpTransport(
        use_env_settings=bool(getproxies()), connection_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS
    )


@functools.cache
def _extraction(processes: int, read: ReadLimits, chunk: ChunkLimits) -> Extraction:
    """Return what reads documents in this process: its workers stay warm."""
    return Extraction(processes, read, chunk)


@functools.cache
def services() -> Services:
    """Return the process's services. Raises SettingsError when the environment is not fit."""
    return Services(Settings.from_env(os.environ))
