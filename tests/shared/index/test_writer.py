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

from shared.index.client import BulkClient
from shared.index.schema import VECTOR, index_definition
from shared.index.writer import MAX_ACTIONS, MAX_BYTES, READ_AHEAD_BYTES, BulkWriter, ChunkMissing, WriteRefused
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
            await work(BulkWriter(BulkClient(client, name), concurrency), client)

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


@pytest.mark.filterwarnings("ignore:Sending a large body")
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


@pytest.mark.filterwarnings("ignore:Sending a large body")
def test_who_reads_ahead_waits_for_room(faulty: str) -> None:
    """While more than two batches are queued there is no room; it is back when enough of them are under way."""
    rule(faulty, path=WRITE, delay_ms=50)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        text = "x " * (READ_AHEAD_BYTES // 20)
        sent = asyncio.create_task(writer.send([upload(str(n), text) for n in range(15)]))
        await asyncio.sleep(0)  # it has queued all, and sent nothing yet
        room = asyncio.create_task(writer.room())
        await asyncio.sleep(0)
        assert not room.done()
        await room
        assert not sent.done()
        await sent
        assert await client.get_document_count() == 15

    run(faulty, work, concurrency=1)


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


def test_one_wrong_document_is_its_own_fault_only(faulty: str) -> None:
    """Of eight documents in one batch the service calls one wrong, and so the whole batch: halves find it, and the
    other seven are written.
    """
    rule(faulty, path=WRITE, delay_ms=1)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        documents = [[upload(f"{n}-{i}") for i in range(3)] for n in range(8)]
        documents[5][1]["nowhere"] = 1
        done = await asyncio.gather(*map(writer.send, documents), return_exceptions=True)
        assert [isinstance(one, WriteRefused) for one in done] == [n == 5 for n in range(8)]
        assert "nowhere" in str(done[5])
        assert await client.get_document_count() == 7 * 3
        assert requests(faulty) == 1 + 2 * 3  # all eight; then the halves, quarters and eighths on the way to it

    run(faulty, work)


def test_a_batch_that_is_too_large_is_halved(faulty: str) -> None:
    """What the service calls too large goes in two parts, also when it is of one caller."""
    rule(faulty, path=WRITE, times=2, status=413)
    rule(faulty, path=WRITE, delay_ms=1)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        assert await writer.send([upload(str(n)) for n in range(8)]) == 0.0
        assert await client.get_document_count() == 8
        # All eight and the first four were too large; then two, two and four went through.
        assert fired(faulty) == [2, 3]

    run(faulty, work)


def test_an_action_that_is_too_large_alone_is_refused(faulty: str) -> None:
    """What cannot be halved any more fails its caller, whose other actions are not sent; others are not disturbed."""
    rule(faulty, path=WRITE, times=3, status=413)
    rule(faulty, path=WRITE, delay_ms=1)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        large, other = [upload(f"large-{n}") for n in range(2)], [upload("other-1"), upload("other-2")]
        done = await asyncio.gather(writer.send(large), writer.send(other), return_exceptions=True)
        assert isinstance(done[0], WriteRefused)
        assert not isinstance(done[1], BaseException)
        assert await client.get_document_count() == 2
        assert fired(faulty) == [3, 1]  # four actions, two, the first one alone; then the other caller's two

    run(faulty, work)


def test_a_refusal_is_told_when_nothing_more_is_under_way(faulty: str) -> None:
    """What was refused in one batch is told after the caller's other batch has been acknowledged: it may clean up then,
    and nothing is written behind its back.
    """
    rule(faulty, path=WRITE, skip=1, times=1, delay_ms=400)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        actions = [upload(str(n)) for n in range(2 * MAX_ACTIONS)]
        actions[0]["nowhere"] = 1
        with pytest.raises(WriteRefused):
            await writer.send(actions)
        assert fired(faulty) == [1]
        assert await client.get_document_count() == MAX_ACTIONS

    run(faulty, work)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "0.04"}, 0.04), ({"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}, 0.0)],
)
def test_every_form_of_retry_after_is_understood(faulty: str, headers: dict[str, str], seconds: float) -> None:
    """Decimals and dates are waited for as they say, not as the writer would by itself."""
    rule(faulty, path=WRITE, times=1, status=503, headers=headers)

    async def work(writer: BulkWriter, client: SearchClient) -> None:
        assert await writer.send([upload("1")]) == pytest.approx(seconds)
        assert await client.get_document_count() == 1

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
