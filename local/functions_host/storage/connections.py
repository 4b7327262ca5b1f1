"""Storage clients from app settings: a connection string in `NAME`, or addresses in `NAME__queueServiceUri`."""

from collections.abc import Mapping
from typing import Any

from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.functions_host.config import connection_string
from local.functions_host.model import HostError

DEFAULT = "AzureWebJobsStorage"


class Connections:
    """The storage accounts that the app's settings name, each opened once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._queues: dict[str, QueueServiceClient] = {}
        self._blobs: dict[str, BlobServiceClient] = {}
        self._credential: Any = None

    def queue(self, setting: str, name: str, where: str) -> QueueClient:
        """Return the client of a queue. Raises HostError, naming `where`, when the setting is missing."""
        if setting not in self._queues:
            text, address = self._find(setting, "queue", where)
            self._queues[setting] = (
                QueueServiceClient.from_connection_string(text)
                if text
                else QueueServiceClient(address, credential=self._identity())
            )
        return self._queues[setting].get_queue_client(name)

    def blobs(self, setting: str, where: str) -> BlobServiceClient:
        """Return the client of a blob service. Raises HostError, naming `where`, when the setting is missing."""
        if setting not in self._blobs:
            text, address = self._find(setting, "blob", where)
            self._blobs[setting] = (
                BlobServiceClient.from_connection_string(text)
                if text
                else BlobServiceClient(address, credential=self._identity())
            )
        return self._blobs[setting]

    def has(self, setting: str) -> bool:
        """Tell whether a setting leads to a storage account."""
        services = (f"{setting}__{service}ServiceUri" for service in ("queue", "blob"))
        if connection_string(setting, self._environ) or self._environ.get(f"{setting}__accountName"):
            return True
        return all(self._environ.get(name) for name in services)

    async def close(self) -> None:
        """Close all clients."""
        for queue in self._queues.values():
            await queue.close()
        for blob in self._blobs.values():
            await blob.close()
        if self._credential is not None:
            await self._credential.close()

    def _find(self, setting: str, service: str, where: str) -> tuple[str | None, str]:
        text = connection_string(setting, self._environ)
        if text:
            return text, ""
        for name in (f"{setting}__{service}ServiceUri", f"{setting}__serviceUri"):
            if self._environ.get(name):
                return None, self._environ[name]
        account = self._environ.get(f"{setting}__accountName")
        if account:
            return None, f"https://{account}.{service}.core.windows.net"
        raise HostError(
            f"{where}: the app setting {setting!r} is missing; "
            f"set it to a storage connection string, or set {setting}__{service}ServiceUri"
        )

    def _identity(self) -> Any:
        if self._credential is None:
            from azure.identity.aio import DefaultAzureCredential

            self._credential = DefaultAzureCredential()
        return self._credential
