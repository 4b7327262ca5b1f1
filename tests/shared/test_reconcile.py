"""The reconciler against the real services: what lost events left wrong is found and put right, and nothing else."""

import asyncio
from dataclasses import replace

import pytest

from shared.clients import Services
from shared.errors import BadRequest, NotFound, Throttled
from shared.reconcile import POSITION, last_report, reconcile
from shared.recovery.manifest import FIRST_ID
from shared.retry import parse_retry_request, retry
from shared.settings import Settings
from tests.conftest import new_generation, put, remove, running


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
                    "retried": [{"path": "broken.pdf", "result": "quarantined", "reason": "corrupt", "embedded": 0}]
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
