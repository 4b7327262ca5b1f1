"""The embedding store in a real container: one record a content, whatever happens around it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from local.azurite import Azurite
from shared.embeddings.record import Record, StoredChunk, encode
from shared.embeddings.store import EmbeddingStore, Pointer

KEY = "ab12.md"
NAME = f"pipe/records/ab/{KEY}"
RECORD = Record("Title", (StoredChunk("text", "Title > A", None, 0, 4),), np.ones((1, 3), dtype=np.float32))
POINTER = Pointer("a.md", "0x1", "v1", KEY, "ab12", 1)


@asynccontextmanager
async def container(azurite: Azurite, name: str) -> AsyncIterator[ContainerClient]:
    """An empty container of this name, removed afterwards."""
    async with BlobServiceClient.from_connection_string(azurite.connection_string) as account:
        made = await account.create_container(name)
        try:
            yield made
        finally:
            await made.delete_container()


def store(of: ContainerClient, read_only: bool = False) -> EmbeddingStore:
    """A store of vectors of length 3."""
    return EmbeddingStore(of, "pipe", 3, read_only)


def test_concurrent_writers_leave_one_record(azurite: Azurite) -> None:
    """Of many writers of one content the first writes, and the others leave its blob as it is."""

    async def run() -> None:
        async with container(azurite, "writers") as own:
            await store(own).save(KEY, RECORD)
            etag = (await own.get_blob_client(NAME).get_blob_properties()).etag
            await asyncio.gather(*(store(own).save(KEY, RECORD) for _ in range(8)))
            assert (await own.get_blob_client(NAME).get_blob_properties()).etag == etag
            kept = await store(own).record(KEY)
            assert kept is not None and kept.chunks == RECORD.chunks

    asyncio.run(run())


@pytest.mark.parametrize("damage", ["cut", "altered", "other dimensions", "other content"])
def test_a_damaged_record_is_ignored_and_replaced(azurite: Azurite, damage: str) -> None:
    """A record that is cut short, altered or of other vectors is no record, and saving writes it whole."""
    whole = encode(RECORD, KEY)
    bytes_ = {
        "cut": whole[:-5],
        "altered": whole[:20] + b"?" + whole[21:],
        "other dimensions": encode(replace(RECORD, vectors=np.ones((1, 4), dtype=np.float32)), KEY),
        "other content": encode(RECORD, "cd34.md"),
    }[damage]

    async def run() -> None:
        async with container(azurite, f"damaged-{damage.replace(' ', '-')}") as own:
            await own.upload_blob(NAME, bytes_)
            assert await store(own).record(KEY) is None
            assert await store(own).adopt(KEY) is None
            await asyncio.gather(*(store(own).save(KEY, RECORD) for _ in range(4)))
            assert await (await own.download_blob(NAME)).readall() == whole

    asyncio.run(run())


def test_of_two_vectors_for_one_content_all_use_the_first(azurite: Azurite) -> None:
    """A model need not give the same vector twice: whoever saves later is given what the store holds."""

    async def run() -> None:
        async with container(azurite, "first") as own:
            others = [replace(RECORD, vectors=np.full((1, 3), n, dtype=np.float32)) for n in range(6)]
            given = await asyncio.gather(*(store(own).save(KEY, one) for one in others))
            held = await store(own).record(KEY)
            assert held is not None
            assert [one.vectors.tolist() for one in given] == [held.vectors.tolist()] * 6

    asyncio.run(run())


def test_a_lost_container_is_an_empty_store(azurite: Azurite) -> None:
    """Without its container nothing is found and nothing fails; the first writers make it again."""

    async def run() -> None:
        async with BlobServiceClient.from_connection_string(azurite.connection_string) as account:
            own = account.get_container_client("lost")
            assert await store(own).record(KEY) is None
            assert await store(own).adopt(KEY) is None
            assert await store(own).pointer("d1") is None
            assert [one async for one in store(own).summaries()] == []
            await asyncio.gather(store(own).save(KEY, RECORD), store(own).point("d1", POINTER))
            assert await store(own).pointer("d1") == POINTER
            assert await store(own).record(KEY) is not None
            await own.delete_container()

    asyncio.run(run())


def test_a_read_only_store_reads_and_writes_nothing(azurite: Azurite) -> None:
    """Before failover saving and pointing do nothing, and what is there can be read."""

    async def run() -> None:
        async with container(azurite, "readonly") as own:
            await store(own, read_only=True).save(KEY, RECORD)
            await store(own, read_only=True).point("d1", POINTER)
            assert [blob.name async for blob in own.list_blobs()] == []
            await store(own).save(KEY, RECORD)
            assert await store(own, read_only=True).adopt(KEY) is not None

    asyncio.run(run())


def test_a_damaged_pointer_is_no_pointer(azurite: Azurite) -> None:
    """A pointer that cannot be read is as good as none, and the next one written is read."""

    async def run() -> None:
        async with container(azurite, "pointer") as own:
            await own.upload_blob("pipe/pointers/d1.json", b'{"path": 1}')
            assert await store(own).pointer("d1") is None
            assert [found async for found in store(own).summaries()] == []
            await store(own).point("d1", POINTER)
            assert await store(own).pointer("d1") == POINTER
            assert [found.content_key async for found in store(own).summaries()] == [KEY]

    asyncio.run(run())
