"""The embedding store: chunk records and vectors in the lake's own account, so that they are replicated with it.

Below the pipeline id there are two kinds of blob. A *record* is named by its content and never changes; a *pointer*
says which record a document's version has, so that a rebuild need not download the document. Both are written whole
and are safe under concurrent writers: of several workers with one content the first one's record stays, and all use it.

A store whose container is gone is an empty one, and is made again where the app may: that costs embeddings, but stops
no recovery.
"""

import contextlib
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob.aio import ContainerClient

from shared.embeddings.record import DamagedRecord, Record, decode, encode
from shared.listing import ListedBlob, Listing, list_blobs

UNNEEDED_SINCE = "unneeded_since"  # metadata that the garbage collector puts on what nothing refers to

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which content a document's version has. `content_key` names the record, which has `chunks` chunks of `tokens`
    tokens together, and `outline_sha256` is the hash of title, order and pages; 0 and "" where an older app has not
    noted them. `taken_out`: the document was deleted after this version.
    """

    path: str
    etag: str
    version_id: str
    content_key: str
    content_sha256: str
    chunks: int
    tokens: int = 0
    taken_out: bool = False
    outline_sha256: str = ""


@dataclass(frozen=True, slots=True)
class StoredSummary:
    """What a listing of pointers says of one: enough to plan with, and to read the record without the pointer."""

    document_id: str
    etag: str
    content_key: str
    content_sha256: str
    chunks: int
    tokens: int = 0
    taken_out: bool = False
    outline_sha256: str = ""


class EmbeddingStore:
    """Records and pointers of one pipeline, whose vectors have `dimensions` numbers.

    A store that is `read_only` saves nothing and is as useful otherwise.
    """

    def __init__(
        self,
        container: ContainerClient,
        pipeline: str,
        dimensions: int,
        read_only: bool = False,
        listing: Listing = list_blobs,
    ) -> None:
        self._container = container
        self._listing = listing
        self._pipeline = pipeline
        self._dimensions = dimensions
        self._read_only = read_only

    async def pointer(self, document_id: str) -> Pointer | None:
        """Return the document's pointer, or None when there is none that can be read."""
        data = await self._read(self._pointer_name(document_id))
        if data is None:
            return None
        try:
            return Pointer(**json.loads(data))
        except (ValueError, TypeError):
            logger.warning("embedding_store damaged=pointer document=%s", document_id)
            return None

    async def point(self, document_id: str, pointer: Pointer) -> None:
        """Write the document's pointer. Its metadata repeats what a plan needs, so that a listing is enough."""
        if self._read_only:
            return
        data = json.dumps(asdict(pointer), ensure_ascii=False).encode()
        metadata = {
            "etag": pointer.etag,
            "content_key": quote(pointer.content_key),  # metadata is ASCII, a file's extension need not be
            "content_sha256": pointer.content_sha256,
            "chunks": str(pointer.chunks),
            "tokens": str(pointer.tokens),
            **({"outline_sha256": pointer.outline_sha256} if pointer.outline_sha256 else {}),
            **({"taken_out": "true"} if pointer.taken_out else {}),
        }
        await self._upload(self._pointer_name(document_id), data, overwrite=True, metadata=metadata)

    async def take_out(self, document_id: str) -> None:
        """Note that the document was deleted: its record still lends vectors, but is no version to fall back on."""
        pointer = None if self._read_only else await self.pointer(document_id)
        if pointer and not pointer.taken_out:
            await self.point(document_id, replace(pointer, taken_out=True))

    async def summaries(self) -> AsyncIterator[StoredSummary]:
        """Yield a summary of every pointer, in the order of document ids; none where the container is gone."""
        async for blob in self._pointers():
            found = blob.metadata
            try:
                yield StoredSummary(
                    document_id=PurePosixPath(blob.name).stem,
                    etag=found["etag"],
                    content_key=unquote(found["content_key"]),
                    content_sha256=found["content_sha256"],
                    chunks=int(found["chunks"]),
                    tokens=int(found.get("tokens", 0)),
                    taken_out="taken_out" in found,
                    outline_sha256=found.get("outline_sha256", ""),
                )
            except (KeyError, ValueError):
                logger.warning("embedding_store damaged=metadata blob=%s", blob.name)

    async def _pointers(self) -> AsyncIterator[ListedBlob]:
        try:
            async for blob in self._listing(self._container, f"{self._pipeline}/pointers/", ("metadata",)):
                yield blob
        except ResourceNotFoundError:
            logger.error("embedding_store missing=container name=%s", self._container.container_name)

    async def record(self, content_key: str) -> Record | None:
        """Return the record of this content, or None when there is none that can be read."""
        data = await self._read(self._record_name(content_key))
        return None if data is None else self._decoded(content_key, data)

    async def adopt(self, content_key: str) -> Record | None:
        """Return the record of this content for a document that is about to point to it.

        A record that the garbage collector has marked is unmarked first, which changes its ETag: a deletion under way
        then fails. None when there is no record that can be read, or it has just been deleted.
        """
        blob = self._container.get_blob_client(self._record_name(content_key))
        try:
            stream = await blob.download_blob()
            record = self._decoded(content_key, await stream.readall())
            if record and not self._read_only and UNNEEDED_SINCE in (stream.properties.metadata or {}):
                await blob.set_blob_metadata({})
        except ResourceNotFoundError:
            return None
        return record

    def _decoded(self, content_key: str, data: bytes) -> Record | None:
        try:
            record = decode(data, content_key)
            if record.vectors.shape[1] != self._dimensions:
                raise DamagedRecord(f"its vectors have length {record.vectors.shape[1]}, not {self._dimensions}")
            return record
        except DamagedRecord as damage:
            logger.warning("embedding_store damaged=record content=%s fault=%r", content_key, str(damage))
            return None

    async def save(self, content_key: str, record: Record) -> Record:
        """Write the record, unless there is a whole one; returns the one that the store holds now.

        The first of several writers wins: a model need not give the same vector twice, and what is indexed shall be
        what a rebuild will read. A damaged record is replaced, bound to its ETag: where another worker was faster, its
        record stays.
        """
        if self._read_only:
            return record
        name, data = self._record_name(content_key), encode(record, content_key)
        try:
            await self._upload(name, data, overwrite=False)  # If-None-Match: *
        except ResourceExistsError:
            held = await self.adopt(content_key)
            if held is not None:
                return held
            await self._repair(content_key, data)
        return record

    async def _repair(self, content_key: str, data: bytes) -> None:
        """Put a whole record where adopting found a damaged one, or none."""
        name = self._record_name(content_key)
        blob = self._container.get_blob_client(name)
        try:
            etag = (await blob.get_blob_properties()).etag
            await blob.upload_blob(
                data, overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified, metadata={}
            )
        except ResourceNotFoundError:
            await self._upload(name, data, overwrite=True)  # collected meanwhile
        except ResourceModifiedError:
            logger.info("embedding_store repaired_by=another content=%s", content_key)

    async def _upload(self, name: str, data: bytes, overwrite: bool, metadata: dict[str, str] | None = None) -> None:
        """Write a blob; where the container is gone, make it first. What cannot be kept is logged: it is a copy."""
        try:
            await self._container.upload_blob(name, data, overwrite=overwrite, metadata=metadata)
            return
        except ResourceNotFoundError:
            logger.error("embedding_store missing=container name=%s", self._container.container_name)
        try:
            with contextlib.suppress(ResourceExistsError):  # another worker made it
                await self._container.create_container()
            await self._container.upload_blob(name, data, overwrite=overwrite, metadata=metadata)
        except ResourceExistsError:
            raise
        except HttpResponseError as fault:
            logger.error("embedding_store not_kept=%s fault=%r", name, fault.message)

    async def _read(self, name: str) -> bytes | None:
        try:
            stream = await self._container.download_blob(name)
            return await stream.readall()
        except ResourceNotFoundError:
            return None

    def _pointer_name(self, document_id: str) -> str:
        return f"{self._pipeline}/pointers/{document_id}.json"

    def _record_name(self, content_key: str) -> str:
        # Two digits of fan-out spread the names over the account's partitions.
        return f"{self._pipeline}/records/{content_key[:2]}/{content_key}"
