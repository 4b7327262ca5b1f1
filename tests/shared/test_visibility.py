"""What operators can see of indexing: the record in the log, metrics, the index's lag, problems of poisoned events."""

import asyncio
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from shared.documents import count_tokens
from shared.freshness import WRITE_SECONDS, Freshness
from shared.poison import give_up, path_of_message
from shared.settings import Settings
from shared.status import status
from shared.sync import Indexer, Outcome
from tests.conftest import new_generation, put, remove, running

TEXT = "# Title\n\n" + "\n\n".join(f"## Part {n}\n\n" + f"Sentence about subject number {n}. " * 20 for n in range(4))
READER = InMemoryMetricReader()


@pytest.fixture(scope="module", autouse=True)
def meters() -> None:
    """Metrics of this process end in READER."""
    metrics.set_meter_provider(MeterProvider([READER]))


def measured(name: str) -> dict[str, float]:
    """Return a counter's sums, or a histogram's counts, by the value of their one attribute."""
    data: Any = READER.get_metrics_data()
    found: dict[str, float] = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points if metric.name == name else ():
                    kind = next(iter(point.attributes.values()), "")
                    found[str(kind)] = getattr(point, "value", getattr(point, "count", 0))
    return found


def test_every_converge_leaves_one_record(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """The record names document, version, generation, chunks, tokens, time by stage and waits, as text and as facts."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT)
            with caplog.at_level(logging.INFO, "shared.telemetry"):
                await made.indexer.converge("a.md", generation)
            (entry,) = (record for record in caplog.records if record.name == "shared.telemetry")
            facts = {
                name.removeprefix("warmlake."): value for name, value in vars(entry).items() if "warmlake." in name
            }
            document = await made.lake.head("a.md")
            assert document is not None
            assert (facts["document"], facts["version"], facts["generation"]) == (
                "a.md",
                document.version_id,
                generation,
            )
            assert (facts["result"], facts["added"], facts["kept"], facts["removed"]) == ("indexed", 4, 0, 0)
            assert facts["tokens_embedded"] > 4 * 80
            assert facts["tokens_reused"] == 0
            stages = {"look_ms", "store_ms", "download_ms", "extract_ms", "embed_ms", "write_ms"}
            assert stages <= set(facts)
            assert sum(facts[stage] for stage in stages) <= facts["ms"] + len(stages)
            assert entry.getMessage().startswith("converge document=a.md version=")

    asyncio.run(scenario())


def test_tokens_are_embedded_or_reused(settings: Settings) -> None:
    """An edit embeds the tokens of one part and reuses those of the others; a second generation reuses all of them."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT)
            first = await made.indexer.converge("a.md", generation)
            await put(made, "a.md", TEXT.replace("number 2", "number two"))
            edit = await made.indexer.converge("a.md", generation)
            assert edit.embedded == 1
            assert edit.tokens_reused > 2.5 * edit.tokens_embedded > 0
            other = made.generations.name_at(datetime.now(UTC) + timedelta(minutes=1))
            await made.generations.create(other)
            again = await made.indexer.converge("a.md", other)
            assert (again.tokens_embedded, again.embedded) == (0, 0)
            # The model counts pieces of words in its own way; the store counts as budgets do.
            assert again.tokens_reused == pytest.approx(first.tokens_embedded, rel=0.3)
            assert again.tokens_reused > count_tokens(TEXT) * 0.9

    asyncio.run(scenario())


def test_metrics_count_documents_chunks_and_tokens(settings: Settings) -> None:
    """Counters rise by what a converge has done, and its time is in the histogram by stage."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            before = {name: measured(f"warmlake.converge.{name}") for name in ("documents", "chunks", "tokens")}
            await put(made, "a.md", TEXT)
            outcome = await made.indexer.converge("a.md", generation)
            await remove(made, "a.md")
            await made.indexer.converge("a.md", generation)

            def risen(name: str, kind: str) -> float:
                return measured(f"warmlake.converge.{name}").get(kind, 0) - before[name].get(kind, 0)

            assert (risen("documents", "indexed"), risen("documents", "deleted")) == (1, 1)
            assert (risen("chunks", "added"), risen("chunks", "removed")) == (4, 4)
            assert risen("tokens", "embedded") == outcome.tokens_embedded
            assert {"all", "embed", "write"} <= set(measured("warmlake.converge.duration"))

    asyncio.run(scenario())


def test_status_shows_how_far_the_index_is_behind(settings: Settings) -> None:
    """The lag is that of the last change that was taken up; before the first there is none."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            assert (await status(made))["index_lag_seconds"] is None
            await put(made, "a.md", TEXT)
            before = sum(measured("warmlake.index.lag").values())
            await made.freshness.note(await made.indexer.converge("a.md", generation))
            shown = await status(made, {"phase": "indexing"})
            assert 0 <= shown["index_lag_seconds"] < 60
            assert shown["last_change"]["path"] == "a.md"
            assert shown["rebuild"] == {"phase": "indexing"}
            assert shown["last_sync_time"] is None  # this lake has no replica
            assert sum(measured("warmlake.index.lag").values()) == before + 1

    asyncio.run(scenario())


def test_a_burst_of_changes_is_noted_once(settings: Settings) -> None:
    """Within a few seconds a process writes one note; what changed nothing is no change."""

    async def scenario() -> None:
        async with running(settings) as made:
            now = 0.0
            freshness = Freshness(made.state, lambda: now)
            await put(made, "a.md", "x")
            document = await made.lake.head("a.md")
            assert document is not None
            outcome = Outcome("a.md", "indexed", changed=document.last_modified)
            await freshness.note(replace(outcome, result="unchanged"))
            assert await freshness.last() is None
            await freshness.note(outcome)
            await freshness.note(replace(outcome, path="b.md"))
            assert (await freshness.last() or {})["path"] == "a.md"
            now += WRITE_SECONDS
            await freshness.note(replace(outcome, path="b.md"))
            assert (await freshness.last() or {})["path"] == "b.md"

    asyncio.run(scenario())


def test_a_poisoned_event_is_listed_and_cleared(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed at every try is on the list of problems with the fault, and a later success takes it off."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT)
            body = json.dumps({"ContainerName": settings.lake_container, "BlobName": "a.md"}).encode()

            async def refuse(*_: Any, **__: Any) -> Outcome:
                raise ServiceRequestError("the model is gone")

            with monkeypatch.context() as patched:
                patched.setattr(Indexer, "converge", refuse)
                assert await give_up(made, body) == "the model is gone"
            (problem,) = await made.indexer.problems.list()
            assert (problem.path, problem.reason, problem.version_id) == ("a.md", "failed", "")
            assert "ServiceRequestError: the model is gone" in problem.message
            assert (await made.indexer.converge("a.md", generation)).result == "indexed"
            assert await made.indexer.problems.list() == []

    asyncio.run(scenario())


def test_a_poisoned_event_is_tried_once_more(settings: Settings) -> None:
    """Where the fault has passed meanwhile, the document is indexed and no problem is listed."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT)
            subject = f"/blobServices/default/containers/{settings.lake_container}/blobs/a.md"
            assert await give_up(made, json.dumps({"subject": subject}).encode()) is None
            assert await made.indexer.problems.list() == []
            key = made.indexer.document_id("a.md")
            assert len(await made.indexer.chunks(generation).of_document(key)) == 4

    asyncio.run(scenario())


def test_poisoned_messages_of_others_are_left_alone() -> None:
    """Another container's blobs, and dot-files, are no documents; what is no message raises."""
    assert path_of_message(b'{"ContainerName": "other", "BlobName": "a.md"}', "documents") is None
    assert path_of_message(b'{"ContainerName": "documents", "BlobName": ".x/a.md"}', "documents") is None
    assert path_of_message(b'{"ContainerName": "documents", "BlobName": "x/a.md"}', "documents") == "x/a.md"
    with pytest.raises(ValueError):
        path_of_message(b"[]", "documents")
