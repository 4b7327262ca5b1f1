"""Evidence beside the app's own word: an index compared with what was written, and who asks a lake that is gone."""

import asyncio
import contextlib
import gc
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from local.drill.corpus import Depot, depots
from local.drill.evidence import compare_index, content_key, tokens_of, tombstone, unstored
from local.drill.ledger import ABSENT, Ledger, Write
from local.processes import free_port
from shared.access import RULES
from shared.clients import Services
from shared.settings import Settings
from tests.conftest import new_generation, running

MADE = depots(9, 3)


async def put(services: Services, ledger: Ledger, depot: Depot, edition: int) -> Write:
    """Write an edition to the lake, and note it."""
    container = services.lake_account.get_container_client(services.settings.lake_container)
    write = ledger.begin(Write(depot, edition, time.time()))
    said = await container.get_blob_client(depot.path).upload_blob(depot.text(edition).encode(), overwrite=True)
    ledger.acknowledge(write, time.time(), said["version_id"], said["etag"].strip('"'), said["last_modified"])
    return write


@contextlib.asynccontextmanager
async def indexed(settings: Settings) -> AsyncIterator[tuple[Services, Ledger, str]]:
    """Have three documents, written and indexed."""
    async with running(settings) as services:
        live, ledger = await new_generation(services), Ledger()
        for depot in MADE:
            await put(services, ledger, depot, 1)
            await services.indexer.converge(depot.path, live)
        yield services, ledger, live


def test_true_index_has_no_difference(settings: Settings) -> None:
    """Every chunk of every document is compared, field by field, with the texts that were written."""

    async def run() -> None:
        async with indexed(settings) as (services, ledger, _):
            found = await compare_index(services, ledger.current())
            assert (found.documents, found.chunks, found.differences) == (3, 9, ())

    asyncio.run(run())


def test_every_kind_of_difference_is_found(settings: Settings) -> None:
    """A stale document, a missing chunk, one too many and an altered text each show."""

    async def run() -> None:
        async with indexed(settings) as (services, ledger, live):
            index = services.indexer.chunks(live)
            chunks = [chunk async for chunk in index.all()]
            first = next(chunk for chunk in chunks if chunk.path == MADE[0].path and chunk.ordinal == 0)
            await index.merge([replace(first, content="something else")])
            gone = next(chunk for chunk in chunks if chunk.path == MADE[1].path)
            await index.delete([gone.id])
            await put(services, ledger, MADE[2], 2)  # and nobody indexes it
            found = "\n".join((await compare_index(services, ledger.current())).differences)
            assert f"{MADE[0].path}: content is 'something else'" in found
            assert f"{MADE[1].path}: a chunk is missing" in found
            assert f"{MADE[2].path}: a chunk too many" in found

    asyncio.run(run())


def test_unstored_names_what_was_never_embedded(settings: Settings) -> None:
    """What was indexed has its vectors stored under its content; what was only written has not."""

    async def run() -> None:
        async with indexed(settings) as (services, ledger, _):
            write = await put(services, ledger, MADE[0], 2)
            assert await unstored(services.primary.store, ledger.current().values()) == [write]
            assert content_key(write).endswith(".md")
            tokens = tokens_of(services, [write])
            assert tokens > 100
            assert tokens_of(services, [write, replace(write, edition=ABSENT), write]) == 2 * tokens

    asyncio.run(run())


def test_tombstone_notes_who_asks() -> None:
    """A request is cut off and noted; those of the replica that follows, and for the rules of access, are left out."""

    async def run() -> None:
        port = free_port()
        async with tombstone(port) as stone, aiohttp.ClientSession() as http:
            for path in (
                "/-/journal?after=0",
                f"/devstoreaccount1/documents/{RULES}",
                "/devstoreaccount1/documents?comp=list",
            ):
                with pytest.raises(aiohttp.ClientError):
                    await http.get(f"http://127.0.0.1:{port}{path}")
            assert set(stone.requests) == {"GET /devstoreaccount1/documents?comp=list"}

    asyncio.run(run())


@pytest.mark.parametrize("turns", range(4))
def test_tombstone_may_go_while_somebody_connects(turns: int) -> None:
    """A connection that comes in its last moment is closed with it, and nothing is left to warn about."""

    async def run() -> None:
        port = free_port()
        async with tombstone(port):
            caller = socket.create_connection(("127.0.0.1", port))
            caller.sendall(b"GET / HTTP/1.1\r\n")
            for _ in range(turns):
                await asyncio.sleep(0)
        with caller, contextlib.suppress(ConnectionError):
            assert caller.recv(1) == b""

    asyncio.run(run())
    gc.collect()
