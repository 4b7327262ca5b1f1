"""The reconciler against the real services: what lost events left wrong is found and put right, and nothing else."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from azure.core.exceptions import ServiceRequestError
from hypothesis import given
from hypothesis import strategies as st

from shared.clients import Services
from shared.errors import BadRequest, NotFound, NotReady, Throttled
from shared.problems import DIGITS, LISTINGS, Problem, prefixes
from shared.reconcile import POSITION, last_report, reconcile
from shared.recovery.manifest import FIRST_ID, LAST_ID
from shared.recovery.steps import UNFINISHED
from shared.retry import parse_retry_request, retry
from shared.settings import Settings
from tests.conftest import new_generation, put, remove, running
from tests.shared.recovery.test_steps import build


async def indexed(made: Services, count: int = 4) -> str:
    """Documents d0, d1, ... as their events indexed them."""
    generation = await new_generation(made)
    for n in range(count):
        await put(made, f"d{n}.md", f"# Document {n}\n\nThis is what document {n} says.")
        await made.indexer.converge(f"d{n}.md", generation)
    return generation


async def paths(made: Services, generation: str) -> list[str]:
    return sorted({chunk.path async for chunk in made.indexer.chunks(generation).all()})


def test_healthy_system_finds_nothing(settings: Settings) -> None:
    """Where no event was lost, the run looks at every document and does no work."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await indexed(made)
            report = await reconcile(made)
            assert (report["generation"], report["documents"], report["finished"]) == (generation, 4, True)
            assert (sum(report["found"].values()), report["results"], report["failed"]) == (0, {}, {})
            assert await last_report(made) == report

    asyncio.run(scenario())


def test_lost_events_are_made_good(settings: Settings) -> None:
    """A missed write, edit, deletion and half-written document are found by kind and converged in one run."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await indexed(made)
            await put(made, "new.md", "# New\n\nIts event was lost.")
            await put(made, "d0.md", "# Document 0\n\nEdited, and the event was lost.")
            await remove(made, "d1.md")
            chunks = made.indexer.chunks(generation)
            half = [chunk async for chunk in chunks.all() if chunk.path == "d2.md"]
            await chunks.merge([replace(half[0], chunk_count=2)])
            report = await reconcile(made)
            assert report["found"] == {"missing": 1, "stale": 2, "altered": 0, "without_vector": 0, "extra": 1}
            assert sorted(report["paths"]) == ["d0.md", "d1.md", "d2.md", "new.md"]
            assert report["results"] == {"indexed": 3, "deleted": 1}
            assert await paths(made, generation) == ["d0.md", "d2.md", "d3.md", "new.md"]
            again = await reconcile(made)
            assert sum(again["found"].values()) == 0

    asyncio.run(scenario())


def test_tampered_chunks_are_written_again(settings: Settings) -> None:
    """Where the index says of a document what is not so, at the lake's own version, the document is written anew."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await indexed(made)
            chunks = made.indexer.chunks(generation)
            before = [chunk async for chunk in chunks.all()]
            forged: dict[str, dict[str, Any]] = {
                "d0.md": {"content": "forged"},
                "d1.md": {"allowed_groups": ("board",)},
            }
            await chunks.merge([replace(chunk, **forged.get(chunk.path, {})) for chunk in before])
            report = await reconcile(made)
            assert report["found"] == {"missing": 0, "stale": 1, "altered": 1, "without_vector": 0, "extra": 0}
            assert report["results"] == {"indexed": 2}
            assert [chunk async for chunk in chunks.all()] == before

    asyncio.run(scenario())


def test_chunks_that_no_document_leads_to_are_deleted(settings: Settings) -> None:
    """A chunk whose path and document do not go together is found by no converge: it is deleted by its key."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await indexed(made)
            chunks = made.indexer.chunks(generation)
            before = [chunk async for chunk in chunks.all()]
            stranger = replace(before[0], id=f"{'0' * 32}-{'a' * 24}-0", document_id="0" * 32, path="d0.md")
            misled = replace(before[0], id=f"{before[0].document_id}-{'b' * 24}-0", document_id="f" * 32)
            await chunks.upload([stranger, misled], np.ones((2, 384), dtype=np.float32))
            report = await reconcile(made)
            assert (report["found"]["extra"], report["results"]) == (2, {"deleted": 2})
            assert [chunk async for chunk in chunks.all()] == before
            assert sum((await reconcile(made))["found"].values()) == 0

    asyncio.run(scenario())


def test_problems_of_what_is_gone_are_settled(settings: Settings) -> None:
    """A document that was deleted while quarantined leaves the list, though the event of its deletion was lost."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await indexed(made)
            await put(made, "bad.md", " ")
            await made.indexer.converge("bad.md", generation)
            await remove(made, "bad.md")
            report = await reconcile(made)
            assert sum(report["found"].values()) == 0
            assert await made.indexer.problems.list() == []

    asyncio.run(scenario())


