"""The steps of a rebuild against the real services, one after the other as the orchestrator calls them."""

import asyncio

import pytest

from shared.clients import Services
from shared.errors import Refused
from shared.recovery import steps
from shared.recovery.compare import Difference
from shared.recovery.plan import RebuildPlan, RebuildRequest
from shared.settings import Settings
from tests.conftest import new_generation, put, remove, running

REQUEST = RebuildRequest("test", "primary", dry_run=False, force=False, resume=False)
FORCED = RebuildRequest("test", "primary", dry_run=False, force=True, resume=False)
RESUMED = RebuildRequest("test", "primary", dry_run=False, force=False, resume=True)


async def fill(made: Services, documents: int) -> None:
    for n in range(documents):
        await put(made, f"d{n}.md", f"# Document {n}\n\nThis is what document {n} says.")


async def index_all(made: Services, plan: RebuildPlan) -> steps.PageResult:
    results = [await steps.index_page(made, plan.generation, plan.id, n) for n in range(plan.pages)]
    return steps.PageResult(
        results={"indexed": sum(result.results.get("indexed", 0) for result in results)},
        added=sum(result.added for result in results),
        removed=0,
        embedded=sum(result.embedded for result in results),
        failures={},
    )


def test_rebuild_of_a_known_lake_embeds_nothing(settings: Settings) -> None:
    """A second rebuild holds the same documents as the first, and pays for no embedding."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 7)
            first = await steps.plan_rebuild(made, REQUEST, "20260101000000")
            assert (first.documents, first.pages, first.previous) == (7, 3, None)
            await steps.create_generation(made, first)
            assert (await index_all(made, first)).embedded == 7
            assert await steps.verify_generation(made, first.generation) == Difference()
            await steps.swap_alias(made, first.generation)
            assert await made.generations.live() == first.generation

            second = await steps.plan_rebuild(made, REQUEST, "20260101000001")
            assert second.previous == first.generation
            await steps.create_generation(made, second)
            done = await index_all(made, second)
            assert (done.added, done.embedded) == (7, 0)
            one = [chunk async for chunk in made.indexer.chunks(first.generation).all()]
            two = [chunk async for chunk in made.indexer.chunks(second.generation).all()]
            assert one == two

    asyncio.run(scenario())


def test_catch_up_finds_what_changed_meanwhile(settings: Settings) -> None:
    """What was added, changed or deleted during the pages is converged by the catch-up; then nothing is left."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 3)
            plan = await steps.plan_rebuild(made, REQUEST, "20260101000000")
            await steps.create_generation(made, plan)
            await index_all(made, plan)
            await put(made, "new.md", "# New\n\nAdded while the rebuild ran.")
            await put(made, "d1.md", "# Document 1\n\nChanged while the rebuild ran.")
            await remove(made, "d2.md")
            found = await steps.verify_generation(made, plan.generation)
            assert found == Difference(missing=("new.md",), stale=("d1.md",), extra=("d2.md",))
            assert (await steps.catch_up(made, plan.generation)).results == {"indexed": 2, "deleted": 1}
            assert (await steps.catch_up(made, plan.generation)).results == {}
            assert await steps.verify_generation(made, plan.generation) == Difference()

    asyncio.run(scenario())


def test_empty_lake_is_refused_before_anything_is_created(settings: Settings) -> None:
    """An empty listing stops the plan, unless forced; nothing was created."""

    async def scenario() -> None:
        async with running(settings) as made:
            with pytest.raises(Refused, match="no document"):
                await steps.plan_rebuild(made, REQUEST, "20260101000000")
            assert await made.generations.list() == ()
            assert (await steps.plan_rebuild(made, FORCED, "20260101000000")).documents == 0

    asyncio.run(scenario())


def test_shrunken_lake_is_refused(settings: Settings) -> None:
    """A listing much smaller than the live index stops the plan and names both numbers."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 5)
            generation = await new_generation(made)
            for n in range(5):
                await made.indexer.converge(f"d{n}.md", generation)
            for n in range(3):
                await remove(made, f"d{n}.md")
            with pytest.raises(Refused, match="lists 2 documents but the live index has 5"):
                await steps.plan_rebuild(made, REQUEST, "20260101000000")

    asyncio.run(scenario())


def test_resume_goes_on_with_the_unfinished_generation(settings: Settings) -> None:
    """After a death half-way, resume keeps the generation and what is right in it; a fresh start removes it."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 6)
            plan = await steps.plan_rebuild(made, REQUEST, "20260101000000")
            await steps.create_generation(made, plan)
            await steps.index_page(made, plan.generation, plan.id, 0)

            resumed = await steps.plan_rebuild(made, RESUMED, "20260101000005")
            assert resumed.generation == plan.generation
            await steps.create_generation(made, resumed)
            again = await steps.index_page(made, resumed.generation, resumed.id, 0)
            assert again.results == {"unchanged": 3}

            fresh = await steps.plan_rebuild(made, REQUEST, "20260101000009")
            assert fresh.generation != plan.generation
            assert await made.generations.list() == ()

    asyncio.run(scenario())


def test_old_generations_are_retired(settings: Settings) -> None:
    """Of several generations the live one and as many as are kept beside it stay."""

    async def scenario() -> None:
        async with running(settings) as made:
            names = [f"{made.generations.alias}-2026010100000{n}" for n in range(4)]
            for name in names:
                await made.generations.create(name)
            await made.generations.go_live(names[2])
            assert await steps.retire_generations(made) == names[:2]
            assert await made.generations.list() == (names[2], names[3])

    asyncio.run(scenario())
