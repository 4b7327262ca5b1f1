"""The collection of embeddings that nothing needs, as the timer starts it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.collect import collect_unneeded
from shared.errors import Throttled
from shared.settings import Settings
from tests.conftest import new_generation, put, remove, running


def test_what_a_deleted_document_had_goes_after_the_grace_period(settings: Settings) -> None:
    """The pointer is marked, then removed, then the record: a document in the lake embeds nothing when indexed anew."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            for path in ("stays.md", "goes.md"):
                await put(made, path, f"# {path}\n\nWhat {path} says.")
                await made.indexer.converge(path, generation)
            await remove(made, "goes.md")
            await made.indexer.converge("goes.md", generation)
            grace = timedelta(hours=settings.embedding_grace_hours + 1)
            first = await collect_unneeded(made)
            second = await collect_unneeded(made, datetime.now(UTC) + grace)
            third = await collect_unneeded(made, datetime.now(UTC) + 2 * grace)
            assert first and second and third
            assert (first.marked, first.removed_pointers, first.removed_records) == (1, 0, 0)
            assert (second.marked, second.removed_pointers, second.removed_records) == (1, 1, 0)
            assert (third.marked, third.removed_pointers, third.removed_records) == (0, 0, 1)
            other = made.generations.name_at(datetime.now(UTC) + timedelta(minutes=1))
            await made.generations.create(other)
            assert (await made.indexer.converge("stays.md", other)).embedded == 0
            await put(made, "goes.md", "# goes.md\n\nWhat goes.md says.")
            assert (await made.indexer.converge("goes.md", other)).embedded == 1

    asyncio.run(scenario())


def test_nothing_is_written_where_nothing_may_be(settings: Settings) -> None:
    """Before an account failover the lake's account is only read."""

    async def scenario() -> None:
        async with running(replace(settings, lake_read_only=True)) as made:
            assert await collect_unneeded(made) is None

    asyncio.run(scenario())


def test_one_run_at_a_time(settings: Settings) -> None:
    """While one goes on, another is asked to wait."""

    async def scenario() -> None:
        async with running(settings) as made, made.state.lease("collect"):
            with pytest.raises(Throttled):
                await collect_unneeded(made)

    asyncio.run(scenario())
