"""The lake's container of documents: listing, heads, versions, and reading a document at a version."""

from collections.abc import AsyncIterator
from datetime import datetime

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import ContainerClient

from shared.lake.model import LakeDocument, LakeVersion, is_document


class DocumentMoved(Exception):
    """The version asked for is gone or no longer current; the caller looks at the lake again."""


class Lake:
    """Read access to the documents. Every method asks the service; nothing is cached."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

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
        async for blob in self._container.list_blobs(include=["metadata"]):
            if is_document(blob.name):
                yield _document(blob)

    async def versions(self, path: str) -> tuple[LakeVersion, ...]:
        """Return the document's versions, newest first; empty when there never was such a document."""
        found: list[LakeVersion] = []
        async for blob in self._container.list_blobs(name_starts_with=path, include=["versions"]):
            if blob.name == path:
                found.append(
                    LakeVersion(path, blob.version_id or "", bool(blob.is_current_version), _utc(blob), blob.size or 0)
                )
        return tuple(sorted(found, key=lambda version: version.version_id, reverse=True))

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

    async def open_version(self, path: str, version_id: str) -> tuple[str, AsyncIterator[bytes]] | None:
        """Return content type and a stream of bytes of one version, or None when there is no such version."""
        blob = self._container.get_blob_client(path)
        try:
            stream = await blob.download_blob(version_id=version_id)
        except ResourceNotFoundError:
            return None
        return stream.properties.content_settings.content_type or "application/octet-stream", stream.chunks()


def _document(blob: BlobProperties) -> LakeDocument:
    return LakeDocument(
        path=blob.name,
        etag=(blob.etag or "").strip('"'),
        version_id=blob.version_id or "",
        last_modified=_utc(blob),
        size=blob.size or 0,
        metadata=dict(blob.metadata or {}),
    )


def _utc(blob: BlobProperties) -> datetime:
    if blob.last_modified is None:
        raise ValueError(f"the lake gave no last_modified for {blob.name!r}")
    return blob.last_modified
