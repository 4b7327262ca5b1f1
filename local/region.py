"""One region on one machine: which services it has, where they listen, and the settings that tie them together."""

import os
from dataclasses import dataclass
from pathlib import Path

from local.azurite import ACCOUNT, KEY, connection_string
from local.children import Child, Line
from local.faults import PATH as FAULTS
from local.processes import free_port
from shared.settings import SETTINGS

ROOT = Path(__file__).parent.parent
DELETIONS_QUEUE = "lake-deletions"
DOCUMENTS, EMBEDDINGS, STATE = "documents", "embeddings", "warmlake"
TRIGGER = "index_blob"
SCHEDULES = {row.name: row.default or "" for row in SETTINGS if row.name.endswith("_SCHEDULE")}
EMBEDDING_MODEL, EMBEDDING_DIMENSIONS = "all-minilm-l6-v2-int8", 384
CHAT_MODEL = "extractive-minilm"
MEASURED = {"CHAT_MIN_COSINE": "0.5"}  # for this embedding model, see docs/evaluation.md
LEASE_SECONDS = "10"  # a person who watches should not wait longer for what a killed host had begun


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model answers: a local one (`path` "" means the extractive stand-in), or an endpoint elsewhere."""

    path: str = ""
    endpoint: str = ""
    api_key: str = ""
    chat: str = ""
    embedding: str = ""
    dimensions: int = EMBEDDING_DIMENSIONS


@dataclass(frozen=True, slots=True)
class StoragePorts:
    """Where one storage account (one Azurite) listens."""

    blob: int
    queue: int
    table: int

    def arguments(self, data: Path) -> list[str]:
        """Return the command line of an Azurite at these ports."""
        ports = ("--blob-port", str(self.blob), "--queue-port", str(self.queue), "--table-port", str(self.table))
        return [*ports, "--data", str(data)]


@dataclass(frozen=True, slots=True)
class Region:
    """Ports, folder and settings of one region."""

    name: str
    folder: Path
    port: int
    storage: StoragePorts
    lake_storage: StoragePorts
    lake_port: int
    search_port: int
    model_port: int
    model: ModelChoice
    questions: str = "[]"
    faults: bool = False  # search, lake and model service take rules for failing on purpose

    @property
    def url(self) -> str:
        """Where the app answers."""
        return f"http://localhost:{self.port}"

    @property
    def lake_connection(self) -> str:
        """Connection string of the lake."""
        endpoint = f"http://127.0.0.1:{self.lake_port}/{ACCOUNT}"
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"

    @property
    def storage_connection(self) -> str:
        """Connection string of the region's own storage."""
        return connection_string(self.storage.blob, self.storage.queue, self.storage.table)

    @property
    def local_model(self) -> bool:
        """Whether the model service runs here: for embeddings, for chat, or both."""
        return not self.model.endpoint

    def fault_addresses(self) -> dict[str, str]:
        """Return where each service that can fail on purpose takes its rules; none unless that was asked for."""
        ports = {"search": self.search_port, "lake": self.lake_port, "model": self.model_port}
        if not self.local_model:
            del ports["model"]
        return {name: f"http://127.0.0.1:{port}{FAULTS}" for name, port in ports.items()} if self.faults else {}

    def settings(self) -> dict[str, str]:
        """Return the app's settings: what ties the services together, and defaults that the environment may change."""
        model = self.model
        endpoint = model.endpoint or f"http://127.0.0.1:{self.model_port}/openai/v1"
        local_chat = Path(model.path).stem if model.path else CHAT_MODEL
        return {
            "AzureWebJobsStorage": self.storage_connection,
            "LAKE_STORAGE": self.lake_connection,
            "LAKE_CONTAINER": DOCUMENTS,
            "EMBEDDINGS_CONTAINER": EMBEDDINGS,
            "STATE_CONTAINER": STATE,
            "DELETIONS_QUEUE": DELETIONS_QUEUE,
            "REGION": self.name,
            "SEARCH_ENDPOINT": f"http://127.0.0.1:{self.search_port}",
            "SEARCH_API_KEY": "local",
            "OPENAI_ENDPOINT": endpoint,
            "OPENAI_API_KEY": model.api_key or "local",
            "OPENAI_MODEL": model.chat or local_chat,
            "OPENAI_EMBEDDING_MODEL": model.embedding or EMBEDDING_MODEL,
            "EMBEDDING_DIMENSIONS": str(model.dimensions),
            **{name: os.environ.get(name) or value for name, value in self._defaults().items()},
        }

    def _defaults(self) -> dict[str, str]:
        """Return settings that are others on one machine than on Azure, unless somebody sets them."""
        model = self.model
        return {
            **SCHEDULES,  # the host reads them itself, and knows no defaults
            "SUGGESTED_QUESTIONS": self.questions,
            "CHAT_REQUESTS_PER_MINUTE": "0",  # one machine has one caller: everything on it
            "DOCUMENT_REQUESTS_PER_MINUTE": "0",
            **({} if model.embedding else MEASURED),
            **({"CHAT_MODEL_CITES": "false"} if model.path and not model.chat else {}),
        }

    def children(self, line: Line) -> list[Child]:
        """Return the region's services in the order in which they start."""
        webhook = f"http://127.0.0.1:{self.port}/runtime/webhooks/blobs?functionName=Host.Functions.{TRIGGER}"
        faults = ["--faults"] if self.faults else []
        # Two accounts, as on Azure: what the region writes for itself is no part of the lake, and is not versioned.
        found = [
            Child("storage", "local.azurite", self.storage.arguments(self.folder / "storage"), line),
            Child("blobs", "local.azurite", self.lake_storage.arguments(self.folder / "blobs"), line),
            Child(
                "search",
                "local.search_service",
                ["--port", str(self.search_port), "--data", str(self.folder / "search"), "--api-key", "local", *faults],
                line,
            ),
            Child(
                "lake",
                "local.lake",
                [
                    *("--port", str(self.lake_port), "--azurite-blob-port", str(self.lake_storage.blob)),
                    *("--data", str(self.folder / "lake"), "--container", DOCUMENTS, "--events-webhook", webhook),
                    *("--deletions-connection", self.storage_connection, "--deletions-queue", DELETIONS_QUEUE),
                    *faults,
                ],
                line,
            ),
        ]
        if self.local_model:
            chosen = ["--model", self.model.path] if self.model.path else []
            found.append(
                Child("model", "local.model_service", ["--port", str(self.model_port), *chosen, *faults], line)
            )
        environ = {**self.settings(), "FUNCTIONS_HOST_LEASE_SECONDS": LEASE_SECONDS}
        host = Child("host", "local.functions_host", ["start", "--port", str(self.port)], line, environ)
        return [*found, host]


def new_region(name: str, folder: Path, port: int, model: ModelChoice, questions: str) -> Region:
    """Return a region on free ports; only the app's own port is given."""
    found: set[int] = {port}
    while len(found) < 10:
        found.add(free_port())
    ports = iter(sorted(found - {port}))
    storage, lake_storage = (StoragePorts(next(ports), next(ports), next(ports)) for _ in range(2))
    return Region(name, folder, port, storage, lake_storage, next(ports), next(ports), next(ports), model, questions)