def test_run_that_ends_early_is_continued(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without time left stops after a page; the next ones go on from there until the end of the lake."""
    monkeypatch.setattr("shared.reconcile.PAGE_DOCUMENTS", 2)

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await indexed(made, 5)
            await made.indexer.chunks(generation).delete(
                [chunk.id async for chunk in made.indexer.chunks(generation).all()]
            )
            seen = 0
            for _ in range(5):
                report = await reconcile(made, run_seconds=0.0)
                seen += report["documents"]
                if report["finished"]:
                    break
                position = await made.state.read(POSITION)
                assert position is not None
                assert position["id"] > FIRST_ID
            assert (report["finished"], seen) == (True, 5)
            assert await made.state.read(POSITION) is None
            assert len(await paths(made, generation)) == 5

    asyncio.run(scenario())


def test_one_run_at_a_time(settings: Settings) -> None:
    """While one run goes on, another is asked to wait."""

    async def scenario() -> None:
        async with running(settings) as made:
            await indexed(made, 1)
            async with made.state.lease("reconcile"):
                with pytest.raises(Throttled):
                    await reconcile(made)

    asyncio.run(scenario())


def test_without_a_generation_there_is_nothing_to_compare(settings: Settings) -> None:
    """Before the first generation a run says so and does nothing."""

    async def scenario() -> None:
        async with running(settings) as made:
            await put(made, "a.md", "x")
            report = await reconcile(made)
            assert (report["generation"], report["documents"], report["finished"]) == (None, 0, False)

    asyncio.run(scenario())


def test_quarantined_document_is_tried_again_on_request(settings: Settings) -> None:
    """A retry reads the document once more; the reconciler leaves known problems alone."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await indexed(made, 1)
            container = made.lake_account.get_container_client(settings.lake_container)
            await container.upload_blob("broken.pdf", b"%PDF-1.7 cut off")
            assert (await made.indexer.converge("broken.pdf", generation)).result == "quarantined"
            assert sum((await reconcile(made))["found"].values()) == 0
            for which in ("broken.pdf", None):
                assert await retry(made, which) == {
                    "retried": [{"path": "broken.pdf", "result": "quarantined", "reason": "corrupt", "embedded": 0}],
                    "left": 0,
                }
            await container.upload_blob("broken.pdf", b"# Not a PDF", overwrite=True)
            with pytest.raises(NotFound, match="is not quarantined"):
                await retry(made, "d0.md")

    asyncio.run(scenario())


def test_retry_names_what_is_wrong() -> None:
    """A retry takes a path, or nothing for all."""
    assert parse_retry_request(b"") is None
    assert parse_retry_request(b'{"path": "a.pdf"}') == "a.pdf"
    with pytest.raises(BadRequest, match="not 7"):
        parse_retry_request(b'{"path": 7}')
    with pytest.raises(BadRequest, match="unknown fields"):
        parse_retry_request(b'{"paths": ["a"]}')


def test_no_document_is_begun_after_the_time(settings: Settings) -> None:
    """A page with more to do than there is time for is left in the middle; each run gets further, to the end."""

    async def scenario() -> None:
        async with running(replace(settings, converge_concurrency=1)) as made:
            generation = await new_generation(made)
            for n in range(3):
                await put(made, f"d{n}.md", f"# Document {n}\n\nThis is what document {n} says.")
            for seen in (1, 2, 3):
                report = await reconcile(made, run_seconds=0.0)
                assert (report["results"], report["finished"]) == ({"indexed": 1}, seen == 3)
                assert len(await paths(made, generation)) == seen

    asyncio.run(scenario())


def test_a_document_that_takes_too_long_holds_up_nobody(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way when the time is over is ended a little later and told; the next run takes it up again."""
    monkeypatch.setattr("shared.bounded.LAST_SECONDS", 0.2)

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await indexed(made, 1)
            await put(made, "slow.md", "# Slow\n\nIt hangs.")
            converge = made.indexer.converge

            async def hangs(path: str, *others: Any, **options: Any) -> Any:
                return await (asyncio.Event().wait() if path == "slow.md" else converge(path, *others, **options))

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(made.indexer, "converge", hangs)
                report = await reconcile(made, run_seconds=0.0)
                assert (list(report["failed"]), report["results"]) == (["slow.md"], {"failed": 1})
            assert (await reconcile(made))["results"] == {"indexed": 1}
            assert await paths(made, generation) == ["d0.md", "slow.md"]

    asyncio.run(scenario())


def test_retry_of_all_tells_of_each_and_ends_in_time(settings: Settings) -> None:
    """A service's fault at one document is that document's; what there was no time for is counted."""

    async def scenario() -> None:
        async with running(replace(settings, converge_concurrency=2)) as made:
            generation = await indexed(made, 0)
            for name in ("a", "b", "c"):
                await put(made, f"{name}.md", " ")
                await made.indexer.converge(f"{name}.md", generation)
            converge = made.indexer.converge

            async def breaks(path: str, *others: Any, **options: Any) -> Any:
                if path == "a.md":
                    raise ServiceRequestError("no route")
                return await converge(path, *others, **options)

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(made.indexer, "converge", breaks)
                assert await retry(made, None, run_seconds=0.0) == {
                    "retried": [
                        {"path": "a.md", "result": "failed", "reason": "no route", "embedded": 0},
                        {"path": "b.md", "result": "quarantined", "reason": "empty", "embedded": 0},
                    ],
                    "left": 1,
                }

    asyncio.run(scenario())


def test_retry_before_any_generation_answers(settings: Settings) -> None:
    """After a rebuild that stopped in a new region the unfinished generation is converged; resuming finds it done."""

    async def scenario() -> None:
        async with running(settings) as made:
            await put(made, "a.md", " ")
            with pytest.raises(NotFound):
                await retry(made, "a.md")
            plan, _ = await build(made, "20260101000000")
            assert [problem.path for problem in await made.indexer.problems.list()] == ["a.md"]
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(made.indexer, "_extract", partial(_read, made.indexer._extract))
                assert (await retry(made, None))["retried"][0]["result"] == "indexed"
            assert await paths(made, plan.generation) == ["a.md"]
            assert await made.indexer.problems.list() == []
            await made.generations.delete(plan.generation)
            await made.state.remove(UNFINISHED)
            await made.indexer.problems.record(
                Problem(made.indexer.document_id("a.md"), "a.md", "0x1", "", made.pipeline, "empty", "", "")
            )
            with pytest.raises(NotReady, match="no generation yet"):
                await retry(made, None)

    asyncio.run(scenario())


async def _read(extract: Any, path: str, content: bytes) -> Any:
    """A reader that has been mended."""
    return await extract(path, b"# Mended")


def test_problems_of_a_range_are_read_alone(settings: Settings) -> None:
    """A page's problems are found by the beginnings of their ids, without a look at the others."""

    async def scenario() -> None:
        async with running(settings) as made:
            ids = [f"{number:02x}" + "0" * 30 for number in range(0, 256, 5)]
            for key in ids:
                await made.indexer.problems.record(Problem(key, f"{key}.md", "0x1", "", "p", "empty", "", ""))
            for start, end in ((FIRST_ID, LAST_ID), (FIRST_ID, ids[7]), (ids[7], ids[20]), (ids[50], LAST_ID)):
                found = await made.indexer.problems.between(start, end)
                assert [problem.document_id for problem in found] == [key for key in ids if start <= key < end]
            assert await made.indexer.problems.count() == len(await made.indexer.problems.list()) == len(ids)

    asyncio.run(scenario())


@given(st.text("0123456789abcdef", min_size=32, max_size=32), st.text("0123456789abcdef", min_size=32, max_size=32))
def test_prefixes_cover_a_range_and_little_else(one: str, other: str) -> None:
    """Few listings cover every id of the range; a narrow range is listed narrowly."""
    start, end = sorted((one, other))
    for low, high in ((start, end), (FIRST_ID, end), (start, LAST_ID)):
        found = prefixes(low, high)
        assert 1 <= len(found) <= LISTINGS
        for key in (low or "0" * 32, start, end):
            assert not low <= key < high or any(key.startswith(part) for part in found)
    assert len(prefixes(start, start)[0]) == DIGITS
