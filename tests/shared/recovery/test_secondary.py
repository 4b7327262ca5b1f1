"""Recovery reads the lake's replica: the consistent cut at Last Sync Time, and nothing is written to the lake."""

import asyncio
import json
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.azurite import ACCOUNT, Azurite
from shared.clients import Services
from shared.lake.model import LakeDocument
from shared.recovery import steps
from shared.recovery.compare import faults
from shared.recovery.plan import RebuildRequest
from shared.settings import Settings, StorageAccount
from tests.conftest import Service, lake_connection, new_generation, put, remove, running
from tests.shared.recovery.test_steps import content, verify

SECONDARY = RebuildRequest("test", "secondary", dry_run=False, force=False, resume=False)
WAIT_SECONDS = 20.0


@dataclass
class Replicated:
    """A lake with a replica, and the settings of an app that knows both."""

    settings: Settings
    lake: Service
    replica: Service

    def lag(self, seconds: float) -> None:
        """Change how far the replica is behind."""
        body = json.dumps({"seconds": seconds}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.replica.url}/-/lag", body, method="POST")):
            pass

    def catch_up(self) -> None:
        """Wait until everything that has been written by now is in the cut. Last Sync Time is told in whole seconds."""
        now, deadline = time.time() + 1, time.monotonic() + WAIT_SECONDS
        while True:
            with urllib.request.urlopen(f"{self.replica.url}/-/health") as reply:
                if json.load(reply)["last_sync_time"] > now:
                    return
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def replicated(settings: Settings, azurite: Azurite, tmp_path: Path) -> Iterator[Replicated]:
    """A replicated lake of this test's own."""
    arguments = ["--azurite-blob-port", str(azurite.blob_port), "--data", str(tmp_path / "lake"), "--replicated"]
    lake = Service("local.lake", *arguments, log=tmp_path / "lake.log")
    follow = ["--replica-of", lake.url, "--data", str(tmp_path / "replica")]
    replica = Service("local.lake", *follow, log=tmp_path / "replica.log")
    secondary = replica.url.removeprefix("http://")
    connection = f"{lake_connection(lake.url)}BlobSecondaryEndpoint={secondary}/{ACCOUNT}-secondary;"
    own = replace(
        settings, lake_storage=StorageAccount(connection), lake_container=f"documents-{uuid.uuid4().hex[:12]}"
    )
    yield Replicated(own, lake, replica)
    assert replica.stop() == 0
    if lake.process.poll() is None:
        assert lake.stop() == 0


async def filled(made: Services) -> str:
    """Three documents, indexed by their events in a generation that answers."""
    generation = await new_generation(made)
    for name in ("kept", "edited", "deleted"):
        await put(made, f"{name}.md", f"# {name}\n\nThis is what {name} says.")
        await made.indexer.converge(f"{name}.md", generation)
    return generation


def test_index_from_the_secondary_is_the_primarys_without_paying_again(replicated: Replicated) -> None:
    """With the primary killed, the index rebuilt from the replica is the one that events had made, field by field."""

    async def scenario() -> None:
        async with running(replicated.settings) as made:
            generation = await filled(made)
            before = await content(made, generation)
            replicated.catch_up()
            replicated.lake.kill()
            plan = await steps.plan_rebuild(made, SECONDARY, "20260101000000")
            assert (plan.documents, plan.newer_count, plan.estimate.tokens_to_embed) == (3, 0, 0)
            assert plan.last_sync_time is not None
            assert datetime.fromisoformat(plan.last_sync_time) <= datetime.now(UTC)
            await steps.create_generation(made, plan)
            done = [await steps.index_page(made, plan, number) for number in range(plan.pages)]
            assert (sum(one.added for one in done), sum(one.embedded for one in done)) == (len(before), 0)
            assert faults(await verify(made, plan)) == 0
            assert await content(made, plan.generation) == before
            await steps.swap_alias(made, plan)
            assert (await steps.follow_live(made, plan)).results == {}

    asyncio.run(scenario())


def test_what_is_newer_than_the_cut_is_not_in_the_index(replicated: Replicated) -> None:
    """Changes that the replica does not have yet are the loss: the index is the lake's as it was then."""

    async def scenario() -> None:
        async with running(replicated.settings) as made:
            generation = await filled(made)
            before = await content(made, generation)
            replicated.catch_up()
            replicated.lag(3_600)
            await put(made, "edited.md", "# edited\n\nNewer than the cut.")
            await remove(made, "deleted.md")
            await put(made, "new.md", "# new\n\nNewer than the cut.")
            plan = await steps.plan_rebuild(made, SECONDARY, "20260101000000")
            await steps.create_generation(made, plan)
            for number in range(plan.pages):
                await steps.index_page(made, plan, number)
            assert await content(made, plan.generation) == before

    asyncio.run(scenario())


def test_versions_newer_than_last_sync_time_are_left_out_and_named(settings: Settings) -> None:
    """A replica may already hold newer versions: the cut takes the ones before, and says which were newer."""

    async def scenario() -> None:
        async with running(settings) as made:
            await put(made, "edited.md", "before")
            await put(made, "same.md", "same")
            cut = datetime.now(UTC)
            await put(made, "edited.md", "after")
            await put(made, "new.md", "new")
            listed = [pair async for pair in made.lake.list_at(cut)]

            def name(document: LakeDocument | None) -> str:
                return document.path if document else ""

            assert [(name(then), name(newer)) for then, newer in listed] == [
                ("edited.md", "edited.md"),
                ("", "new.md"),
                ("same.md", ""),
            ]
            then = listed[0][0]
            assert then is not None
            assert await made.lake.read(then) == b"before"

    asyncio.run(scenario())


def test_read_only_lake_is_never_written(settings: Settings) -> None:
    """With LAKE_READ_ONLY a document is indexed, and neither record nor pointer is stored."""

    async def scenario() -> None:
        async with running(settings) as made:
            await put(made, "a.md", "# A\n\nText.")
        async with running(replace(settings, lake_read_only=True), make=False) as made:
            generation = await new_generation(made)
            outcome = await made.indexer.converge("a.md", generation)
            assert (outcome.result, outcome.embedded) == ("indexed", 1)
            assert [one async for one in made.primary.store.summaries()] == []
            names = [
                blob.name
                async for blob in made.lake_account.get_container_client(settings.embeddings_container).list_blobs()
            ]
            assert names == []

    asyncio.run(scenario())
