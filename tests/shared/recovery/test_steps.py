"""The steps of a rebuild against the real services, one after the other as the orchestrator calls them."""

import asyncio
import functools
import io
import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from shared.clients import Services
from shared.embeddings.record import encode
from shared.errors import Refused
from shared.follow import follow
from shared.index.client import BulkClient
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
    summaries = [(await steps.verify_page(made, plan, number))["summary"] for number in range(plan.pages)]
    return functools.reduce(add_summaries, summaries)


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


def test_nothing_goes_back_in_time_at_the_swap(settings: Settings) -> None:
    """What changed while pages were verified, and what changes until the alias moves, is in the new generation when it
    begins to answer; the listing after the swap finds nothing.
    """

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 4)
            first, _ = await build(made, "20260101000000")
            await steps.swap_alias(made, first)
            plan, _ = await build(made, "20260101000001")
            assert await steps.catch_up(made, plan, 1) == 0
            await put(made, "d1.md", "# Document 1\n\nChanged during verification.")
            await follow(made, "d1.md")
            assert (await steps.join_live(made, plan)).results == {"indexed": 1}
            await put(made, "d2.md", "# Document 2\n\nChanged just before the swap.")
            await remove(made, "d3.md")
            for path in ("d2.md", "d3.md"):
                await follow(made, path)
            before = await content(made, first.generation)
            await steps.swap_alias(made, plan)
            assert await content(made, plan.generation) == before
            assert (await steps.follow_live(made, plan)).results == {"unchanged": 2, "absent": 1}
            await put(made, "d0.md", "# Document 0\n\nChanged after the swap.")
            await follow(made, "d0.md")
            assert await content(made, first.generation) == before

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


async def _wrong_title(made: Services, generation: str, victim: list[IndexedChunk]) -> None:
    await made.indexer.chunks(generation).merge([replace(chunk, title="Another") for chunk in victim])


async def _wrong_name(made: Services, generation: str, victim: list[IndexedChunk]) -> None:
    await made.indexer.chunks(generation).merge([replace(chunk, name="Another") for chunk in victim])


async def _wrong_page(made: Services, generation: str, victim: list[IndexedChunk]) -> None:
    await made.indexer.chunks(generation).merge([replace(victim[0], page=7)])


async def _wrong_order(made: Services, generation: str, victim: list[IndexedChunk]) -> None:
    await made.indexer.chunks(generation).merge([replace(chunk, ordinal=1 - chunk.ordinal) for chunk in victim])


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
        (_wrong_title, "stale", "victim.md"),
        (_wrong_name, "stale", "victim.md"),
        (_wrong_page, "stale", "victim.md"),
        (_wrong_order, "stale", "victim.md"),
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
            await build(made, "20251231000000")  # from here on the embedding store knows every document
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


def test_verification_asks_for_what_answers_in_place_of_an_unreadable_version(settings: Settings) -> None:
    """The last version that could be read must be in a new generation as it should answer: gone, or without its label,
    it is a fault, which one resumed rebuild mends.
    """

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", "# A\n\nWhat it said.", {"allowed_groups": "board, staff"})
            await made.indexer.converge("a.md", generation)
            await put(made, "a.md", " ", {"allowed_groups": "staff"})
            plan, _ = await build(made, "20260101000000", FORCED)
            assert (await verify(made, plan))["quarantined"] == {"count": 1, "paths": ["a.md"]}
            right = await content(made, plan.generation)
            chunks = made.indexer.chunks(plan.generation)
            (held,) = [chunk async for chunk in chunks.all()]
            assert (held.newer_unreadable, held.allowed_groups) == ("empty", ("staff",))

            await chunks.merge([replace(held, newer_unreadable="", allowed_groups=("board", "staff"))])
            assert (await verify(made, plan))["stale"] == {"count": 1, "paths": ["a.md"]}
            await chunks.delete([held.id])
            assert (await verify(made, plan))["missing"] == {"count": 1, "paths": ["a.md"]}

            resumed, _ = await build(made, "20260101000005", replace(RESUMED, force=True))
            assert faults(await verify(made, resumed)) == 0
            assert await content(made, resumed.generation) == right

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
            short = encode(replace(record, vectors=record.vectors[:, :100]), pointer.content_key)
            name = f"{made.pipeline}/records/{pointer.content_key[:2]}/{pointer.content_key}"
            embeddings = made.lake_account.get_container_client(settings.embeddings_container)
            await embeddings.upload_blob(name, short, overwrite=True)  # saving never replaces a whole record
            plan, done = await build(made, "20260101000000")
            assert (done["indexed"], done["embedded"]) == (1, 1)
            assert faults(await verify(made, plan)) == 0

    asyncio.run(scenario())


