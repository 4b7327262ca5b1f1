"""The index is a function of the lake: however it was made, it holds the same, field by field and vector by vector."""

import asyncio
import random
from dataclasses import replace

import pytest

from shared.clients import Services
from shared.recovery import steps
from shared.recovery.plan import RebuildRequest
from tests.conftest import new_generation, put, remove, running
from tests.shared.recovery.replicated import Replicated
from tests.shared.recovery.test_steps import build, content

FROM_PRIMARY = RebuildRequest("test", "primary", dry_run=False, force=True, resume=False)
FROM_SECONDARY = replace(FROM_PRIMARY, source="secondary")
PATHS = ("a.md", "b.md", "folder/c.md", "folder/d.txt", "e.md")
SENTENCES = tuple(f"Sentence {n} says that box {n} weighs {n * 7} kilograms and has shade {n}." for n in range(24))
UNREADABLE = " "  # quarantined as empty
OPERATIONS = 40


class History:
    """Random changes to a lake. Each returns the paths that have an event for it."""

    def __init__(self, made: Services, seed: int) -> None:
        self._made = made
        self._draw = random.Random(seed)
        self._texts: dict[str, str] = {}
        self._before: list[str] = []

    @property
    def paths(self) -> set[str]:
        """The documents that the lake has."""
        return set(self._texts)

    async def change(self) -> list[str]:
        """Make one change."""
        writes = (self._write, self._write, self._write, self._restore, self._relabel, self._spoil)
        kinds = (*writes, self._delete, self._rename)
        return await self._draw.choice(kinds)(self._draw.choice(PATHS))

    async def _write(self, path: str) -> list[str]:
        parts = [f"# {path}"]
        for section in range(self._draw.randint(1, 3)):
            body = " ".join(self._draw.choices(SENTENCES, k=self._draw.randint(1, 12)))
            parts += [f"## Part {section}", body]
        return await self._put(path, "\n\n".join(parts))

    async def _put(self, path: str, text: str, groups: str = "") -> list[str]:
        await put(self._made, path, text, {"allowed_groups": groups} if groups else None)
        self._texts[path] = text
        self._before.append(text)
        return [path]

    async def _spoil(self, path: str) -> list[str]:
        return await self._put(path, UNREADABLE, self._draw.choice(("", "staff")))

    async def _delete(self, path: str) -> list[str]:
        if self._texts.pop(path, None) is None:
            return []
        await remove(self._made, path)
        return [path]

    async def _rename(self, path: str) -> list[str]:
        text = self._texts.get(path)
        if text is None:
            return []
        return [*await self._put(self._draw.choice(PATHS), text), *await self._delete(path)]

    async def _restore(self, path: str) -> list[str]:
        return await self._put(path, self._draw.choice(self._before)) if self._before else []

    async def _relabel(self, path: str) -> list[str]:
        text = self._texts.get(path)
        return [] if text is None else await self._put(path, text, self._draw.choice(("board", "staff, board")))


async def forget_problems(made: Services) -> None:
    """Lose what the region's own storage knows of unreadable versions."""
    for problem in await made.indexer.problems.list():
        await made.indexer.problems.clear(problem.document_id)


@pytest.mark.parametrize("seed", range(6))
def test_events_a_rebuild_and_the_replica_make_the_same_index(replicated: Replicated, seed: int) -> None:
    """After a random history the index that events have made, one that is recomputed, and one that is recomputed from
    the replica at its cut are equal, also where the newest version cannot be read; recomputing embeds nothing, though
    changes after the cut are lost to the replica. Regions without their own state know of no problem before.
    """

    async def scenario() -> None:
        draw = random.Random(seed)
        async with running(replicated.settings) as made:
            generation = await new_generation(made)
            history = History(made, seed)
            for _ in range(OPERATIONS):
                events = await history.change()
                events *= draw.choice((1, 1, 2))  # delivered at least once
                draw.shuffle(events)
                for path in events:
                    await made.indexer.converge(path, generation)
            by_events = await content(made, generation)
            replicated.catch_up()
            replicated.lag(3_600)

            await forget_problems(made)
            plan, done = await build(made, "20260101000000", FROM_PRIMARY)
            assert (done["embedded"], done["added"]) == (0, len(by_events))
            assert await content(made, plan.generation) == by_events
            unreadable = {problem.path for problem in await made.indexer.problems.list()}
            assert {path for path in history.paths if path not in unreadable} <= {chunk["path"] for chunk in by_events}
            assert len(history.paths) == plan.documents > 0
            await forget_problems(made)

            for _ in range(5):
                await history.change()  # after the cut
            cut, done = await build(made, "20260101000001", FROM_SECONDARY)
            assert (done["embedded"], cut.documents) == (0, plan.documents)
            assert await content(made, cut.generation) == by_events
            assert all(len(chunk["content_vector"]) == made.settings.embedding_dimensions for chunk in by_events)
            await steps.retire_generations(made)

    asyncio.run(scenario())
