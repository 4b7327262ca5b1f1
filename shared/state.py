"""Small state in the region's own storage: JSON blobs and leases. None of it is needed to recover the index."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobLeaseClient, ContainerClient

from shared.errors import Throttled

LEASE_SECONDS = 15  # a dead worker blocks its document no longer than this; the service takes no shorter lease
RENEW_SECONDS = 5
POLL_SECONDS = 0.2


class RegionalState:
    """One container of JSON blobs that also serve as named locks."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def create(self) -> None:
        """Create the container; one that exists is fine."""
        with contextlib.suppress(ResourceExistsError):
            await self._container.create_container()

    async def write(self, name: str, value: Any) -> None:
        """Store a JSON value."""
        data = json.dumps(value, ensure_ascii=False, default=str).encode()
        try:
            await self._container.upload_blob(name, data, overwrite=True)
        except ResourceNotFoundError:
            await self.create()
            await self._container.upload_blob(name, data, overwrite=True)

    async def read(self, name: str) -> Any | None:
        """Return the JSON value stored under `name`, or None."""
        try:
            stream = await self._container.download_blob(name)
            return json.loads(await stream.readall())
        except ResourceNotFoundError:
            return None

    async def remove(self, name: str) -> None:
        """Forget the value; one that is not there is fine."""
        with contextlib.suppress(ResourceNotFoundError):
            await self._container.delete_blob(name)

    async def names(self, prefix: str) -> list[str]:
        """Return the names below `prefix`, in order."""
        try:
            return [blob.name async for blob in self._container.list_blobs(name_starts_with=prefix)]
        except ResourceNotFoundError:
            return []

    @contextlib.asynccontextmanager
    async def lease(self, name: str, wait_seconds: float = 60.0) -> AsyncIterator[None]:
        """Hold the lock `name` for the length of the block; it renews itself and lapses LEASE_SECONDS after a crash.

        Raises Throttled when another worker still holds it after `wait_seconds`.
        """
        client = BlobLeaseClient(await self._lock_blob(name))
        waited = 0.0
        while not await _acquire(client):
            if waited >= wait_seconds:
                raise Throttled(f"{name!r} is held by another worker", retry_after=LEASE_SECONDS)
            await asyncio.sleep(POLL_SECONDS)
            waited += POLL_SECONDS
        renewal = asyncio.create_task(_renew(client))
        try:
            yield
        finally:
            renewal.cancel()
            # A lease that lapsed meanwhile is someone else's by now; giving it back is not ours to do.
            with contextlib.suppress(HttpResponseError):
                await client.release()

    async def _lock_blob(self, name: str) -> Any:
        blob = self._container.get_blob_client(f"leases/{name}")
        for _ in range(2):
            try:
                await blob.upload_blob(b"", overwrite=False)
            except ResourceExistsError:
                return blob
            except ResourceNotFoundError:
                await self.create()
        return blob


async def _acquire(client: BlobLeaseClient) -> bool:
    try:
        await client.acquire(lease_duration=LEASE_SECONDS)
    except HttpResponseError as error:
        if error.status_code == 409:  # leased by someone else
            return False
        raise
    return True


async def _renew(client: BlobLeaseClient) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        await client.renew()
