"""Bulk writing against the real search service, which is made to refuse, to refuse in part, and to break off."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.search.documents.aio import SearchClient
from azure.search.documents.indexes.aio import SearchIndexClient

from shared.index.schema import VECTOR, index_definition
from shared.index.writer import MAX_ACTIONS, MAX_BYTES, BulkWriter, ChunkMissing
from tests.conftest import Service

KEY = AzureKeyCredential("local")
WRITE = r"search\.index"
DIMENSIONS = 3


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A search service that can be made to fail."""
    folder = tmp_path_factory.mktemp("writer")
    service = Service("local.search_service", "--data", str(folder / "data"), "--faults", log=folder / "log")
    yield service.url
    assert service.stop() == 0


def rule(url: str, **given: Any) -> None:
    with urlopen(Request(f"{url}/-/faults", json.dumps(given).encode(), method="POST")):
        pass


def fired(url: str) -> list[int]:
    with urlopen(f"{url}/-/faults") as reply:
        return [one["fired"] for one in json.loads(reply.read())["rules"]]


def requests(url: str) -> int:
    """Writes that the service saw: a rule that only watches counts them."""
    return fired(url)[-1]


def run(url: str, work: Callable[[BulkWriter, SearchClient], Awaitable[None]], concurrency: int = 4) -> None:
    """Run work with a writer to a new index; the rules are taken away afterwards."""

    async def scenario() -> None:
        name = f"w-{uuid.uuid4().hex[:12]}"
        async with SearchIndexClient(url, KEY) as admin, SearchClient(url, name, KEY) as client:
            await admin.create_index(index_definition(name, DIMENSIONS))
            await work(BulkWriter(client, concurrency), client)

    try:
        asyncio.run(scenario())
    finally:
        with urlopen(Request(f"{url}/-/faults", method="DELETE")):
            pass


def upload(key: str, content: str = "text") -> dict[str, Any]:
    vector = np.array([0.1, 0.2, 0.3], dtype=np.float32)
    return {"@search.action": "upload", "id": key, "document_id": key[:1], "content": content, VECTOR: vector}


def test_actions_of_many_callers_share_batches(faulty: str) -> None:
    """Fifty documents written side by side travel in few requests, and each caller's are all there."""
    rule(faulty, path=WRITE, delay_ms=1)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        waits = await asyncio.gather(*(writer.send([upload(f"{n}-{i}") for i in range(10)]) for n in range(50)))
        assert await client.get_document_count() == 500
        assert sum(waits) == 0
        assert requests(faulty) <= 5

    run(faulty, work)


def test_batches_keep_to_the_services_limits(faulty: str) -> None:
    """2,500 small actions need three requests, and large ones are split by their bytes."""
    rule(faulty, path=WRITE, delay_ms=1)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        await writer.send([upload(str(n)) for n in range(2 * MAX_ACTIONS + 500)])
        assert (await client.get_document_count(), requests(faulty)) == (2_500, 3)
        large = "x " * (MAX_BYTES // 5)
        await writer.send([upload(f"large-{n}", large) for n in range(5)])
        assert (await client.get_document_count(), requests(faulty)) == (2_505, 6)

    run(faulty, work)


@pytest.mark.parametrize("status", [429, 503])
def test_refusals_are_waited_out_as_asked(faulty: str, status: int) -> None:
    """A refused batch is sent again after the time that the service asks for, and the wait is told."""
    rule(faulty, path=WRITE, times=2, status=status, headers={"retry-after-ms": "30"})

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        assert await writer.send([upload("1")]) == pytest.approx(0.06)
        assert fired(faulty) == [2]
        assert await client.get_document_count() == 1

    run(faulty, work)


def test_only_what_was_refused_is_sent_again(faulty: str) -> None:
    """Of a 207 the successful actions are done; the others are repeated until they succeed."""
    rule(faulty, path=WRITE, times=3, extra={"fail_every": 2, "fail_status": 503})

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        assert await writer.send([upload(str(n)) for n in range(8)]) > 0
        assert await client.get_document_count() == 8
        assert fired(faulty) == [3]  # 8, then 4, then 2 actions; the fourth request has the last one

    run(faulty, work)


@pytest.mark.parametrize("drop", ["before", "after"])
def test_broken_connections_are_tried_again(faulty: str, drop: str) -> None:
    """A request or a reply that is lost is sent again; writing the same chunk twice leaves one."""
    rule(faulty, path=WRITE, times=1, drop=drop)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        await writer.send([upload("1")])
        assert (await client.get_document_count(), fired(faulty)) == (1, [1])

    run(faulty, work)


def test_refusals_make_it_send_fewer_batches_at_once(faulty: str) -> None:
    """After a refusal the writer keeps half as many batches under way, and more again when all is calm."""
    rule(faulty, path=WRITE, times=1, status=503, headers={"retry-after-ms": "1"})

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        await writer.send([upload("1")])
        assert writer.at_once == 4
        for n in range(40):
            await writer.send([upload(str(n))])
        assert writer.at_once == 8

    run(faulty, work, concurrency=8)


def test_merge_of_a_missing_chunk_is_its_callers_fault_only(faulty: str) -> None:
    """One caller hears that its chunk is gone; the others in the same batch are not disturbed."""

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        merge = {"@search.action": "merge", "id": "gone", "content": "x"}
        done = await asyncio.gather(writer.send([merge]), writer.send([upload("1")]), return_exceptions=True)
        assert isinstance(done[0], ChunkMissing)
        assert not isinstance(done[1], BaseException)
        assert await client.get_document_count() == 1

    run(faulty, work)


def test_what_another_try_would_not_change_is_raised(faulty: str) -> None:
    """A batch that the service calls wrong is not repeated."""
    rule(faulty, path=WRITE, delay_ms=1)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        with pytest.raises(HttpResponseError, match="nowhere"):
            await writer.send([{"@search.action": "upload", "id": "1", "nowhere": 1}])
        assert requests(faulty) == 1

    run(faulty, work)


def test_vectors_arrive_bit_by_bit(faulty: str) -> None:
    """A vector is read back as the very float32 numbers that were written."""
    vector = np.random.default_rng(3).standard_normal(DIMENSIONS).astype(np.float32)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        await writer.send([{**upload("1"), VECTOR: vector}])
        found = await client.get_document("1", selected_fields=[VECTOR])
        assert np.array(found[VECTOR], dtype=np.float32).tobytes() == vector.tobytes()

    run(faulty, work)


def test_nothing_to_write_is_no_request(faulty: str) -> None:
    """An empty list returns at once."""
    rule(faulty, path=WRITE, delay_ms=1)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        assert await writer.send([]) == 0.0
        assert fired(faulty) == [0]

    run(faulty, work)
