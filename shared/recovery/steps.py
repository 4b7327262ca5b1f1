"""The steps of a rebuild: what each activity does. Every step may run twice; the second run finds its work done.

State of a rebuild lives in the region's own storage below `recovery/{id}/`: the pages of its manifest, what each found
wrong, and at the end the report. The orchestration's history carries references to them, never their content.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from shared.clients import Services
from shared.errors import Refused
from shared.index.schema import IndexedChunk
from shared.lake.container import DocumentMoved
from shared.recovery import manifest
from shared.recovery.compare import Difference, compare
from shared.recovery.manifest import Cutter, Entry, Page
from shared.recovery.plan import SHOWN, Estimator, RebuildPlan, RebuildRequest, guard
from shared.recovery.probes import failed_probes
from shared.sync import Outcome

logger = logging.getLogger(__name__)

UNFINISHED = "recovery/unfinished.json"
FINDABLE = 1_000  # most results of one vector query


@dataclass(frozen=True, slots=True)
class Converged:
    """What converging some documents did: documents by result, chunks by what happened to them, failures by path.

    `waited` has the seconds that services made the work wait.
    """

    results: dict[str, int] = field(default_factory=dict)
    added: int = 0
    removed: int = 0
    embedded: int = 0
    waited: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)


# ---- plan ----------------------------------------------------------------------------------------------------------


async def plan_rebuild(services: Services, request: RebuildRequest, rebuild_id: str) -> RebuildPlan:
    """List the lake, write the manifest, and name the generation. Raises Refused when the guard stops it.

    No generation is created or deleted here. A lake that cannot be listed to its end raises: it is not an empty one.
    """
    settings = services.settings
    source = services.source(request.source)
    view = await source.view()
    estimator = Estimator(settings.chunk_target_tokens)
    listed = manifest.sorted_entries(view.documents(), source.indexer.document_id)
    entries = manifest.with_stored(listed, source.store.summaries())
    cutter = Cutter(settings.rebuild_page_documents, settings.rebuild_page_chunks, estimator.chunks_of)
    pages = 0
    async for page in cutter.cut(_counted(entries, estimator)):
        await services.state.write(page_name(rebuild_id, page.number), manifest.pack(page))
        pages += 1
    live = await services.generations.live()
    known = 0 if live is None else await source.indexer.chunks(live).count_documents()
    guard(estimator.documents, known, settings.rebuild_min_share, request.force)
    unfinished = await unfinished_generation(services) if request.resume else None
    return RebuildPlan(
        id=rebuild_id,
        generation=unfinished or f"{services.generations.alias}-{rebuild_id}",
        previous=live,
        source=request.source,
        resumed=unfinished is not None,
        pages=pages,
        documents=estimator.documents,
        bytes=estimator.bytes,
        estimate=estimator.estimate(
            settings.embedding_tokens_per_minute, settings.embedding_price, await measured_rate(services)
        ),
        last_sync_time=view.moment.isoformat() if view.moment else None,
        newer_count=len(view.newer),
        newer=[
            {"path": document.path, "version_id": document.version_id, "at": document.last_modified.isoformat()}
            for document in view.newer[:SHOWN]
        ],
    )


async def _counted(entries: AsyncIterator[Entry], estimator: Estimator) -> AsyncIterator[Entry]:
    async for entry in entries:
        estimator.add(entry)
        yield entry


async def measured_rate(services: Services) -> float | None:
    """Return the chunks a second of the last rebuild that indexed any, or None."""
    for name in reversed(await report_names(services)):
        report = await services.state.read(name)
        if isinstance(report, dict) and report.get("chunks_per_second"):
            return float(report["chunks_per_second"])
    return None


async def unfinished_generation(services: Services) -> str | None:
    """Return the generation that a rebuild left unfinished, if it is of this pipeline.

    The note of it is in the region's own storage. Where that is gone too, the newest generation beyond the live one is
    looked at: its chunks say of which pipeline they are.
    """
    existing = await services.generations.list()
    noted = await services.state.read(UNFINISHED)
    if noted:
        usable = noted["pipeline"] == services.pipeline and noted["generation"] in existing
        return str(noted["generation"]) if usable else None
    live = await services.generations.live()
    for name in reversed(existing):
        if live is not None and name <= live:
            return None
        async for chunk in services.indexer.chunks(name).all():
            return name if chunk.pipeline == services.pipeline else None
    return None


# ---- build ---------------------------------------------------------------------------------------------------------


async def create_generation(services: Services, plan: RebuildPlan) -> None:
    """Create the generation and note that it is unfinished, so that `resume` finds it after a crash."""
    noted = await services.state.read(UNFINISHED)
    if noted and noted["generation"] not in (plan.generation, await services.generations.live()):
        await services.generations.delete(noted["generation"])  # given up: this rebuild did not resume it
    await services.state.write(UNFINISHED, {"generation": plan.generation, "pipeline": services.pipeline})
    await services.generations.create(plan.generation)


async def index_page(services: Services, plan: RebuildPlan, number: int) -> Converged:
    """Make the generation hold every document of one page, and nothing else in the page's range.

    Until the swap nobody else writes to the generation, so the page's own reading of the index holds. A document that
    moved on in the lake meanwhile is left to catching up.
    """
    page = await read_page(services, plan.id, number)
    # A second run of this page, started while the first one was thought dead, waits until it really is.
    async with services.state.lease(f"{plan.generation}/page-{number}"):
        return await _converge_page(services, plan, page)


async def _converge_page(services: Services, plan: RebuildPlan, page: Page) -> Converged:
    """Bring every document of a page to its planned version, a few at once; delete what the lake does not have."""
    reading = services.source(plan.source)
    chunks = reading.indexer.chunks(plan.generation)
    have: dict[str, list[IndexedChunk]] = {entry.id: [] for entry in page.entries}
    extra: list[str] = []
    for chunk in await _present(services, plan, page):
        if chunk.document_id in have:
            have[chunk.document_id].append(chunk)
        else:
            extra.append(chunk.id)
    problems = {problem.document_id: problem for problem in await services.indexer.problems.list()}
    slots = asyncio.Semaphore(services.settings.converge_concurrency)

    async def one(entry: Entry) -> Outcome:
        async with slots:
            known = problems.get(entry.id)
            try:
                return await reading.indexer.bring(
                    entry.document, entry.id, have[entry.id], chunks, known, bool(known), entry.pointer
                )
            except DocumentMoved:
                return Outcome(entry.document.path, "ignored", reason="moved")

    outcomes = await _all(one(entry) for entry in page.entries)
    await chunks.delete(extra)
    return _summed(outcomes, removed=len(extra))


async def _present(services: Services, plan: RebuildPlan, page: Page) -> list[IndexedChunk]:
    """Return the chunks in a page's range. Those of documents that a verification would fault lose their pipeline, so
    that they are written again whole.
    """
    chunks = services.source(plan.source).indexer.chunks(plan.generation)
    found = [chunk async for chunk in chunks.between(page.start, page.end)]
    if not plan.resumed or not found:
        return found
    wrong = set((await _compare(services, plan, page, found)).paths)
    return [replace(chunk, pipeline="") if chunk.path in wrong else chunk for chunk in found]


# ---- catch up ------------------------------------------------------------------------------------------------------


async def catch_up(services: Services, plan: RebuildPlan, round_: int) -> int:
    """List the lake again and bring the manifest up to date; returns how many pages have to be converged again.

    Their numbers are kept for `changed_page`. The pages keep their ranges, so nothing falls between two of them.
    """
    changed: list[int] = []
    async for page, now in _pages_now(services, plan):
        if any(True for _ in manifest.changed(page.entries, now)):
            fresh = Page(page.number, page.start, page.end, tuple(now))
            await services.state.write(page_name(plan.id, page.number), manifest.pack(fresh))
            changed.append(page.number)
    await services.state.write(round_name(plan.id, round_), changed)
    return len(changed)


async def changed_page(services: Services, rebuild_id: str, round_: int, position: int) -> int:
    """Return the number of the page at a position in the list of a catch-up round."""
    numbers = await services.state.read(round_name(rebuild_id, round_))
    if numbers is None:
        raise LookupError(f"round {round_} of rebuild {rebuild_id} is gone from the regional storage")
    return int(numbers[position])


async def follow_live(services: Services, plan: RebuildPlan) -> Converged:
    """After the swap: converge every document that changed since the last round of catching up.

    The event of such a change may have gone to the generation before. From now on events write to this one as well, so
    each document is converged by itself, under its lease.
    """
    indexer = services.source(plan.source).indexer
    slots = asyncio.Semaphore(services.settings.converge_concurrency)
    outcomes: list[Outcome] = []

    async def one(path: str) -> Outcome:
        async with slots:
            return await indexer.converge(path, plan.generation)

    async for before, now in _pages_now(services, plan):
        outcomes += await _all(one(path) for path in manifest.changed(before.entries, now))
    return _summed(outcomes)


async def _pages_now(services: Services, plan: RebuildPlan) -> AsyncIterator[tuple[Page, list[Entry]]]:
    """Yield every page of the manifest with the entries that its range has in the lake now."""
    source = services.source(plan.source)
    view = await source.view()
    listed = manifest.sorted_entries(view.documents(), source.indexer.document_id)
    entries = manifest.with_stored(listed, source.store.summaries())
    next_ = await anext(entries, None)
    for number in range(plan.pages):
        page = await read_page(services, plan.id, number)
        held: list[Entry] = []
        while next_ is not None and next_.id < page.end:
            held.append(next_)
            next_ = await anext(entries, None)
        yield page, held


# ---- verify and swap -----------------------------------------------------------------------------------------------


async def verify_page(services: Services, plan: RebuildPlan, number: int) -> dict[str, Any]:
    """Compare one page's range of the index with its documents in the lake; returns the difference's summary."""
    page = await read_page(services, plan.id, number)
    chunks = services.source(plan.source).indexer.chunks(plan.generation)
    found = [chunk async for chunk in chunks.between(page.start, page.end)]
    difference = await _compare(services, plan, page, found)
    if difference.faults:
        logger.warning("verify page=%d faults=%s", number, difference.summary())
    return difference.summary()


async def _compare(services: Services, plan: RebuildPlan, page: Page, found: list[IndexedChunk]) -> Difference:
    chunks = services.source(plan.source).indexer.chunks(plan.generation)
    findable: set[str] = set()
    for start in range(0, len(found), FINDABLE):
        part = found[start : start + FINDABLE]
        end = found[start + FINDABLE].id if start + FINDABLE < len(found) else page.end
        findable |= await chunks.findable(part[0].id, end, services.settings.embedding_dimensions, FINDABLE)
    unreadable = {
        problem.document_id: problem.etag
        for problem in await services.indexer.problems.list()
        if problem.pipeline == services.pipeline
    }
    return compare(page, found, frozenset(findable), unreadable, services.pipeline)


async def probe(services: Services, plan: RebuildPlan) -> list[dict[str, str]]:
    """Ask the lake's probe questions of the new generation; returns those whose document was not found."""
    return await failed_probes(services, services.source(plan.source).lake, plan.generation)


