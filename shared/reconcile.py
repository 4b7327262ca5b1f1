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

from shared.bounded import said, within
from shared.clients import Services
from shared.index.schema import IndexedChunk
from shared.problems import Problem
from shared.recovery.compare import KINDS, Difference, compare
from shared.recovery.manifest import FIRST_ID, LAST_ID, Cutter, Entry, Page, sorted_entries

logger = logging.getLogger(__name__)

POSITION = "reconcile/position.json"
REPORT = "reconcile/report.json"
PAGE_DOCUMENTS, PAGE_CHUNKS = 200, 4_000
RUN_SECONDS = 180.0  # with the last seconds of what is under way then, below the 230 s that an HTTP call may take
SHOWN = 50
NOTHING_DONE = frozenset({"unchanged", "absent", "ignored"})


@dataclass(slots=True)
class Reconciled:
    """What one run found and did. `finished` says whether it came to the end of the lake; times are ISO, in UTC.

    `found` and `results` count documents, by what was wrong and by what became of them; `paths` are the first of them,
    `failed` says why some failed.
    """

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
        value = await bring_up(services, await services.generations.live(), run_seconds)
        await services.state.write(REPORT, value)
        return value


async def bring_up(
    services: Services, generation: str | None, run_seconds: float, *, afresh: bool = False, content: bool = True
) -> dict[str, Any]:
    """Make a generation what the lake is, as far as the time allows; returns the report.

    The next run on the same generation goes on where this one stopped. A generation that was not followed is looked at
    `afresh`: from the first document on, and also at those that are known to be unreadable. Without `content` only
    deletions are followed, and who may see what. Runs at once do no harm to each other.
    """
    report = Reconciled(started=_now(), generation=generation)
    if afresh:
        await services.state.remove(POSITION)
    if generation is not None:
        await _Run(services, generation, report, time.monotonic() + run_seconds, afresh, content).run()
    report.ended = _now()
    logger.info(
        "reconcile generation=%s documents=%d differences=%d failed=%d finished=%s",
        report.generation,
        report.documents,
        report.differences,
        len(report.failed),
        report.finished,
    )
    return asdict(report)


async def last_report(services: Services) -> dict[str, Any] | None:
    """Return the report of the last run, or None before the first."""
    value = await services.state.read(REPORT)
    return value if isinstance(value, dict) else None


