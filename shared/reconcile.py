"""Reconcile: compare the whole lake with the live index and converge what differs. The answer to events that were lost.

Both sides are walked in the order of document ids, a page at a time, so memory does not grow with the lake. A run ends
after its time; the next one goes on where it stopped. In a healthy system it finds nothing.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.clients import Services
from shared.recovery.compare import KINDS, Difference, compare
from shared.recovery.manifest import FIRST_ID, LAST_ID, Cutter, Entry, sorted_entries

logger = logging.getLogger(__name__)

POSITION = "reconcile/position.json"
REPORT = "reconcile/report.json"
PAGE_DOCUMENTS, PAGE_CHUNKS = 200, 4_000
RUN_SECONDS = 240.0  # below the time that an HTTP call or a timer's run may take
SHOWN = 50
NOTHING_DONE = frozenset({"unchanged", "absent", "ignored"})


@dataclass(slots=True)
class Reconciled:
    """What one run found and did. `finished` says whether it came to the end of the lake; times are ISO, in UTC."""

    started: str
    generation: str | None = None
    documents: int = 0
    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    paths: list[str] = field(default_factory=list)
    results: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    finished: bool = False
    ended: str = ""

    @property
    def differences(self) -> int:
        """Number of documents that differed."""
        return sum(self.found.values())


async def reconcile(services: Services, run_seconds: float = RUN_SECONDS) -> dict[str, Any]:
    """Compare and converge until the end of the lake or of the time; returns the report, which is also kept.

    One run at a time: raises Throttled while another one goes on.
    """
    async with services.state.lease("reconcile", wait_seconds=0.0):
        report = Reconciled(started=_now(), generation=await services.generations.live())
        if report.generation is not None:
            await _run(services, report.generation, report, time.monotonic() + run_seconds)
        report.ended = _now()
        logger.info(
            "reconcile generation=%s documents=%d differences=%d failed=%d finished=%s",
            report.generation,
            report.documents,
            report.differences,
            len(report.failed),
            report.finished,
        )
        value = asdict(report)
        await services.state.write(REPORT, value)
        return value


async def last_report(services: Services) -> dict[str, Any] | None:
    """Return the report of the last run, or None before the first."""
    value = await services.state.read(REPORT)
    return value if isinstance(value, dict) else None


async def _run(services: Services, generation: str, report: Reconciled, deadline: float) -> None:
    position = await services.state.read(POSITION)
    start = position["id"] if position and position["generation"] == generation else FIRST_ID
    indexer = services.indexer
    entries = _from(sorted_entries(services.lake.list(), indexer.document_id), start)
    cutter = Cutter(PAGE_DOCUMENTS, PAGE_CHUNKS, lambda entry: 1 + entry.document.size // 1_000)
    begin = start
    async for page in cutter.cut(entries):
        chunks = [chunk async for chunk in indexer.chunks(generation).between(begin, page.end)]
        unreadable = {
            problem.document_id: problem.etag
            for problem in await indexer.problems.list()
            if problem.pipeline == services.pipeline
        }
        # Whether each chunk has a vector is verified before a generation answers; here it is taken as read.
        findable = frozenset(chunk.id for chunk in chunks)
        difference = compare(page, chunks, findable, unreadable, services.pipeline)
        report.documents += len(page.entries)
        await _converge(services, generation, difference, report)
        begin = page.end
        if time.monotonic() > deadline and page.end != LAST_ID:
            await services.state.write(POSITION, {"generation": generation, "id": page.end})
            return
    report.finished = True
    await services.state.remove(POSITION)


async def _from(entries: AsyncIterator[Entry], start: str) -> AsyncIterator[Entry]:
    async for entry in entries:
        if entry.id >= start:
            yield entry


async def _converge(services: Services, generation: str, difference: Difference, report: Reconciled) -> None:
    """Converge what differs. What an event converged in the meantime differs no more, and is not counted."""
    slots = asyncio.Semaphore(services.settings.converge_concurrency)

    async def one(path: str) -> str:
        async with slots:
            return (await services.indexer.converge(path, generation)).result

    paths = difference.paths
    outcomes = await asyncio.gather(*(one(path) for path in paths), return_exceptions=True)
    for path, outcome in zip(paths, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            logger.warning("reconcile document=%s fault=%r", path, outcome)
            report.failed[path] = str(outcome)
        elif outcome in NOTHING_DONE:
            continue
        else:
            report.results = dict(Counter(report.results) + Counter([outcome]))
        kind = next(kind for kind in KINDS if path in getattr(difference, kind))
        report.found[kind] += 1
        if len(report.paths) < SHOWN:
            report.paths.append(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