async def swap_alias(services: Services, plan: RebuildPlan) -> None:
    """Make the generation the one that answers, in one step. Raises Refused when the rebuild was cancelled."""
    if await services.state.read(cancel_name(plan.id)):
        raise Refused(f"rebuild {plan.id} was cancelled")
    await services.generations.go_live(plan.generation)
    await services.state.write(
        verified_name(plan.generation), {"rebuild": plan.id, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    )
    await services.state.remove(UNFINISHED)


async def retire_generations(services: Services) -> list[str]:
    """Delete generations beyond the number that is kept; the live one is never among them."""
    live = await services.generations.live()
    others = [name for name in await services.generations.list() if name != live]
    kept_beside_live = services.settings.generations_kept - 1
    gone = others[: max(0, len(others) - kept_beside_live)]
    for name in gone:
        await services.generations.delete(name)
        await services.state.remove(verified_name(name))
    return gone


async def write_report(services: Services, report: dict[str, Any]) -> None:
    """Keep the report where `GET /api/recovery/{id}` finds it, and drop the manifest, which nothing needs any more."""
    await services.state.write(report_name(report["id"]), report)
    for part in ("pages", "rounds"):
        for name in await services.state.names(f"recovery/{report['id']}/{part}/"):
            await services.state.remove(name)


# ---- names and sums ------------------------------------------------------------------------------------------------


async def read_page(services: Services, rebuild_id: str, number: int) -> Page:
    """Return a page of a rebuild's manifest. Raises LookupError when it is gone."""
    value = await services.state.read(page_name(rebuild_id, number))
    if value is None:
        raise LookupError(f"page {number} of rebuild {rebuild_id} is gone from the regional storage")
    return manifest.unpack(value)


async def report_names(services: Services) -> list[str]:
    """Return where the reports are kept, oldest first."""
    return [name for name in await services.state.names("recovery/") if name.endswith("/report.json")]


def page_name(rebuild_id: str, number: int) -> str:
    """Return where a page of a rebuild's manifest is kept."""
    return f"recovery/{rebuild_id}/pages/{number:06d}.json"


def round_name(rebuild_id: str, round_: int) -> str:
    """Return where the page numbers of a catch-up round are kept."""
    return f"recovery/{rebuild_id}/rounds/{round_:03d}.json"


def cancel_name(rebuild_id: str) -> str:
    """Return where it is noted that a rebuild was cancelled."""
    return f"recovery/{rebuild_id}/cancelled.json"


def report_name(rebuild_id: str) -> str:
    """Return where a rebuild's report is kept."""
    return f"recovery/{rebuild_id}/report.json"


def verified_name(generation: str) -> str:
    """Return where it is noted that a generation was verified: only such a one may answer."""
    return f"generations/{generation}.json"


def new_rebuild_id(now: datetime) -> str:
    """Return the id of a rebuild started at `now`: its seconds in UTC, which also name its generation."""
    return f"{now.astimezone(UTC):%Y%m%d%H%M%S}"


async def _all(work: Iterable[Awaitable[Outcome]]) -> list[Outcome]:
    """Await everything; then raise the first fault of a service, if there was one.

    What converged meanwhile costs nothing when the activity is tried again.
    """
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Outcome)]


def _summed(outcomes: Iterable[Outcome], removed: int = 0) -> Converged:
    done = list(outcomes)
    return Converged(
        results=dict(Counter(outcome.result for outcome in done)),
        added=sum(outcome.added for outcome in done),
        removed=removed + sum(outcome.removed for outcome in done),
        embedded=sum(outcome.embedded for outcome in done),
        waited=round(sum(outcome.waited for outcome in done), 3),
        failures={outcome.path: outcome.reason for outcome in done if outcome.result == "quarantined"},
    )
