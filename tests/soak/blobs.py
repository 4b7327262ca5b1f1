"""An in-memory model of a blob container, as far as the app uses the SDK. `test_models` holds it to the real one."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from azure.core import MatchConditions

from tests.soak.process import Process, refused

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Blob:
    """One version of a blob."""

    name: str
    data: bytes
    metadata: dict[str, str]
    etag: str
    version_id: str | None
    last_modified: datetime


@dataclass(slots=True)
class BlobStore:
    """What the service keeps of one container. Leases are on names; `changes` numbers every write."""

    name: str
    versioned: bool
    blobs: dict[str, Blob] = field(default_factory=dict)
    history: dict[str, list[Blob]] = field(default_factory=dict)
    leases: dict[str, tuple[str, float]] = field(default_factory=dict)
    changes: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def put(self, name: str, data: bytes, metadata: dict[str, str] | None, now: float) -> Blob:
        """Write a blob, keeping the version before where the container is versioned."""
        number = next(self.changes)
        moment = EPOCH + timedelta(seconds=now)
        # A version id is a time to 100 ns, and later writes have later ones.
        version = f"{moment:%Y-%m-%dT%H:%M:%S}.{number:07d}Z" if self.versioned else None
        blob = Blob(name, data, dict(metadata or {}), f"0x{number:X}", version, moment.replace(microsecond=0))
        self.blobs[name] = blob
        if self.versioned:
            self.history.setdefault(name, []).append(blob)
        return blob

    def delete(self, name: str) -> None:
        """Delete the current blob; its versions stay."""
        if self.blobs.pop(name, None) is None:
            raise refused(404, "BlobNotFound")


class Container:
    """The SDK's container client, for one process."""

    def __init__(self, store: BlobStore, process: Process) -> None:
        self.store = store
        self.process = process
        self.container_name = store.name

    async def exists(self) -> bool:
        """Whether the container is there."""
        return await self.process.call(lambda: True)

    async def create_container(self) -> None:
        """Create the container, which is there."""

        def effect() -> None:
            raise refused(409, "ContainerAlreadyExists")

        await self.process.call(effect)

    def get_blob_client(self, name: str) -> "BlobModel":
        """Return the client of one blob."""
        return BlobModel(self, name)

    async def upload_blob(
        self, name: str, data: bytes, overwrite: bool = False, metadata: dict[str, str] | None = None
    ) -> None:
        """Write a blob."""
        await BlobModel(self, name).upload_blob(data, overwrite=overwrite, metadata=metadata)

    async def download_blob(self, name: str) -> "Download":
        """Read a blob."""
        return await BlobModel(self, name).download_blob()

    async def delete_blob(self, name: str) -> None:
        """Delete a blob."""
        await self.process.call(lambda: self.store.delete(name))

    async def list_blobs(self, name_starts_with: str = "", include: Any = ()) -> AsyncIterator[Any]:
        """List blobs in the order of names; with versions, the oldest version of each first.

        Only a listing with versions has version ids, and only one with metadata has metadata.
        """
        for blob in await self.process.call(lambda: list(self._listed(name_starts_with, "versions" in include))):
            if "versions" not in include:
                blob.version_id = blob.is_current_version = None
            if "metadata" not in include:
                blob.metadata = {}
            yield blob

    def _listed(self, prefix: str, versions: bool) -> Iterator[Any]:
        for name in sorted(set(self.store.blobs) | (set(self.store.history) if versions else set())):
            current = self.store.blobs.get(name)
            held = self.store.history.get(name, []) if versions and self.store.versioned else [current]
            if name.startswith(prefix):
                yield from (properties(blob, blob is current) for blob in held if blob)


