"""What a region tells of itself, of its rebuilds and its answers: true numbers, no invented ones."""

import asyncio
import logging
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from shared.freshness import LAG
from shared.health import HealthCheck
from shared.observe import UNKNOWN, observe
from shared.reconcile import REPORT, Reconciled
from shared.recovery.steps import STARTED, tidy_up
from shared.settings import Settings
from shared.telemetry import answered, rebuilt, record
from tests.conftest import new_generation, running


def test_an_empty_region_is_told_as_it_is(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Without a generation it is not ready and not healthy, with the failing check; what is not known is -1."""

    async def act() -> None:
        async with running(settings) as made:
            told = await observe(made, HealthCheck(made))
            assert (told["ready"], told["healthy"], told["failing"]) == (False, 0, "index")
            assert (told["documents"], told["problems"], told["index_lag_seconds"]) == (0, 0, 0)
            assert told["reconciled_seconds"] == UNKNOWN

    with caplog.at_level(logging.INFO, "shared.observe"):
        asyncio.run(act())
    (line,) = [record.getMessage() for record in caplog.records if record.name == "shared.observe"]
    assert line.startswith("observe region=local ready=False healthy=0 failing=index ")


def test_a_slow_change_is_lag_for_an_hour_and_not_for_ever(settings: Settings) -> None:
    """The lag of the last change counts while it is recent; an old one says nothing about now."""

    async def act() -> None:
        async with running(settings) as made:
            await new_generation(made)
            now = datetime.now(UTC)
            for minutes, lag in ((5, 2_000), (90, 0)):
                at = (now - timedelta(minutes=minutes)).isoformat()
                await made.state.write(LAG, {"seconds": 2_000.0, "path": "a.md", "at": at})
                told = await observe(made, HealthCheck(made), now)
                assert (told["healthy"], told["index_lag_seconds"]) == (1, lag)

    asyncio.run(act())


def test_an_index_that_stands_still_is_told(settings: Settings) -> None:
    """Where no event arrives nothing lags; the age of the last reconciliation and what it found tell all the same."""

    async def act() -> None:
        async with running(settings) as made:
            await new_generation(made)
            now = datetime.now(UTC)
            report = asdict(Reconciled(started="", found={"missing": 3, "stale": 2, "extra": 0}))
            await made.state.write(REPORT, {**report, "ended": (now - timedelta(hours=5)).isoformat()})
            told = await observe(made, HealthCheck(made), now)
            assert told["index_lag_seconds"] == 0
            assert (told["reconciled_seconds"], told["reconciled_missing"], told["reconciled_stale"]) == (18_000, 3, 2)

    asyncio.run(act())


def test_a_rebuild_that_does_not_end_is_told(settings: Settings) -> None:
    """From when it was accepted until it has its report its age is told; where there is none it is 0."""

    async def act() -> None:
        async with running(settings) as made:
            now = datetime.now(UTC)
            await made.state.write(STARTED, {"id": "1", "started": (now - timedelta(days=2)).isoformat()})
            assert (await observe(made, HealthCheck(made), now))["rebuild_seconds"] == 172_800
            await tidy_up(made, "1")
            assert (await observe(made, HealthCheck(made), now))["rebuild_seconds"] == 0

    asyncio.run(act())


def test_a_fact_with_a_blank_is_quoted(caplog: pytest.LogCaptureFixture) -> None:
    """A path may have blanks and equals signs: queries read the pairs of a line, not pairs from within a value."""
    with caplog.at_level(logging.INFO, "shared.telemetry"):
        record(
            logging.getLogger("shared.telemetry"), "converge", {"document": 'a b=c "d".pdf', "result": "quarantined"}
        )
    assert caplog.records[0].getMessage() == 'converge document="a b=c \\"d\\".pdf" result=quarantined'


def test_a_rebuild_and_an_answer_are_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """The line has sums where the report has parts; a cancelled rebuild, which reports less, is told all the same."""
    whole = {"id": "1", "status": "completed", "source": "primary", "documents": {"indexed": 15, "unchanged": 2}}
    with caplog.at_level(logging.INFO, "shared.telemetry"):
        rebuilt({**whole, "chunks": {"added": 146}, "seconds": {"planning": 0.14, "indexing": 0.3}})
        rebuilt({"id": "2", "status": "cancelled"})
        answered("documents-1", 6, 2, 0.0123, 0.5)
    assert [record.getMessage() for record in caplog.records] == [
        "rebuild id=1 status=completed source=primary documents=17 chunks=146 seconds=0.4",
        "rebuild id=2 status=cancelled source=- documents=0 chunks=0 seconds=0",
        "chat generation=documents-1 passages=6 cited=2 retrieval_ms=12 answer_ms=500",
    ]
