"""The settings of the app: read once from the environment, every fault reported at once.

`SETTINGS` is the one table of names, defaults and meanings; `local.settings.sample.json` and `docs/settings.md` are
held to it by test. Storage accounts follow the Functions convention: `NAME` holds a connection string (one machine), or
`NAME__blobServiceUri` an address that is opened with the app's identity (Azure).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.errors import SettingsError

WHERE = "set it in local.settings.json or in the app settings (docs/settings.md)"


@dataclass(frozen=True, slots=True)
class StorageAccount:
    """How to reach one storage account: a connection string, or the blob endpoint for an identity."""

    connection_string: str = ""
    blob_endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name in the environment, how its text is read, its default (None: it must be given), its
    meaning.
    """

    name: str
    parse: Callable[[str], object]
    default: str | None
    meaning: str


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value.strip()


def _optional(value: str) -> str:
    return value.strip()


def _url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("is not an http(s) address")
    return value.rstrip("/")


def _optional_url(value: str) -> str:
    return _url(value) if value.strip() else ""


def _count(value: str) -> int:
    number = int(value) if value.strip().isdecimal() else 0
    if number < 1:
        raise ValueError("is not a whole number of at least 1")
    return number


def _amount(value: str) -> int:
    if not value.strip().isdecimal():
        raise ValueError("is not a whole number of at least 0")
    return int(value)