class BlobModel:
    """The SDK's blob client."""

    def __init__(self, container: Container, name: str) -> None:
        self._store = container.store
        self._process = container.process
        self.name = name

    async def get_blob_properties(self, version_id: str | None = None) -> Any:
        """Return the properties of the current blob, or of a version of it."""
        return await self._process.call(
            lambda: properties(self._current() if version_id is None else self._at(version_id), True)
        )

    async def upload_blob(
        self,
        data: bytes,
        overwrite: bool = False,
        metadata: dict[str, str] | None = None,
        etag: str | None = None,
        match_condition: MatchConditions | None = None,
    ) -> None:
        """Write the blob, under the conditions that were given."""

        def effect() -> None:
            current = self._store.blobs.get(self.name)
            if current and not overwrite:
                raise refused(409, "BlobAlreadyExists")
            if match_condition is MatchConditions.IfNotModified and (current is None or quoted(current) != etag):
                raise refused(412, "ConditionNotMet")
            self._store.put(self.name, data, metadata, self._now())

        await self._process.call(effect)

    async def download_blob(
        self, version_id: str | None = None, etag: str | None = None, match_condition: MatchConditions | None = None
    ) -> "Download":
        """Read the current blob, or a version of it."""

        def effect() -> Download:
            if version_id is not None:
                return Download(self._at(version_id))
            if match_condition is MatchConditions.IfNotModified and quoted(self._current()) != etag:
                raise refused(412, "ConditionNotMet")
            return Download(self._current())

        return await self._process.call(effect)

    async def set_blob_metadata(self, metadata: dict[str, str]) -> None:
        """Replace the metadata, which changes the ETag."""
        await self._process.call(
            lambda: self._store.put(self.name, self._current().data, metadata, self._now()) and None
        )

    async def acquire_lease(self, lease_duration: int) -> "LeaseModel":
        """Take the lease, unless another one lasts."""

        def effect() -> LeaseModel:
            self._current()
            _, until = self._store.leases.get(self.name, ("", 0.0))
            if self._now() < until:
                raise refused(409, "LeaseAlreadyPresent")
            lease = LeaseModel(self._store, self._process, self.name, f"lease-{next(self._store.changes)}")
            lease.hold(self._now() + lease_duration, lease_duration)
            return lease

        return await self._process.call(effect)

    def _current(self) -> Blob:
        current = self._store.blobs.get(self.name)
        if current is None:
            raise refused(404, "BlobNotFound")
        return current

    def _at(self, version_id: str) -> Blob:
        held = [blob for blob in self._store.history.get(self.name, []) if blob.version_id == version_id]
        if not held:
            raise refused(404, "BlobNotFound")
        return held[0]

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class LeaseModel:
    """The SDK's lease client."""

    def __init__(self, store: BlobStore, process: Process, name: str, id_: str) -> None:
        self._store = store
        self._process = process
        self._name = name
        self.id = id_
        self._seconds = 0

    def hold(self, until: float, seconds: int) -> None:
        """Note until when the lease lasts."""
        self._seconds = seconds
        self._store.leases[self._name] = (self.id, until)

    async def renew(self) -> None:
        """Make the lease last from now. A lapsed one that nobody took can still be renewed."""

        def effect() -> None:
            self._require()
            self.hold(asyncio.get_running_loop().time() + self._seconds, self._seconds)

        await self._process.call(effect, renewal=True)

    async def release(self) -> None:
        """Give the lease back."""

        def effect() -> None:
            self._require()
            del self._store.leases[self._name]

        await self._process.call(effect)

    def _require(self) -> None:
        if self._store.leases.get(self._name, ("",))[0] != self.id:
            raise refused(409, "LeaseIdMismatchWithLeaseOperation")


class Download:
    """A blob's content with its properties."""

    def __init__(self, blob: Blob) -> None:
        self._data = blob.data
        self.properties = properties(blob, True)

    async def readall(self) -> bytes:
        """Return all of it."""
        return self._data


def quoted(blob: Blob) -> str:
    """Return the ETag as a header has it."""
    return f'"{blob.etag}"'


def properties(blob: Blob, current: bool) -> Any:
    """Return the SDK's properties of a blob."""
    return SimpleNamespace(
        name=blob.name,
        etag=quoted(blob),
        version_id=blob.version_id,
        is_current_version=current if blob.version_id else None,
        last_modified=blob.last_modified,
        size=len(blob.data),
        metadata=dict(blob.metadata),
    )
