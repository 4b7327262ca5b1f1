"""A generation that another pipeline has built never becomes a mixture, and everything says that it waits."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from shared.built import LOOK_SECONDS, Built, verified_name
from shared.chat.filters import Filters
from shared.chat.retrieval import Retriever
from shared.clients import Services
from shared.errors import Refused
from shared.health import HealthCheck
from shared.index.schema import VECTOR
from shared.observe import observe
from shared.reconcile import reconcile
from shared.recovery import steps
from shared.settings import Settings
from shared.status import status
from shared.sync import AWAITING_REBUILD
from tests.conftest import put, remove, running
from tests.shared.recovery.test_steps import build, content, fill

DOCUMENTS = 5


@asynccontextmanager
async def released(settings: Settings, **changed: Any) -> AsyncIterator[tuple[Services, Services, str]]:
    """A region whose index was built before a release of another pipeline: the app before, the app now, the index."""
    async with running(settings) as before:
        await fill(before, DOCUMENTS)
        plan, _ = await build(before, "20260101000000")
        await steps.swap_alias(before, plan)
        async with running(replace(settings, **changed), make=False) as now:
            yield before, now, plan.generation


async def pipelines(made: Services, generation: str) -> Counter[str]:
    return Counter([chunk.pipeline async for chunk in made.indexer.chunks(generation).all()])


def test_no_event_and_no_reconcile_mixes_pipelines(settings: Settings) -> None:
    """New and edited documents wait; the earlier version says so, and only those who may see the newer one see it.
    Deletions and labels are followed, without a look at another model.
    """

    async def scenario() -> None:
        async with released(settings, chunk_target_tokens=100) as (before, now, generation):
            await put(now, "new.md", "# New\n\nWritten after the release.")
            await put(now, "d0.md", "# Document 0\n\nEdited after the release.", {"allowed_groups": "board"})
            await put(now, "d1.md", "# Document 1\n\nThis is what document 1 says.", {"allowed_groups": "staff"})
            await remove(now, "d2.md")
            results = {
                path: (await now.indexer.converge(path, generation)).result
                for path in ("new.md", "d0.md", "d1.md", "d2.md", "d3.md")
            }
            assert results == {
                "new.md": "deferred",
                "d0.md": "deferred",
                "d1.md": "indexed",
                "d2.md": "deleted",
                "d3.md": "unchanged",
            }
            held = {chunk["path"]: chunk for chunk in await content(now, generation)}
            assert sorted(held) == ["d0.md", "d1.md", "d3.md", "d4.md"]
            assert await pipelines(now, generation) == {before.pipeline: 4}
            assert (held["d0.md"]["newer_unreadable"], held["d0.md"]["allowed_groups"]) == (AWAITING_REBUILD, ["board"])
            current = await now.lake.head("d1.md")
            assert current is not None
            assert (held["d1.md"]["version_id"], held["d1.md"]["allowed_groups"]) == (current.version_id, ["staff"])

            report = await reconcile(now)
            assert (report["found"]["missing"], report["found"]["stale"]) == (1, 1)
            assert report["results"] == {"deferred": 2}
            assert {chunk["path"]: chunk for chunk in await content(now, generation)} == held

    asyncio.run(scenario())


def test_lost_events_are_followed_by_the_reconciler(settings: Settings) -> None:
    """Of a generation of another pipeline it takes out what was deleted, and hides what is not open any more."""

    async def scenario() -> None:
        async with released(settings, chunk_target_tokens=100) as (before, now, generation):
            await remove(now, "d0.md")
            await put(now, "d1.md", "# Document 1\n\nThis is what document 1 says.", {"allowed_groups": "staff"})
            report = await reconcile(now)
            assert report["results"] == {"deleted": 1, "indexed": 1}
            held = {chunk["path"]: chunk["allowed_groups"] for chunk in await content(now, generation)}
            assert held == {"d1.md": ["staff"], "d2.md": [], "d3.md": [], "d4.md": []}
            assert await pipelines(now, generation) == {before.pipeline: 4}

    asyncio.run(scenario())


def test_everything_says_that_a_rebuild_is_needed_until_there_was_one(settings: Settings) -> None:
    """Status, health and what alerts are made from name both pipelines; the region answers; a rebuild ends it."""

    async def scenario() -> None:
        async with released(settings, chunk_target_tokens=100) as (before, now, _):
            assert await before.built.rebuild_needed() == ""
            needed = (await status(now))["rebuild_needed"]
            assert before.pipeline in needed and now.pipeline in needed
            found = await HealthCheck(now).run()
            assert (found.healthy, found.warnings) == (True, {"pipeline": needed})
            assert (await observe(now, HealthCheck(now)))["rebuild_needed"] == 1

            plan, _ = await build(now, "20260101000001")
            await steps.swap_alias(now, plan)
            assert (await status(now))["rebuild_needed"] == ""
            assert (await HealthCheck(now).run()).warnings == {"pipeline": ""}
            assert (await observe(now, HealthCheck(now)))["rebuild_needed"] == 0
            assert before.pipeline in await before.built.rebuild_needed()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("changed", "alike"),
    [({"chunk_target_tokens": 100}, True), ({"openai_embedding_model": "another-model"}, False)],
)
def test_questions_are_compared_with_vectors_of_their_own_model_alone(
    settings: Settings, changed: dict[str, Any], alike: bool
) -> None:
    """Another chunking leaves the vectors comparable; another model does not, and words alone find the passages."""

    async def scenario() -> None:
        async with released(settings, **changed) as (before, now, generation):
            assert await now.built.comparable(generation) is alike
            await now.state.remove(verified_name(generation))  # the region's own storage was lost
            assert (
                await Built(now.pipeline, now.vectors, now.generations, now.indexer.chunks, now.state).comparable(
                    generation
                )
                is False
            )
            everybody = await now.access_rules.access(frozenset())
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(now, "embedder", before.embedder)  # the local service knows one model
                asked: list[Any] = []
                client = now.bulk_client(generation)
                search = client.search

                async def noted(*texts: Any, **options: Any) -> Any:
                    asked.append(options.get("vector_queries"))
                    return await search(*texts, **options)

                patched.setattr(client, "search", noted)
                patched.setattr(now, "bulk_client", lambda index: client)
                found = await Retriever(now).find("What does document 3 say?", everybody, Filters())
            assert found.passages[0].chunk.path == "d3.md"
            assert any(asked) is alike

    asyncio.run(scenario())


def test_comparable_is_asked_again_after_a_while(settings: Settings) -> None:
    """Between two questions nothing is asked of the service; later it is."""

    async def scenario() -> None:
        async with released(settings, openai_embedding_model="another-model") as (_, now, generation):
            clock = 0.0
            looks: list[str] = []

            def chunks(name: str) -> Any:
                looks.append(name)
                return now.indexer.chunks(name)

            built = Built(now.pipeline, now.vectors, now.generations, chunks, now.state, lambda: clock)
            assert [await built.comparable(generation) for _ in range(3)] == [False] * 3
            assert looks == [generation]
            clock = LOOK_SECONDS
            await built.comparable(generation)
            assert looks == [generation] * 2

    asyncio.run(scenario())


def test_a_rebuild_of_another_pipeline_never_swaps(settings: Settings) -> None:
    """A release in the middle of a rebuild: what the app before planned does not go live as if it were this app's."""

    async def scenario() -> None:
        async with released(settings, chunk_target_tokens=100) as (before, now, generation):
            plan, _ = await build(before, "20260101000001")
            with pytest.raises(Refused, match="another pipeline"):
                await steps.join_live(now, plan)
            with pytest.raises(Refused, match="another pipeline"):
                await steps.swap_alias(now, plan)
            assert await now.generations.live() == generation

    asyncio.run(scenario())


def test_vectors_are_those_of_the_note(settings: Settings) -> None:
    """What made a generation's vectors is noted when it begins to answer."""

    async def scenario() -> None:
        async with released(settings) as (before, _, generation):
            note = await before.state.read(verified_name(generation))
            assert note is not None
            assert note["vectors"] == before.vectors
            assert VECTOR in (await content(before, generation))[0]

    asyncio.run(scenario())
