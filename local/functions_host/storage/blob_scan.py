"""Blob triggers without Event Grid: the container is listed again and again, and every state of a blob runs once.

What has been seen is kept as receipts, one for each function and ETag; so blobs that were there before the host's first
start run, and none runs again after a restart.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobClient

from local.functions_host.model import Function
from local.functions_host.storage.connections import DEFAULT, Connections
from local.functions_host.storage.expressions import PathPattern

logger = logging.getLogger(__name__)

RECEIPTS = "azure-webjobs-hosts"
SCAN_SECONDS = 2.0  # between the end of one listing and the next


@dataclass(frozen=True, slots=True)
class BlobFunction:
    """A function with a blob trigger, the blobs it wants, and the setting of their account."""

    function: Function
    pattern: PathPattern
    setting: str
    polled: bool  # its blobs are found by listing the container; otherwise by the events of Event Grid


# A function, container, blob, its type and its ETag.
type Put = Callable[[BlobFunction, str, str, str | None, str | None], Awaitable[None]]


class BlobScan:
    """Looks for blobs that are new or changed, and puts each on the queue, at least once."""

    def __init__(self, functions: Sequence[BlobFunction], connections: Connections, host_id: str, put: Put) -> None:
        self._functions = functions
        self._connections = connections
        self._host_id = host_id
        self._put = put
        self._seen: dict[tuple[str, str], str] = {}  # function, blob -> ETag: spares the look at the receipt

    async def run(self) -> None:
        """Scan until cancelled."""
        troubled = False
        while True:
            try:
                for wanted in self._functions:
                    await self._scan(wanted)
                troubled = False
            except (AzureError, OSError) as fault:
                if not troubled:
                    logger.warning("the containers of blob triggers cannot be listed, trying on: %s", fault)
                troubled = True
            await asyncio.sleep(SCAN_SECONDS)

    async def _scan(self, wanted: BlobFunction) -> None:
        name, container = wanted.function.name, wanted.pattern.container
        service = self._connections.blobs(wanted.setting, f"function {name!r}")
        with contextlib.suppress(ResourceNotFoundError):  # the container may be made later
            async for blob in service.get_container_client(container).list_blobs():
                etag = str(blob.etag)
                if self._seen.get((name, blob.name)) == etag or wanted.pattern.match(container, blob.name) is None:
                    continue
                receipt = self._receipt(name, etag, container, blob.name)
                if not await receipt.exists():
                    await self._put(wanted, container, blob.name, blob.blob_type, etag)
                    await self._write(receipt)
                self._seen[name, blob.name] = etag

    def _receipt(self, function: str, etag: str, container: str, blob: str) -> BlobClient:
        bare = etag.strip('"')
        place = f'blobreceipts/{self._host_id}/Host.Functions.{function}/"{bare}"/{container}/{blob}'
        return self._connections.blobs(DEFAULT, "receipts of blobs").get_blob_client(RECEIPTS, place)

    async def _write(self, receipt: BlobClient) -> None:
        try:
            await receipt.upload_blob(b"", overwrite=True)
        except ResourceNotFoundError:
            with contextlib.suppress(ResourceExistsError):  # another part of the host has just made it
                await self._connections.blobs(DEFAULT, "receipts of blobs").create_container(RECEIPTS)
            await receipt.upload_blob(b"", overwrite=True)
