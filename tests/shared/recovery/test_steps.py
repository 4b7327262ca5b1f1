"""The steps of a rebuild against the real services, one after the other as the orchestrator calls them."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from shared.clients import Services
from shared.embeddings.record import encode
from shared.errors import Refused
from shared.index.schema import IndexedChunk
from shared.recovery import steps
from shared.recovery.compare import add_summaries, faults
from shared.recovery.plan import RebuildPlan, RebuildRequest
from shared.recovery.probes import PROBES
from shared.settings import Settings
from tests.conftest import new_generation, put, remove, running

REQUEST = RebuildRequest("test", "primary", dry_run=False, force=False, resume=False)
FORCED = replace(REQUEST, force=True)
RESUMED = replace(REQUEST, resume=True)


async def fill(made: Services, documents: int) -> None:
    for n in range(documents):
        await put(made, f"d{n}.md", f"# Document {n}\n\nThis is what document {n} says.")


async def index_all(made: Services, plan: RebuildPlan) -> Counter[str]:
    """Converge every page; returns documents by result, and chunks added, removed and embedded."""
    total: Counter[str] = Counter()
    for number in range(plan.pages):
        done = await steps.index_page(made, plan, number)
        total.update(done.results)
        total.update(added=done.added, removed=done.removed, embedded=done.embedded)
    return total


async def verify(made: Services, plan: RebuildPlan) -> dict[str, Any]:
    summary = await steps.verify_page(made, plan, 0)
    for number in range(1, plan.pages):
        summary = add_summaries(summary, await steps.verify_page(made, plan, number))
    return summary


async def build(made: Services, rebuild_id: str, request: RebuildRequest = REQUEST) -> tuple[RebuildPlan, Counter[str]]:
    plan = await steps.plan_rebuild(made, request, rebuild_id)
    await steps.create_generation(made, plan)
    return plan, await index_all(made, plan)


async def content(made: Services, generation: str) -> list[dict[str, Any]]:
    """Everything that an index holds, vectors included."""
    results = await made.search_client(generation).search(search_text="*", order_by=["id asc"], select=["*"], top=1000)
    return [{name: value for name, value in item.items() if name[0] != "@"} async for item in results]


def test_rebuild_of_a_known_lake_embeds_nothing(settings: Settings) -> None:
    """A second rebuild holds the same documents as the first, field by field, and pays for no embedding."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 7)
            first, done = await build(made, "20260101000000")
            assert (first.documents, first.previous, first.estimate.stored_documents) == (7, None, 0)
            assert (done["indexed"], done["embedded"]) == (7, 7)
            assert faults(await verify(made, first)) == 0
            await steps.swap_alias(made, first)
            assert await made.generations.live() == first.generation

            second, done = await build(made, "20260101000001")
            assert second.previous == first.generation
            assert (second.estimate.stored_documents, second.estimate.tokens_to_embed) == (7, 0)
            assert (done["indexed"], done["added"], done["embedded"]) == (7, 7, 0)
            one, two = await content(made, first.generation), await content(made, second.generation)
            assert one == two
            assert len(one) == 7
            assert all(len(chunk["content_vector"]) == settings.embedding_dimensions for chunk in one)

    asyncio.run(scenario())


def test_index_by_events_equals_index_by_rebuild(settings: Settings) -> None:
    """Edits, renames and deletions followed event by event leave what a recomputation makes, vectors included."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await fill(made, 5)
            for path in [f"d{n}.md" for n in range(5)]:
                await made.indexer.converge(path, generation)
            await put(made, "d1.md", "# Document 1\n\nNow it says something else.\n\n# More\n\nAnd more.")
            await remove(made, "d2.md")
            await put(made, "moved.md", "# Document 3\n\nThis is what document 3 says.", {"allowed_groups": "b, a"})
            for path in ("d1.md", "d2.md", "moved.md"):
                await made.indexer.converge(path, generation)
            plan, done = await build(made, "20260101000000")
            assert done["embedded"] == 0
            assert await content(made, plan.generation) == await content(made, generation)

    asyncio.run(scenario())


def test_catch_up_finds_what_changed_meanwhile(settings: Settings) -> None:
    """What was added, changed or deleted during the pages is converged by the catch-up; then nothing is left."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 3)
            plan, _ = await build(made, "20260101000000")
            await put(made, "new.md", "# New\n\nAdded while the rebuild ran.")
            await put(made, "d1.md", "# Document 1\n\nChanged while the rebuild ran.")
            await remove(made, "d2.md")
            changed = await steps.catch_up(made, plan, 1)
            assert changed >= 1
            done: Counter[str] = Counter()
            for position in range(changed):
                number = await steps.changed_page(made, plan.id, 1, position)
                found = await steps.index_page(made, plan, number)
                done.update(found.results)
                done.update(removed=found.removed)
            # d1's old chunk and d2's go; d0 is in a page that changed or in one that did not.
            assert (done["indexed"], done["removed"]) == (2, 2)
            assert await steps.catch_up(made, plan, 2) == 0
            assert faults(await verify(made, plan)) == 0
            assert [chunk["path"] for chunk in await content(made, plan.generation)].count("d2.md") == 0

    asyncio.run(scenario())


