"""Recovery reads the lake's replica: the consistent cut at Last Sync Time, and nothing is written to the lake."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from shared.clients import Services
from shared.lake.model import LakeDocument
from shared.recovery import steps
from shared.recovery.compare import faults
from shared.recovery.plan import RebuildRequest
from shared.settings import Settings
from tests.conftest import new_generation, put, remove, running
from tests.shared.recovery.replicated import Replicated
from tests.shared.recovery.test_steps import content, verify

SECONDARY = RebuildRequest("test", "secondary", dry_run=False, force=False, resume=False)


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
