"""The lake's container of documents: listing, heads, versions, and reading a document at a version."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, StorageErrorCode
from azure.storage.blob.aio import ContainerClient

from shared.lake.model import LakeDocument, LakeVersion, groups_in, is_document
from shared.listing import ListedBlob, Listing, list_blobs

# What the service says, with a status of 400, of a text that cannot be a version's id: there is no such version.
NO_VERSION_ID = (StorageErrorCode.INVALID_QUERY_PARAMETER_VALUE, StorageErrorCode.OUT_OF_RANGE_QUERY_PARAMETER_VALUE)

WITH_VERSIONS = ("metadata", "versions")  # only such a listing says which version is current

History = list[ListedBlob]  # the versions of one document, the current one among them while it exists


@dataclass(frozen=True, slots=True)
class OpenedBlob:
    """One version of a document: where it lies, its type, the groups that it names itself, its bytes as they come.

    `etag` carries no quotes.
    """

    path: str
    etag: str
    content_type: str
    allowed_groups: tuple[str, ...]
    content: AsyncIterator[bytes]


class DocumentMoved(Exception):
    """The version asked for is gone or no longer current; the caller looks at the lake again."""


class Lake:
    """Read access to the documents. Every method asks the service; nothing is cached."""

    def __init__(self, container: ContainerClient, listing: Listing = list_blobs) -> None:
        self._container = container
        self._listing = listing

    @property
    def container_name(self) -> str:
        """Name of the container, part of every document's id."""
        return self._container.container_name

    async def head(self, path: str) -> LakeDocument | None:
        """Return the document's current state, or None when it is absent."""
        try:
            return _document(await self._container.get_blob_client(path).get_blob_properties())
        except ResourceNotFoundError:
            # A missing container is not an absent document: deciding that from it would empty the index.
            if await self._container.exists():
                return None
            raise

    async def list(self) -> AsyncIterator[LakeDocument]:
        """Yield every document in the order of paths, as the service pages them."""
        async for history in self._histories():
            if (current := _current(history)) is not None:
                yield _document(current)

    async def list_at(self, moment: datetime) -> AsyncIterator[tuple[LakeDocument | None, LakeDocument | None]]:
        """Yield for every document its newest version that was written by `moment`, and its current one if that is
        newer; each None where there is none.

        A document that is gone stays gone, whenever it was deleted: what was taken out of the lake must not answer.
        """
        async for history in self._histories():
            current = _current(history)
            if current is None:
                continue
            then = [blob for blob in history if _written(blob) <= _stamp(moment)]
            newest = max(then, key=_written, default=None)
            yield (
                None if newest is None else _document(newest),
                None if newest is current else _document(current),
            )

    async def _histories(self) -> AsyncIterator[History]:
        """Yield the versions of every document."""
        history: History = []
        async for blob in self._listing(self._container, "", WITH_VERSIONS):
            if history and blob.name != history[0].name:
                yield history
                history = []
            if is_document(blob.name):
                history.append(blob)
        if history:
            yield history

    async def versions(self, path: str) -> tuple[LakeVersion, ...]:
        """Return the document's versions, newest first; empty when there never was such a document."""
        found: list[LakeVersion] = []
        async for blob in self._listing(self._container, path, WITH_VERSIONS):
            if blob.name != path:
                break  # a name comes before all others that begin with it
            found.append(
                LakeVersion(
                    path,
                    blob.version_id or "",
                    bool(blob.is_current_version),
                    blob.last_modified,
                    blob.size,
                    groups_in(blob.metadata),
                )
            )
        return tuple(sorted(found, key=lambda version: version.version_id, reverse=True))

    async def at(self, path: str, version_id: str) -> LakeDocument | None:
        """Return the document as it was in one version, or None when the lake does not have that any more."""
        if not version_id:
            return None
        try:
            return _document(await self._container.get_blob_client(path).get_blob_properties(version_id=version_id))
        except ResourceNotFoundError:
            return None

    async def read(self, document: LakeDocument) -> bytes:
        """Return the bytes of exactly this version. Raises DocumentMoved when they are no longer to be had.

        Without a version id the etag is the condition, so that content and etag always belong together.
        """
        blob = self._container.get_blob_client(document.path)
        try:
            if document.version_id:
                stream = await blob.download_blob(version_id=document.version_id)
            else:
                stream = await blob.download_blob(
                    etag=f'"{document.etag}"', match_condition=MatchConditions.IfNotModified
                )
            return await stream.readall()
        except (ResourceNotFoundError, ResourceModifiedError) as error:
            raise DocumentMoved(document.path) from error

    async def read_if_present(self, path: str) -> bytes | None:
        """Return the current bytes of a blob that is no document, or None when there is none."""
        try:
            stream = await self._container.get_blob_client(path).download_blob()
            return await stream.readall()
        except ResourceNotFoundError as error:
            if getattr(error, "error_code", None) == StorageErrorCode.CONTAINER_NOT_FOUND:
                raise  # nothing can be said of a blob in a container that is not there
            return None

    async def open_version(self, path: str, version_id: str) -> OpenedBlob | None:
        """Return one version, ready to be read, or None when there is no such version."""
        blob = self._container.get_blob_client(path)
        try:
            stream = await blob.download_blob(version_id=version_id)
        except ResourceNotFoundError:
            return None
        except HttpResponseError as error:
            if getattr(error, "error_code", None) in NO_VERSION_ID:
                return None
            raise
        properties = stream.properties
        content_type = properties.content_settings.content_type or "application/octet-stream"
        groups = groups_in(properties.metadata or {})
        return OpenedBlob(path, properties.etag.strip('"'), content_type, groups, stream.chunks())


def _document(blob: BlobProperties | ListedBlob) -> LakeDocument:
    if blob.last_modified is None:
        raise ValueError(f"the lake gave no last_modified for {blob.name!r}")
    return LakeDocument(
        path=blob.name,
        etag=(blob.etag or "").strip('"'),
        version_id=blob.version_id or "",
        last_modified=blob.last_modified,
        size=blob.size or 0,
        metadata=dict(blob.metadata or {}),
    )


def _current(history: History) -> ListedBlob | None:
    """Return the current version; without versioning there is only that."""
    return next((blob for blob in history if blob.is_current_version or not blob.version_id), None)


def _written(blob: ListedBlob) -> str:
    """Return when a version was written: its id is that time in UTC, to 100 ns; without versioning, to a second."""
    return blob.version_id or _stamp(blob.last_modified)


def _stamp(moment: datetime) -> str:
    """Return a moment in the form of version ids."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
