"""A rebuild while people ask and documents change: nobody notices, and nothing is lost."""

import asyncio
import random
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.rebuild_lake import MadeUpLake, fill
from bench.rebuild_region import MeasuredRegion
from shared.clients import Services

TEAMS = ("otter", "falcon", "badger", "heron", "lynx", "marten", "osprey", "viper", "walrus", "yak")
READERS = 2
DEADLINE_SECONDS = 240.0
BETWEEN_CHANGES = 0.2


def path_of(team: str) -> str:
    return f"teams/{team}.md"


def text_of(team: str, version: int) -> str:
    return f"# Team {team}\n\nThe code word of team {team} is {team}-{version:05d}.\n"


def question(team: str) -> str:
    return f"What is the code word of team {team}?"


@dataclass
class Watch:
    """What was written, what was answered, and what went wrong."""

    written: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    present: set[str] = field(default_factory=set)
    changes: int = 0
    answers: int = 0
    by_phase: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    faults: list[str] = field(default_factory=list)


class Live:
    """Readers and a writer, side by side with whatever else happens in a region."""

    def __init__(self, region: MeasuredRegion, services: Services, seed: int) -> None:
        self.watch = Watch()
        self._region = region
        self._documents = services.lake_account.get_container_client(services.settings.lake_container)
        self._draw = random.Random(seed)
        self._stop = asyncio.Event()

    async def write(self, team: str) -> None:
        """Write the next version of a team's note."""
        self.watch.written[team] += 1
        self.watch.present.add(team)
        content = text_of(team, self.watch.written[team]).encode()
        await self._documents.upload_blob(path_of(team), content, overwrite=True)
        self.watch.changes += 1

    async def remove(self, team: str) -> None:
        """Delete a team's note."""
        self.watch.present.discard(team)
        await self._documents.delete_blob(path_of(team))
        self.watch.changes += 1

    async def change(self) -> None:
        """Change one note after the other: mostly a new version, at times a deletion."""
        while not await self._stopped(BETWEEN_CHANGES):
            team = self._draw.choice(TEAMS)
            if team in self.watch.present and self._draw.random() < 0.2:
                await self.remove(team)
            else:
                await self.write(team)

    async def read(self) -> None:
        """Ask about one team after the other; no answer may be older than one before it."""
        seen: defaultdict[str, int] = defaultdict(int)
        while not await self._stopped(0.0):
            team = self._draw.choice(TEAMS)
            version = await self.ask(team)
            if version is not None and version < seen[team]:
                self.watch.faults.append(f"{team} went back from {seen[team]} to {version}")
            seen[team] = max(seen[team], version or 0)

    async def ask(self, team: str) -> int | None:
        """Return the version that an answer about a team has, or None where it has none."""
        body = {"messages": [{"role": "user", "content": question(team)}]}
        try:
            reply = await asyncio.to_thread(self._region.request, "/api/chat", body)
        except OSError as fault:
            self.watch.faults.append(f"{team}: {fault!r}")
            return None
        self.watch.answers += 1
        found = {int(version) for version in re.findall(rf"{team}-(\d+)", reply["message"]["content"])}
        if len(found) > 1:
            self.watch.faults.append(f"{team} has versions {sorted(found)} in one answer")
        return max(found, default=None)

    def stop(self) -> None:
        """Let readers and writer end after what they are at."""
        self._stop.set()

    async def _stopped(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stop.wait(), max(seconds, 0.001))
        except TimeoutError:
            return False
        return True


async def until(holds: Callable[[], Awaitable[bool]], what: str, region: MeasuredRegion) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await holds():
        assert time.monotonic() < deadline, (what, region.log.read_text()[-3000:])
        await asyncio.sleep(0.2)


async def rebuilt_under_load(folder: Path, documents: int, chunks: int) -> dict[str, Any]:
    """Rebuild an index of documents x chunks under load; returns the report."""
    lake = MadeUpLake(documents, chunks, dimensions=384)
    region = MeasuredRegion(folder, lake.dimensions)
    async with region.running():
        services = region.services()
        await fill(services, lake)
        async with region.host():
            await region.rebuild(reason="first", force=True)
        await services.close()
    region = MeasuredRegion(folder, lake.dimensions, events=True)  # the same, with what has been made, and its events
    async with region.running(), region.host():
        services = region.services()
        live = Live(region, services, seed=3)
        for team in TEAMS:
            await live.write(team)

        async def current() -> bool:
            return [await live.ask(team) for team in TEAMS] == [live.watch.written[team] for team in TEAMS]

        await until(current, "the first notes are found", region)
        at_work = [asyncio.create_task(one) for one in (live.change(), *(live.read() for _ in range(READERS)))]
        changes_before = live.watch.changes
        report = await region.rebuild(reason="live")
        during = live.watch.changes - changes_before
        answered = live.watch.answers
        # Readers go on until each has asked about every team after the swap.
        await until(lambda: _more(live, answered + 40), "answers go on after the swap", region)
        live.stop()
        await asyncio.gather(*at_work)

        assert live.watch.faults == []
        assert during > 0
        generation = report["plan"]["generation"]
        assert (report["status"], await services.generations.live()) == ("completed", generation)

        async def settled() -> bool:
            want = [live.watch.written[team] if team in live.watch.present else None for team in TEAMS]
            return [await live.ask(team) for team in TEAMS] == want

        await until(settled, "every answer is of the last version", region)
        index = services.search_client(generation)
        assert await index.get_document_count() == documents * chunks + len(live.watch.present)
        outcomes = [await services.indexer.converge(path_of(team), generation) for team in TEAMS]
        assert {outcome.result for outcome in outcomes} <= {"unchanged", "absent"}
        await services.close()
    report["live"] = {"changes": during, "answers": answered}
    return report


async def _more(live: Live, answers: int) -> bool:
    return live.watch.answers >= answers


@pytest.mark.slow
def test_a_rebuild_disturbs_neither_readers_nor_writers(tmp_path: Path) -> None:
    """While 50,000 chunks are rebuilt no question fails and no answer goes back to an earlier version; afterwards the
    new generation has every change that was made meanwhile.
    """
    report = asyncio.run(rebuilt_under_load(tmp_path, documents=1_000, chunks=50))
    print(f"during the rebuild: {report['live']}")
    assert report["live"]["changes"] > 20
    assert report["chunks"]["added"] >= 50_000