def test_what_the_search_service_refuses_is_a_failure_of_its_own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service calls every batch wrong that has a certain document in it: the others are indexed, nothing of that
    one is left, and verification finds no fault. Followed by an event, its earlier version stays, labelled.
    """
    send = BulkClient.index_documents

    async def picky(client: BulkClient, batch: Any, **options: Any) -> Any:
        body = batch.read()
        if b"unwritable" in body:
            raise HttpResponseError("The request is invalid.", SimpleNamespace(status_code=400, reason="", headers={}))
        return await send(client, io.BytesIO(body), **options)

    async def scenario() -> None:
        async with running(settings) as made:
            await fill(made, 4)
            generation = await new_generation(made)
            await put(made, "picky.md", "# Picky\n\nWhat can be written.")
            await made.indexer.converge("picky.md", generation)
            await put(made, "picky.md", "# Picky\n\nWhat is unwritable.")
            monkeypatch.setattr(BulkClient, "index_documents", picky)
            assert (await made.indexer.converge("picky.md", generation)).reason == "refused"
            (held,) = await content(made, generation)
            assert (held["newer_unreadable"], "can be written" in held["content"]) == ("refused", True)

            plan, done = await build(made, "20260101000000", FORCED)
            assert (done["indexed"], done["quarantined"]) == (4, 1)
            assert len(await content(made, plan.generation)) == 4
            summary = await verify(made, plan)
            assert (faults(summary), summary["quarantined"]["count"]) == (0, 1)
            (problem,) = await made.indexer.problems.list()
            assert (problem.path, problem.reason) == ("picky.md", "refused")
            assert "The request is invalid" in problem.message

    asyncio.run(scenario())


def test_last_version_that_could_be_read_answers_after_a_rebuild_too(settings: Settings) -> None:
    """Where the newest version cannot be read, a rebuild brings the one before it from the store, labelled and for
    those who may see both; it embeds nothing, in a region that knows nothing of the document too.
    """

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", "# A\n\nWhat it said.", {"allowed_groups": "board, staff", "owner": "ada"})
            await made.indexer.converge("a.md", generation)
            await put(made, "a.md", " ", {"allowed_groups": "staff, hr"})
            await made.indexer.converge("a.md", generation)
            (before,) = await content(made, generation)
            assert (before["newer_unreadable"], before["allowed_groups"]) == ("empty", ["staff"])
        elsewhere = replace(settings, state_container=f"{settings.state_container}-new", lake_read_only=True)
        async with running(elsewhere, make=False) as made:
            for rebuild_id in ("20260101000000", "20260101000001"):  # unread, and known to be unreadable
                plan, done = await build(made, rebuild_id)
                assert (done["quarantined"], done["added"], done["embedded"]) == (1, 1, 0)
                assert await content(made, plan.generation) == [before]
                assert [problem.path for problem in await made.indexer.problems.list()] == ["a.md"]

    asyncio.run(scenario())


def test_what_was_taken_out_is_no_version_to_fall_back_on(settings: Settings) -> None:
    """A document that was deleted and written again, unreadably: neither events nor a rebuild bring back what it said;
    and its vectors are still not paid for twice.
    """

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            text = "\n\n".join(f"# Section {n}\n\n" + f"What section {n} says takes words. " * 20 for n in (1, 2))
            await put(made, "a.md", text)
            assert (await made.indexer.converge("a.md", generation)).embedded == 2
            await remove(made, "a.md")
            await made.indexer.converge("a.md", generation)
            await put(made, "a.md", " ")
            assert (await made.indexer.converge("a.md", generation)).result == "quarantined"
            assert await content(made, generation) == []
            plan, done = await build(made, "20260101000000", FORCED)
            assert (done["quarantined"], done["added"]) == (1, 0)
            assert await content(made, plan.generation) == []
            await put(made, "a.md", text + " Edited.")
            assert (await made.indexer.converge("a.md", generation)).embedded == 1

    asyncio.run(scenario())


def test_partial_listing_is_refused_in_a_region_without_an_index(settings: Settings) -> None:
    """Where no index says how large the lake was, the stored embeddings do; deleted documents do not count."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await fill(made, 6)
            for n in range(6):
                await made.indexer.converge(f"d{n}.md", generation)
        elsewhere = replace(settings, search_index=f"{settings.search_index}-other")
        async with running(elsewhere, make=False) as made:
            for n in range(4):
                await remove(made, f"d{n}.md")
            with pytest.raises(Refused, match="lists 2 documents but the embedding store has 6"):
                await steps.plan_rebuild(made, REQUEST, "20260101000000")
            assert await made.generations.list() == ()
            for n in range(4):
                await made.primary.store.take_out(made.indexer.document_id(f"d{n}.md"))
            assert (await steps.plan_rebuild(made, REQUEST, "20260101000000")).documents == 2

    asyncio.run(scenario())
