"""The garbage collector: what is needed stays, whatever workers do meanwhile."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from azure.storage.blob.aio import ContainerClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.azurite import Azurite
from shared.embeddings.collector import LEAST_GRACE, Collected, collect, decide
from shared.embeddings.record import Record, StoredChunk
from shared.embeddings.store import EmbeddingStore, Pointer
from shared.errors import Refused
from tests.shared.embeddings.test_store import container, store

START = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(days=7)
RECORD = Record(None, (StoredChunk("text", "", None, 0, 4),), np.ones((1, 3), dtype=np.float32))


async def write(to: EmbeddingStore, document: str, content: str) -> None:
    """Do with the store what converging a document does: adopt or save its record, then point to it."""
    if await to.adopt(content) is None:
        await to.save(content, RECORD)
    await to.point(document, Pointer(document, f"etag-{content}", "v", content, content, 1))


async def run_at(own: ContainerClient, days: float, living: set[str], **options: Any) -> Collected:
    """Collect as of some days after the start."""
    return await collect(own, "pipe", living, START + timedelta(days=days), GRACE, **options)


async def contents(own: ContainerClient) -> set[str]:
    """Return the keys of the records there are."""
    return {blob.name.rsplit("/", 1)[1] async for blob in own.list_blobs("pipe/records/")}


def test_the_decision() -> None:
    """Nothing is removed that is needed, unmarked, or marked for less than the grace period."""
    early, late = START, START + GRACE
    assert decide(True, None, late, GRACE) == "keep"
    assert decide(True, early, late, GRACE) == "unmark"
    assert decide(False, None, late, GRACE) == "mark"
    assert decide(False, early, late - timedelta(seconds=1), GRACE) == "keep"
    assert decide(False, early, late, GRACE) == "remove"


def test_superseded_content_goes_after_the_grace_period(azurite: Azurite) -> None:
    """The record of an earlier version is marked, kept for the grace period, then removed; the current one stays."""

    async def run() -> None:
        async with container(azurite, "superseded") as own:
            await write(store(own), "d", "c1")
            await write(store(own), "d", "c2")
            first, second, third = [await run_at(own, days, {"d"}) for days in (0, 6.9, 7)]
            assert (first.marked, first.removed_records, first.records, first.pointers) == (1, 0, 2, 1)
            assert (second.marked, second.removed_records) == (0, 0)
            assert (third.removed_records, third.removed_bytes > 0) == (1, True)
            assert await contents(own) == {"c2"}

    asyncio.run(run())


def test_a_dry_run_counts_and_changes_nothing(azurite: Azurite) -> None:
    """A dry run says what a real one then does."""

    async def run() -> None:
        async with container(azurite, "dry") as own:
            await write(store(own), "d", "c1")
            await write(store(own), "d", "c2")
            assert (await run_at(own, 0, {"d"}, dry_run=True)).marked == 1
            assert (await run_at(own, 8, {"d"}, dry_run=True)).marked == 1  # nothing had been marked
            await run_at(own, 8, {"d"})
            dry, real = await run_at(own, 16, {"d"}, dry_run=True), await run_at(own, 16, {"d"})
            assert dry.removed_records == real.removed_records == 1
            assert dry.removed_bytes == real.removed_bytes
            assert await contents(own) == {"c2"}

    asyncio.run(run())


def test_a_deleted_document_can_return_within_the_grace_period(azurite: Azurite) -> None:
    """Its pointer and record are only marked at first; a document that is back loses the marks."""

    async def run() -> None:
        async with container(azurite, "returns") as own:
            for document in ("gone", "stays"):
                await write(store(own), document, f"c-{document}")
            assert (await run_at(own, 0, {"stays"})).marked == 1
            assert (await run_at(own, 5, {"stays", "gone"})).unmarked == 1
            assert (await run_at(own, 8, {"stays"})).marked == 1  # the time starts anew
            removed = await run_at(own, 15, {"stays"})
            assert (removed.removed_pointers, removed.removed_records, removed.marked) == (1, 0, 1)
            assert (await run_at(own, 22, {"stays"})).removed_records == 1
            assert await contents(own) == {"c-stays"}

    asyncio.run(run())


class Meddling(ContainerClient):
    """A container in which something happens just before the first blob is changed."""

    async def meddle(self) -> None:
        """Overridden by each test."""

    def get_blob_client(self, blob: Any, *arguments: Any, **options: Any) -> Any:
        client: Any = super().get_blob_client(blob, *arguments, **options)
        delete = client.delete_blob

        async def delete_blob(*a: Any, **k: Any) -> Any:
            await self.meddle()
            return await delete(*a, **k)

        client.delete_blob = delete_blob
        return client


@pytest.mark.parametrize("with_adoption", [True, False])
def test_a_writer_that_adopts_during_a_run_keeps_its_record(azurite: Azurite, with_adoption: bool) -> None:
    """A worker that adopts an old record after the listing wins; without adopting, the record would be lost."""

    async def run() -> None:
        async with container(azurite, f"races-{int(with_adoption)}") as own:
            await write(store(own), "d", "c1")
            await write(store(own), "d", "c2")
            await run_at(own, 0, {"d"})
            meddling = Meddling.from_connection_string(azurite.connection_string, own.container_name)

            async def adopt() -> None:
                if with_adoption:
                    assert await store(own).adopt("c1") is not None

            meddling.meddle = adopt  # type: ignore[method-assign]
            async with meddling:
                result = await run_at(meddling, 8, {"d"})
            assert (result.raced, result.removed_records) == ((1, 0) if with_adoption else (0, 1))
            assert ("c1" in await contents(own)) is with_adoption

    asyncio.run(run())


def test_faults_of_a_listing_remove_nothing(azurite: Azurite) -> None:
    """A lake that seems empty is refused, and a pointer that cannot be read keeps every record."""

    async def run() -> None:
        async with container(azurite, "faults") as own:
            await write(store(own), "d", "c1")
            with pytest.raises(Refused, match="1 pointers"):
                await run_at(own, 0, set())
            await own.upload_blob("pipe/pointers/e.json", b"{}")
            await store(own).save("c2", RECORD)
            assert (await run_at(own, 0, {"d", "e"})).marked == 0
            with pytest.raises(ValueError, match="too short"):
                await collect(own, "pipe", {"d"}, START, LEAST_GRACE / 2)

    asyncio.run(run())


STEP = st.one_of(
    st.tuples(st.just("write"), st.sampled_from("de"), st.sampled_from(["c1", "c2", "c3"])),
    st.tuples(st.just("delete"), st.sampled_from("de"), st.just("")),
    st.tuples(st.just("collect"), st.integers(1, 9), st.just("")),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=14))
def test_no_run_removes_what_a_living_document_needs(azurite: Azurite, steps: list[tuple[str, Any, str]]) -> None:
    """After any writes, deletions and collections, each living document has its pointer and record, and what nothing
    needs is gone when two grace periods have passed.
    """

    async def run() -> None:
        async with container(azurite, f"any-{uuid.uuid4().hex}") as own:
            lake: dict[str, str] = {}
            days = 0.0
            for kind, what, content in steps:
                if kind == "write":
                    lake[what] = content
                    await write(store(own), what, content)
                elif kind == "delete":
                    lake.pop(what, None)
                else:
                    days += what
                    await run_at(own, days, set(lake), force=True)
                for document, expected in lake.items():
                    pointer = await store(own).pointer(document)
                    assert pointer and pointer.content_key == expected
                    assert await store(own).record(expected) is not None
            for extra in (0, 8, 16, 24):
                await run_at(own, days + extra, set(lake), force=True)
            assert await contents(own) == set(lake.values())

    asyncio.run(run())