def test_change_in_the_moment_of_the_swap_is_followed(settings: Settings) -> None:
    """A document that changed after the last listing, and whose event went to the old generation, is converged."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 4)
            plan, _ = await build(made, "20260101000000")
            await put(made, "d1.md", "# Document 1\n\nChanged just before the swap.")
            await remove(made, "d3.md")
            await steps.swap_alias(made, plan)
            done = await steps.follow_live(made, plan)
            assert done.results == {"indexed": 1, "deleted": 1}
            texts = [chunk["content"] for chunk in await content(made, plan.generation)]
            assert any("just before the swap" in text for text in texts)
            assert len(texts) == 3

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


def test_lake_that_cannot_be_listed_is_no_empty_lake(settings: Settings) -> None:
    """Without the container the plan fails, even when forced: a fault of a service is never taken for an empty lake."""

    async def scenario() -> None:
        async with running(replace(settings, lake_container="never-made")) as made:
            await made.lake_account.delete_container("never-made")
            with pytest.raises(Exception, match=r"[Cc]ontainer"):
                await steps.plan_rebuild(made, FORCED, "20260101000000")
            assert await made.generations.list() == ()

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
            first = await steps.index_page(made, plan, 0)

            resumed, done = await build(made, "20260101000005", RESUMED)
            assert (resumed.generation, resumed.resumed) == (plan.generation, True)
            assert done["unchanged"] == first.results["indexed"]
            assert (done["indexed"], done["embedded"]) == (6 - done["unchanged"], 6 - done["unchanged"])

            fresh, _ = await build(made, "20260101000009")
            assert fresh.generation != plan.generation
            assert await made.generations.list() == (fresh.generation,)

    asyncio.run(scenario())


def test_resume_without_the_regions_state(settings: Settings) -> None:
    """When the region's own storage is gone too, the unfinished generation is found in the search service itself."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 6)
            plan = await steps.plan_rebuild(made, REQUEST, "20260101000000")
            await steps.create_generation(made, plan)
            await steps.index_page(made, plan, 0)
            await made.regional_account.delete_container(settings.state_container)
        fresh_region = replace(settings, state_container=f"{settings.state_container}-new")
        async with running(replace(fresh_region, lake_container=settings.lake_container), make=False) as made:
            resumed, done = await build(made, "20260101000005", RESUMED)
            assert resumed.generation == plan.generation
            assert done["unchanged"] > 0
            assert faults(await verify(made, resumed)) == 0

    asyncio.run(scenario())


def test_cancelled_rebuild_never_swaps(settings: Settings) -> None:
    """A swap that begins after the rebuild was cancelled is refused, and the alias stays."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 2)
            plan, _ = await build(made, "20260101000000")
            await made.state.write(steps.cancel_name(plan.id), {"reason": "test"})
            with pytest.raises(Refused, match="was cancelled"):
                await steps.swap_alias(made, plan)
            assert await made.generations.live() is None

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


def test_unreadable_document_is_a_failure_of_its_own(settings: Settings) -> None:
    """One corrupt file is reported with its reason; the others are indexed, and verification finds no fault."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 4)
            container = made.lake_account.get_container_client(settings.lake_container)
            await container.upload_blob("broken.pdf", b"%PDF-1.7 cut off")
            plan = await steps.plan_rebuild(made, REQUEST, "20260101000000")
            await steps.create_generation(made, plan)
            failures: dict[str, str] = {}
            for number in range(plan.pages):
                failures |= (await steps.index_page(made, plan, number)).failures
            assert failures == {"broken.pdf": "corrupt"}
            summary = await verify(made, plan)
            assert faults(summary) == 0
            assert summary["quarantined"] == {"count": 1, "paths": ["broken.pdf"]}

    asyncio.run(scenario())