@dataclass(slots=True)
class _Run:
    """One run over a generation, see `bring_up`. Nothing is begun after `deadline`, by the monotonic clock."""

    services: Services
    generation: str
    report: Reconciled
    deadline: float
    afresh: bool
    content: bool

    async def run(self) -> None:
        """Compare and converge page by page."""
        services, generation = self.services, self.generation
        position = await services.state.read(POSITION)
        begin = position["id"] if position and position["generation"] == generation else FIRST_ID
        indexer = services.indexer
        # What another pipeline has built is compared with what that one would have made of the lake.
        other = await indexer.chunks(generation).other_pipeline(services.pipeline)
        pipeline = other or services.pipeline
        entries = _from(sorted_entries(services.lake.list(), indexer.document_id), begin)
        cutter = Cutter(PAGE_DOCUMENTS, PAGE_CHUNKS, lambda entry: 1 + entry.document.size // 1_000)
        async for page in cutter.cut(entries):
            chunks = await _with_a_document(services, generation, begin, page.end, self.report)
            problems = await indexer.problems.between(begin, page.end)
            known = () if self.afresh else problems
            unreadable = {one.document_id: one.etag for one in known if one.pipeline == pipeline}
            # Whether each chunk has a vector is verified before a generation answers; here it is taken as read.
            findable = frozenset(chunk.id for chunk in chunks)
            difference = compare(page, chunks, findable, unreadable, pipeline)
            if not await self._converge(difference, may_rewrite=other is None):
                await services.state.write(POSITION, {"generation": generation, "id": begin})
                return
            self.report.documents += len(page.entries)
            await _settle(services, generation, page, problems, difference)
            begin = page.end
            if time.monotonic() > self.deadline and page.end != LAST_ID:
                await services.state.write(POSITION, {"generation": generation, "id": page.end})
                return
        self.report.finished = True
        await services.state.remove(POSITION)

    async def _converge(self, difference: Difference, *, may_rewrite: bool) -> bool:
        """Converge what differs; returns whether there was time for all of it. Whatever the deadline, the first few are
        converged, so that every run gets further. What an event converged in the meantime differs no more, and is not
        counted.
        """
        services, generation, report = self.services, self.generation, self.report

        async def one(path: str) -> str:
            if not self.content:
                return (await services.indexer.withdraw(path, generation)).result
            outcome = await services.indexer.converge(path, generation)
            if may_rewrite and outcome.result == "unchanged" and await _is_wrong(services, generation, path):
                outcome = await services.indexer.converge(path, generation, rewrite=True)
            return outcome.result

        paths, at_once = difference.paths, services.settings.converge_concurrency
        outcomes = await within(self.deadline - time.monotonic(), paths, one, at_once)
        for path, outcome in zip(paths, outcomes, strict=True):
            if outcome is None:
                continue
            if isinstance(outcome, BaseException):
                logger.warning("reconcile document=%s fault=%r", path, outcome)
                report.failed[path] = said(outcome)
                outcome = "failed"
            elif outcome in NOTHING_DONE:
                continue
            report.results = dict(Counter(report.results) + Counter([outcome]))
            kind = next(kind for kind in KINDS if path in getattr(difference, kind))
            report.found[kind] += 1
            if len(report.paths) < SHOWN:
                report.paths.append(path)
        return None not in outcomes


async def _with_a_document(
    services: Services, generation: str, begin: str, end: str, report: Reconciled
) -> list[IndexedChunk]:
    """Return the chunks in a range of keys, and delete those that no path leads to: converging the path that such a
    chunk names would look at another range.
    """
    indexer = services.indexer
    index = indexer.chunks(generation)
    found = [chunk async for chunk in index.between(begin, end)]
    lost = [chunk for chunk in found if not _belongs(chunk, indexer.document_id(chunk.path))]
    if lost:
        logger.warning("reconcile generation=%s chunks_without_document=%d", generation, len(lost))
        await index.delete([chunk.id for chunk in lost])
        report.found["extra"] += len(lost)
        report.results = dict(Counter(report.results) + Counter(deleted=len(lost)))
    gone = {chunk.id for chunk in lost}
    return [chunk for chunk in found if chunk.id not in gone]


def _belongs(chunk: IndexedChunk, document: str) -> bool:
    return chunk.document_id == document and chunk.id.startswith(f"{document}-")


async def _from(entries: AsyncIterator[Entry], start: str) -> AsyncIterator[Entry]:
    async for entry in entries:
        if entry.id >= start:
            yield entry


async def _is_wrong(services: Services, generation: str, path: str) -> bool:
    """Whether the index says of a document what is not so, though its version is the lake's: it was tampered with."""
    key = services.indexer.document_id(path)
    document, chunks = await asyncio.gather(
        services.lake.head(path), services.indexer.chunks(generation).of_document(key)
    )
    page = Page(0, key, key, (Entry(key, document),) if document else ())
    return bool(compare(page, chunks, frozenset(chunk.id for chunk in chunks), {}, services.pipeline).faults)


async def _settle(
    services: Services, generation: str, page: Page, problems: list[Problem], difference: Difference
) -> None:
    """Take documents off the list of problems that are gone or have been indexed since, where a crash or a lost event
    has left them on it.
    """
    current = {entry.id: entry.document.etag for entry in page.entries}
    for problem in problems:
        if current.get(problem.document_id) != problem.etag and problem.path not in difference.paths:
            await services.indexer.converge(problem.path, generation)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