def _price(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < float("inf"):
        raise ValueError("is not a number of at least 0")
    return number


def _operator_auth(value: str) -> str:
    if value not in ("function_key", "app_role"):
        raise ValueError("is neither function_key nor app_role")
    return value


def _share(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise ValueError("is not a number from 0 to 1")
    return number


def _hosts(value: str) -> tuple[str, ...]:
    hosts = tuple(host.strip().lower() for host in value.split(",") if host.strip())
    if any("/" in host or ":" in host for host in hosts):
        raise ValueError("is not a list of host names such as intranet.example.com, www.example.com")
    return hosts


def _switch(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError("is neither true nor false")
    return value.lower() == "true"


def _questions(value: str) -> tuple[str, ...]:
    try:
        items = json.loads(value)
    except ValueError:
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError('is not a JSON list of texts such as ["How much is ...?"]')
    return tuple(items)


SETTINGS: tuple[Setting, ...] = (
    Setting("REGION", _text, "local", "Name of the region this app runs in, as users and operators see it."),
    Setting("LAKE_CONTAINER", _text, "documents", "Container of the lake that holds the documents."),
    Setting("EMBEDDINGS_CONTAINER", _text, "embeddings", "Container in the lake account for stored embeddings."),
    Setting("STATE_CONTAINER", _text, "warmlake", "Container in the regional storage for leases, problems, reports."),
    Setting("DELETIONS_QUEUE", _text, "lake-deletions", "Queue in the regional storage that gets BlobDeleted events."),
    Setting("SEARCH_ENDPOINT", _url, None, "Address of the Azure AI Search service."),
    Setting("SEARCH_API_KEY", _optional, "", "Admin key of the search service; empty: the app's identity."),
    Setting(
        "SEARCH_INDEX", _text, "documents", "Alias that names the generation in use; also the generations' prefix."
    ),
    Setting("OPENAI_ENDPOINT", _url, None, "OpenAI-compatible base address, ending in /openai/v1 on Azure."),
    Setting("OPENAI_API_KEY", _optional, "", "Key of the model endpoint; empty: the app's identity."),
    Setting("OPENAI_MODEL", _text, None, "Chat model, on Azure the deployment's name."),
    Setting("OPENAI_EMBEDDING_MODEL", _text, None, "Embedding model, on Azure the deployment's name."),
    Setting("EMBEDDING_DIMENSIONS", _count, None, "Length of the embedding vectors; the same in every region."),
    Setting("EMBEDDING_BATCH", _count, "64", "Texts in one embedding call (the service takes at most 2,048)."),
    Setting("EMBEDDING_CONCURRENCY", _count, "4", "Embedding calls under way at once in one process."),
    Setting("EMBEDDING_TOKENS_PER_MINUTE", _amount, "0", "Quota of the embedding deployment; 0: not known."),
    Setting("EMBEDDING_PRICE", _price, "0", "Price of 1,000,000 embedding tokens, for plans; 0: not known."),
    Setting("CHUNK_TARGET_TOKENS", _count, "150", "Tokens a chunk aims at."),
    Setting("CHUNK_MAX_TOKENS", _count, "400", "Tokens a chunk never exceeds."),
    Setting("DOCUMENT_MAX_BYTES", _count, "104857600", "Larger documents are quarantined as too_large."),
    Setting("DOCUMENT_MAX_PAGES", _count, "5000", "Longer documents are quarantined as too_many_pages."),
    Setting("DOCUMENT_TIMEOUT_SECONDS", _count, "120", "Documents that take longer are quarantined as timeout."),
    Setting("DOCUMENT_MEMORY_MB", _count, "512", "Documents that take more memory are quarantined as memory."),
    Setting("EXTRACTION_PROCESSES", _count, "2", "Processes that read documents, each within DOCUMENT_MEMORY_MB."),
    Setting(
        "DOCUMENT_INTELLIGENCE_ENDPOINT", _optional_url, "", "Reads scans and images, where it is set; they cost money."
    ),
    Setting("DOCUMENT_INTELLIGENCE_KEY", _optional, "", "Key of that service; empty: the app's identity."),
    Setting("EMBEDDING_GRACE_HOURS", _count, "720", "Stored embeddings that nothing needs are removed after this."),
    Setting("COLLECT_SCHEDULE", _text, "0 0 3 * * *", "When such embeddings are looked for (NCRONTAB)."),
    Setting("SEARCH_SEMANTIC", _switch, "false", "True where the service has its semantic ranker on: it is used."),
    Setting("CHAT_PASSAGES", _count, "6", "Most passages that one answer is given."),
    Setting("CHAT_CONTEXT_TOKENS", _count, "2400", "Most tokens of passages that one answer is given."),
    Setting("CHAT_NEIGHBOURS", _amount, "1", "Chunks beside a passage, on each side, that join it within the budget."),
    Setting("CHAT_MIN_COSINE", _share, "0.25", "Nearness from which passages are about the question."),
    Setting("CHAT_MIN_COVERAGE", _share, "0.9", "Share of its words in one passage that is enough too."),
    Setting("CHAT_ANSWER_TOKENS", _count, "800", "Most tokens of an answer; it ends there."),
    Setting("CHAT_MODEL_CITES", _switch, "true", "False for small models: answers get their numbers afterwards."),
    Setting("CHAT_HISTORY_TOKENS", _count, "1500", "Most tokens of earlier turns that a follow-up is understood from."),
    Setting("CHAT_LINK_HOSTS", _hosts, "", "Hosts, by commas, that answers may link to; empty: none."),
    Setting("CHAT_REQUESTS_PER_MINUTE", _amount, "60", "Questions of one caller a minute; 0: no limit."),
    Setting("CHAT_TOKENS_PER_MINUTE", _amount, "0", "Model tokens of one caller a minute; 0: no limit."),
    Setting("CHAT_CONCURRENCY", _count, "64", "Answers under way at once in one process; more are told to come back."),
    Setting("DOCUMENT_REQUESTS_PER_MINUTE", _amount, "300", "Times one caller opens documents a minute; 0: no limit."),
    Setting("CHAT_MESSAGE_MAX_CHARACTERS", _count, "8000", "Longest message accepted."),
    Setting("CHAT_MAX_MESSAGES", _count, "40", "Most messages of history accepted."),
    Setting("CHAT_TIMEOUT_SECONDS", _count, "60", "Time for one answer, waits for the model's quota included."),
    Setting("SUGGESTED_QUESTIONS", _questions, "[]", "Questions the empty chat page offers, as a JSON list."),
    Setting("REBUILD_PAGE_DOCUMENTS", _count, "50", "Documents in one page of a rebuild."),
    Setting("REBUILD_PAGE_CHUNKS", _count, "1000", "Chunks in one page of a rebuild, about."),
    Setting(
        "REBUILD_WINDOW", _count, "8", "Pages of a rebuild under way at once; some are read while others are written."
    ),
    Setting("CONVERGE_CONCURRENCY", _count, "8", "Documents read at once by a rebuild or the reconciler."),
    Setting("RECONCILE_SCHEDULE", _text, "0 */15 * * * *", "When the lake is compared with the index (NCRONTAB)."),
    Setting(
        "RESUME_SCHEDULE", _text, "0 * * * * *", "When it is seen to that an interrupted rebuild goes on (NCRONTAB)."
    ),
    Setting("REBUILD_MIN_SHARE", _share, "0.5", "A listing below this share of the live index stops a rebuild."),
    Setting(
        "REBUILD_MAX_FAILED_SHARE",
        _share,
        "0.01",
        "More unreadable documents than this share stop a rebuild for a person.",
    ),
    Setting("INDEX_WRITE_CONCURRENCY", _count, "3", "Batches under way at once to one index in one process."),
    Setting("GENERATIONS_KEPT", _count, "2", "Generations kept after a swap, the live one included."),
    Setting(
        "LAKE_READ_ONLY", _switch, "false", "True before account failover: nothing is written to the lake account."
    ),
    Setting(
        "OPERATOR_AUTH",
        _operator_auth,
        "function_key",
        "Who may rebuild, cancel and roll back: holders of the function key, or of the app role Warmlake.Operator.",
    ),
    Setting("AUTH_ENABLED", _switch, "false", "True where App Service authentication is on: its headers are trusted."),
    Setting("SERVING", _switch, "true", "The operator's switch: false makes the health check fail."),
    Setting("AZURE_CLIENT_ID", _optional, "", "Client id of the user-assigned identity; empty: the default identity."),
)

STORAGE_ACCOUNTS: Mapping[str, str] = {
    "LAKE_STORAGE": "The lake's account: documents and stored embeddings.",
    "AzureWebJobsStorage": "The region's own account: the host's state, leases, problems, reports.",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, parsed. Field names are the environment's names in lower case; see `SETTINGS` for meanings."""

    lake_storage: StorageAccount
    regional_storage: StorageAccount
    region: str
    lake_container: str
    embeddings_container: str
    state_container: str
    deletions_queue: str
    search_endpoint: str
    search_api_key: str
    search_index: str
    openai_endpoint: str
    openai_api_key: str
    openai_model: str
    openai_embedding_model: str
    embedding_dimensions: int
    embedding_batch: int
    embedding_concurrency: int
    embedding_tokens_per_minute: int
    embedding_price: float
    chunk_target_tokens: int
    chunk_max_tokens: int
    document_max_bytes: int
    document_max_pages: int
    document_timeout_seconds: int
    document_memory_mb: int
    extraction_processes: int
    document_intelligence_endpoint: str
    document_intelligence_key: str
    embedding_grace_hours: int
    collect_schedule: str
    search_semantic: bool
    chat_passages: int
    chat_context_tokens: int
    chat_neighbours: int
    chat_min_cosine: float
    chat_min_coverage: float
    chat_answer_tokens: int
    chat_model_cites: bool
    chat_history_tokens: int
    chat_link_hosts: tuple[str, ...]
    chat_requests_per_minute: int
    chat_tokens_per_minute: int
    chat_concurrency: int
    document_requests_per_minute: int
    chat_message_max_characters: int
    chat_max_messages: int
    chat_timeout_seconds: int
    suggested_questions: tuple[str, ...]
    rebuild_page_documents: int
    rebuild_page_chunks: int
    rebuild_window: int
    converge_concurrency: int
    reconcile_schedule: str
    resume_schedule: str
    rebuild_min_share: float
    rebuild_max_failed_share: float
    index_write_concurrency: int
    generations_kept: int
    lake_read_only: bool
    operator_auth: str
    auth_enabled: bool
    serving: bool
    azure_client_id: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings. Raises SettingsError naming every missing or wrong one, a line each."""
        faults: list[str] = []
        values: dict[str, object] = {}
        for name in STORAGE_ACCOUNTS:
            account = StorageAccount(environ.get(name, ""), environ.get(f"{name}__blobServiceUri", ""))
            if not account.connection_string and not account.blob_endpoint:
                faults.append(f"{name} or {name}__blobServiceUri is missing; {WHERE}")
            values["lake_storage" if name == "LAKE_STORAGE" else "regional_storage"] = account
        for setting in SETTINGS:
            given = environ.get(setting.name, setting.default)
            if given is None:
                faults.append(f"{setting.name} is missing and has no default; {WHERE}")
                continue
            try:
                values[setting.name.lower()] = setting.parse(given)
            except ValueError as fault:
                shown = "" if "KEY" in setting.name else f": {given!r}"
                faults.append(f"{setting.name} {fault}{shown}; {WHERE}")
        target, most = values.get("chunk_target_tokens"), values.get("chunk_max_tokens")
        if isinstance(target, int) and isinstance(most, int) and target > most:
            faults.append(f"CHUNK_TARGET_TOKENS ({target}) is over CHUNK_MAX_TOKENS ({most}); lower the first")
        if values.get("operator_auth") == "app_role" and values.get("auth_enabled") is False:
            faults.append("OPERATOR_AUTH is app_role but AUTH_ENABLED is false: nobody could be an operator; set both")
        if faults:
            raise SettingsError("\n".join(faults))
        return cls(**values)  # type: ignore[arg-type]  # every field has just been parsed by its own row