def test_probe_questions_are_asked_of_the_new_generation(settings: Settings) -> None:
    """A probe whose document is found passes; one whose document is not there for the search is named."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 3)
            probes = [
                {"question": "What does document 1 say?", "path": "d1.md"},
                {"question": "Who is not in the lake?", "path": "gone.md"},
            ]
            container = made.lake_account.get_container_client(settings.lake_container)
            await container.upload_blob(PROBES, json.dumps(probes).encode())
            plan, done = await build(made, "20260101000000")
            assert done["indexed"] == 3
            assert await steps.probe(made, plan) == []
            chunks = made.indexer.chunks(plan.generation)
            await chunks.delete([chunk.id async for chunk in chunks.all() if chunk.path == "d1.md"])
            assert await steps.probe(made, plan) == [probes[0]]

    asyncio.run(scenario())


async def _missing_document(made: Services, generation: str, victim: list[IndexedChunk]) -> None:
    await made.indexer.chunks(generation).delete([chunk.id for chunk in victim])


async def _missing_chunk(made: Services, generation: str, victim: list[IndexedChunk]) -> None:
    await made.indexer.chunks(generation).delete([victim[-1].id])


async def _altered_chunk(made: Services, generation: str, victim: list[IndexedChunk]) -> None:
    await made.indexer.chunks(generation).merge([replace(victim[0], content="Something else.")])


async def _stale_version(made: Services, generation: str, victim: list[IndexedChunk]) -> None:
    await made.indexer.chunks(generation).merge([replace(chunk, etag="0x0") for chunk in victim])


async def _wrong_groups(made: Services, generation: str, victim: list[IndexedChunk]) -> None:
    await made.indexer.chunks(generation).merge([replace(chunk, allowed_groups=("all",)) for chunk in victim])


async def _extra_document(made: Services, generation: str, victim: list[IndexedChunk]) -> None:
    vectors = await made.embedder.embed(["x"])
    ghost = replace(victim[0], id="ab" * 16 + "-" + "0" * 24 + "-0", document_id="ab" * 16, path="ghost.md")
    await made.indexer.chunks(generation).upload([ghost], vectors)


async def _no_vector(made: Services, generation: str, victim: list[IndexedChunk]) -> None:
    client = made.search_client(generation)
    await client.upload_documents([victim[0].fields()])


@pytest.mark.parametrize(
    ("mutate", "kind", "path"),
    [
        (_missing_document, "missing", "victim.md"),
        (_missing_chunk, "stale", "victim.md"),
        (_altered_chunk, "altered", "victim.md"),
        (_stale_version, "stale", "victim.md"),
        (_wrong_groups, "stale", "victim.md"),
        (_extra_document, "extra", "ghost.md"),
        (_no_vector, "without_vector", "victim.md"),
    ],
)
def test_verification_catches_and_resume_mends(settings: Settings, mutate: Any, kind: str, path: str) -> None:
    """Each way in which an index can be wrong is found and named, and one resumed rebuild puts it right."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 3)
            sections = [f"# Section {n}\n\n" + f"What section {n} says takes some words. " * 20 for n in (1, 2)]
            await put(made, "victim.md", "\n\n".join(sections))
            plan, _ = await build(made, "20260101000000")
            right = await content(made, plan.generation)
            victim = [chunk async for chunk in made.indexer.chunks(plan.generation).all() if chunk.path == "victim.md"]
            assert len(victim) == 2
            await mutate(made, plan.generation, victim)
            summary = await verify(made, plan)
            assert (faults(summary), summary[kind]) == (1, {"count": 1, "paths": [path]})

            resumed, done = await build(made, "20260101000005", RESUMED)
            assert resumed.generation == plan.generation
            assert done["unchanged"] == (4 if kind == "extra" else 3)
            assert done["embedded"] == 0
            assert faults(await verify(made, resumed)) == 0
            assert await content(made, plan.generation) == right

    asyncio.run(scenario())


def test_record_with_wrong_vectors_never_reaches_the_index(settings: Settings) -> None:
    """A stored record whose vectors have another length is not used: its chunks are embedded again."""

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 1)
            generation = await new_generation(made)
            await made.indexer.converge("d0.md", generation)
            store = made.primary.store
            pointer = await store.pointer(made.indexer.document_id("d0.md"))
            assert pointer is not None
            record = await store.record(pointer.content_key)
            assert record is not None
            short = encode(replace(record, vectors=record.vectors[:, :100]))
            name = f"{made.pipeline}/records/{pointer.content_key[:2]}/{pointer.content_key}"
            embeddings = made.lake_account.get_container_client(settings.embeddings_container)
            await embeddings.upload_blob(name, short, overwrite=True)  # saving never replaces a whole record
            plan, done = await build(made, "20260101000000")
            assert (done["indexed"], done["embedded"]) == (1, 1)
            assert faults(await verify(made, plan)) == 0

    asyncio.run(scenario())
