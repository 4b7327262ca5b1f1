"""Keeps versions: copies what was written to a hidden container of Azurite, and records it with the event it raises."""

import asyncio
import base64
import hashlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote
from weakref import WeakValueDictionary

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from local.lake.events import CREATED, DELETED, Dispatcher, storage_event
from local.lake.versions import Version, VersionStore

logger = logging.getLogger(__name__)

HIDDEN = "lake-versions"  # Azurite's container for the contents of versions; no listing shows it
DAY_SECONDS = 86_400
SETTLE_SECONDS = 1.0  # between looks at blobs whose recording failed

Event = tuple[str, dict[str, Any]]


class Recorder:
    """Records writes and deletions. `endpoint` is the lake's own address, account included; `watched` raises events."""

    def __init__(
        self,
        azurite: BlobServiceClient,
        store: VersionStore,
        dispatcher: Dispatcher,
        endpoint: str,
        watched: frozenset[str],
    ) -> None:
        self._azurite = azurite
        self._store = store
        self._dispatcher = dispatcher
        self._endpoint = endpoint
        self._watched = watched
        self._hidden: ContainerClient = azurite.get_container_client(HIDDEN)
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._doubtful: set[tuple[str, str]] = set()
        self._settling = asyncio.Lock()

    @property
    def doubtful(self) -> int:
        """How many blobs were perhaps written without a record of it; they are looked at again until they have one."""
        return len(self._doubtful)

    async def open(self) -> None:
        """Make the hidden container, and record what a crash kept from being recorded."""
        try:
            await self._hidden.create_container()
        except ResourceExistsError:
            logger.debug("the container for versions exists")
        await self._heal()

    @asynccontextmanager
    async def turn(self, container: str, name: str) -> AsyncIterator[None]:
        """Hold the blob's turn: writes to one blob go one after the other.

        A write that fails half-way may be stored without a record; the blob is looked at again.
        """
        lock = self._locks.setdefault((container, name), asyncio.Lock())
        async with lock:
            try:
                yield
            except BaseException:
                self._doubtful.add((container, name))
                raise

    async def keep_settled(self) -> None:
        """Look again at blobs whose recording failed, for ever."""
        while True:
            await asyncio.sleep(SETTLE_SECONDS)
            if days := retention_days(self._store):
                await self.remove_expired(days)
            for container, name in sorted(self._doubtful):
                try:
                    await self._settle(container, name)
                except AzureError as fault:
                    logger.warning("not settled container=%s blob=%s fault=%r", container, name, str(fault))
                    break

    async def record(self, container: str, name: str, api: str, copy_source: str = "") -> Version:
        """Keep the blob's present content as a version, with its event. Called in the blob's turn."""
        blob = self._azurite.get_blob_client(container, name)
        version = self._version_of(await blob.get_blob_properties(), container, name, copy_source)
        try:
            await self._hidden.get_blob_client(hidden_name(version)).start_copy_from_url(blob.url)
            self._store.add(version, self._event(CREATED, api, version) if api else None)
        finally:
            self._store.abandon(version.version_id)  # recorded by now, or never
        self._dispatcher.wake()
        return version

    async def touch(self, container: str, name: str) -> None:
        """The blob's own properties were set: its current version has them, and stays the same version."""
        current = self._store.current(container, name)
        if current is None:
            return
        blob = self._azurite.get_blob_client(container, name)
        found = await blob.get_blob_properties()
        touched = self._version_of(found, container, name, current.properties["copy_source"], current.version_id)
        await self._hidden.get_blob_client(hidden_name(touched)).start_copy_from_url(blob.url)
        self._store.touch(touched)

    def end(self, container: str, name: str) -> None:
        """The blob is gone: its current version becomes a previous one, and the event is queued."""
        current = self._store.current(container, name)
        self._store.end_current(container, name, self._event(DELETED, "DeleteBlob", current) if current else None)
        self._dispatcher.wake()

    async def remove(self, version: Version) -> None:
        """Delete one version for good."""
        self._store.remove(version)
        await self._drop_content(version)

    async def remove_expired(self, days: int) -> None:
        """Delete for good what was soft-deleted longer ago than it is retained."""
        for version in self._store.expired(time.time() - days * DAY_SECONDS):
            await self.remove(version)

    async def content(self, version: Version) -> AsyncIterator[bytes]:
        """Return the bytes of a version in blocks, for a replica."""
        stream = await self._hidden.get_blob_client(hidden_name(version)).download_blob()
        return stream.chunks()

    async def forget_container(self, container: str) -> None:
        """The container is gone, and its versions with it."""
        for version in self._store.page(container, "", ("", ""), -1, "all"):
            await self.remove(version)

    async def has_container(self, container: str) -> bool:
        """Whether Azurite has the container."""
        return await self._azurite.get_container_client(container).exists()

    async def containers(self) -> list[str]:
        """Return the names of the containers that clients see."""
        return sorted({container.name async for container in self._azurite.list_containers()} - {HIDDEN})

    async def _heal(self) -> None:
        """Compare Azurite's blobs with the recorded versions; settle every blob where they differ."""
        started, healed = time.monotonic(), 0
        names = set(await self.containers())
        for container in sorted(names | set(self._store.containers())):
            recorded = {version.name: version.etag for version in self._store.currents(container)}
            present: dict[str, str] = {}
            if container in names:
                async for blob in self._azurite.get_container_client(container).list_blobs():
                    present[blob.name] = _quoted(blob.etag)
            differing = [name for name in {**recorded, **present} if recorded.get(name) != present.get(name)]
            for name in sorted(differing):
                await self._settle(container, name)
            if container not in names:
                await self.forget_container(container)
            healed += len(differing)
        logger.info("lake ready healed=%d ms=%.0f", healed, (time.monotonic() - started) * 1000)

    async def _settle(self, container: str, name: str) -> None:
        """Make the record agree with what Azurite holds of one blob now."""
        async with self.turn(container, name):
            recorded = self._store.current(container, name)
            try:
                present = await self._azurite.get_blob_client(container, name).get_blob_properties()
            except ResourceNotFoundError:
                if recorded:
                    self.end(container, name)
            else:
                if recorded is None or recorded.etag != _quoted(present.etag):
                    await self.record(container, name, "PutBlob")
            self._doubtful.discard((container, name))

    def _version_of(
        self, found: BlobProperties, container: str, name: str, copy_source: str, version_id: str = ""
    ) -> Version:
        settings = found.content_settings
        return Version(
            container=container,
            name=name,
            version_id=version_id or self._store.next_id(),
            is_current=True,
            etag=_quoted(found.etag),
            last_modified=format_datetime(found.last_modified, usegmt=True),
            properties={
                "created": format_datetime(found.creation_time or found.last_modified, usegmt=True),
                "length": found.size,
                "type": settings.content_type or "",
                "encoding": settings.content_encoding or "",
                "language": settings.content_language or "",
                "disposition": settings.content_disposition or "",
                "cache": settings.cache_control or "",
                "md5": base64.b64encode(settings.content_md5 or b"").decode(),
                "metadata": dict(found.metadata or {}),
                "copy_source": copy_source,
            },
        )

    def _event(self, kind: str, api: str, version: Version) -> Event | None:
        if version.container not in self._watched or not self._dispatcher.wants(kind):
            return None
        url = f"{self._endpoint}/{version.container}/{quote(version.name)}"
        return kind, storage_event(kind, api, url, version)

    async def _drop_content(self, version: Version) -> None:
        try:
            await self._hidden.delete_blob(hidden_name(version))
        except ResourceNotFoundError:
            logger.debug("content of %s is gone already", version.version_id)


def retention_days(store: VersionStore) -> int:
    """Return for how many days a deleted version is retained; 0 when soft delete is off."""
    return int(store.fact("retention_days", "0"))


def hidden_name(version: Version) -> str:
    """Return the hidden blob of a version. Names are hashed: a blob's name may have up to 1,024 characters already."""
    digest = hashlib.sha256(f"{version.container}\0{version.name}".encode()).hexdigest()
    return f"{digest}/{version.version_id}"


def _quoted(etag: str | None) -> str:
    return f'"{(etag or "").strip(chr(34))}"'
