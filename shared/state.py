"""Small state in the region's own storage: JSON blobs and leases. None of it is needed to recover the index."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import StorageErrorCode
from azure.storage.blob.aio import BlobClient, BlobLeaseClient, ContainerClient

from shared.errors import Throttled

LEASE_SECONDS = 15  # a dead worker blocks its document no longer than this; the service takes no shorter lease
RENEW_SECONDS = 5
SURE_SECONDS = 10  # after its last renewal a holder trusts its lease this long: a write under way ends before it lapses
POLL_SECONDS = 0.2

logger = logging.getLogger(__name__)


class Lease:
    """A lock that is held, and how long that is certain.

    A worker that was cut off or stood still may have lost its lock without a word, so whoever holds one asks before
    every act that the lock is for.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._clock = asyncio.get_running_loop().time
        self._sure_until = 0.0

    def check(self) -> None:
        """Raise Throttled when another worker may hold the lock by now."""
        if self._clock() >= self._sure_until:
            raise Throttled(f"{self._name!r} was held too long without renewal", retry_after=1.0)

    def renewed(self, asked: float) -> None:
        """Note that the service granted the lock to a request sent at `asked`, on the event loop's clock."""
        self._sure_until = asked + SURE_SECONDS

    def lost(self) -> None:
        """Note that the lock is someone else's."""
        self._sure_until = 0.0

    async def keep(self, client: BlobLeaseClient) -> None:
        """Renew the lock until it is lost. A service that does not answer is asked again."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            asked = self._clock()
            try:
                await client.renew()
            except HttpResponseError as error:
                logger.warning("lease name=%s renewal=refused status=%s", self._name, error.status_code)
                if error.status_code in (404, 409, 412):
                    self.lost()
                    return
            except AzureError as error:
                logger.warning("lease name=%s renewal=failed fault=%r", self._name, error)
            else:
                self.renewed(asked)


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
    async def lease(self, name: str, wait_seconds: float = 60.0) -> AsyncIterator[Lease]:
        """Hold the lock `name` for the length of the block; it renews itself and lapses LEASE_SECONDS after a crash.

        Raises Throttled when another worker still holds it after `wait_seconds`.
        """
        held = Lease(name)
        client, waited = None, 0.0
        while client is None:
            asked = asyncio.get_running_loop().time()
            client = await self._acquire(name)
            if client is not None:
                held.renewed(asked)
            elif waited >= wait_seconds:
                raise Throttled(f"{name!r} is held by another worker", retry_after=LEASE_SECONDS)
            else:
                await asyncio.sleep(POLL_SECONDS)
                waited += POLL_SECONDS
        renewal = asyncio.create_task(held.keep(client), name=f"lease {name}")
        try:
            yield held
        finally:
            renewal.cancel()
            held.lost()  # what was cancelled in here may still wait in a writer's queue: it is not to be written now
            # A lease that lapsed meanwhile is someone else's by now; giving it back is not ours to do.
            with contextlib.suppress(HttpResponseError):
                await client.release()

    async def _acquire(self, name: str) -> BlobLeaseClient | None:
        """Return the lease on the lock's blob, which is made when it is missing; None while another worker holds it."""
        blob = self._container.get_blob_client(f"leases/{name}")
        try:
            return await _leased(blob)
        except ResourceNotFoundError as error:
            if getattr(error, "error_code", None) != StorageErrorCode.BLOB_NOT_FOUND:
                await self.create()
        with contextlib.suppress(ResourceExistsError):  # another worker was as quick
            await blob.upload_blob(b"", overwrite=False)
        return await _leased(blob)


async def _leased(blob: BlobClient) -> BlobLeaseClient | None:
    try:
        return await blob.acquire_lease(lease_duration=LEASE_SECONDS)
    except HttpResponseError as error:
        if error.status_code == 409:  # leased by someone else
            return None
        raise
