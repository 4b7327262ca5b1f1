"""The steps of a rebuild: what each activity does. Every step may run twice; the second run finds its work done.

State of a rebuild lives in the region's own storage below `recovery/{id}/`: the pages of its manifest, what each found
wrong, and at the end the report. The orchestration's history carries references to them, never their content.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import AzureError

from shared.built import verified_name
from shared.clients import Services
from shared.embeddings.store import StoredSummary
from shared.errors import NotReady, Refused
from shared.follow import join, leave
from shared.index.schema import IndexedChunk
from shared.lake.container import DocumentMoved
from shared.problems import Problem
from shared.recovery import manifest
from shared.recovery.compare import Difference, compare
from shared.recovery.manifest import Cutter, Entry, Page
from shared.recovery.overlap import overlapped
from shared.recovery.plan import EMPTY, Estimator, RebuildPlan, RebuildRequest, guard, plan_from
from shared.recovery.probes import failed_probes
from shared.sync import Outcome, distrusted
from shared.telemetry import rebuilt

logger = logging.getLogger(__name__)

STARTED = "recovery/started.json"  # the rebuild that was accepted and has no report yet
UNFINISHED = "recovery/unfinished.json"  # the generation that is being built, or was given up
FINDABLE = 1_000  # most results of one vector query
PAGES_AT_ONCE = 8  # of a manifest that is written or read from one end to the other


@dataclass(frozen=True, slots=True)
class Converged:
    """What converging some documents did: documents by result, chunks by what happened to them, failures by path.

    `waited` has the seconds that services made the work wait. The model charged `tokens_embedded`; `tokens_reused` it
    would have charged for vectors that were stored.
    """

    results: dict[str, int] = field(default_factory=dict)
    added: int = 0
    removed: int = 0
    embedded: int = 0
    waited: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)
    tokens_embedded: int = 0
    tokens_reused: int = 0


# ---- plan ----------------------------------------------------------------------------------------------------------


async def plan_rebuild(services: Services, request: RebuildRequest, rebuild_id: str) -> RebuildPlan:
    """List the lake, write the manifest, and name the generation. Raises Refused when the guard stops it.

    No generation is created or deleted here. A lake that cannot be listed to its end raises: it is not an empty one.
    """
    settings = services.settings
    if before := await _swapped(services, rebuild_id):
        return before
    source = services.source(request.source)
    view = await source.view()
    estimator = Estimator(settings.chunk_target_tokens)
    listed = manifest.sorted_entries(view.documents(), source.indexer.document_id)
    stored = _Counting(source.store.summaries())
    entries = manifest.with_stored(listed, stored)
    cutter = Cutter(settings.rebuild_page_documents, settings.rebuild_page_chunks, estimator.chunks_of)
    cut = cutter.cut(_counted(entries, estimator))
    writes = (services.state.write(page_name(rebuild_id, page.number), manifest.pack(page)) async for page in cut)
    pages = sum([1 async for _ in overlapped(writes, PAGES_AT_ONCE)])
    live = await services.generations.live()
    known = None if live is None else await source.indexer.chunks(live).count_documents()
    guard(estimator.documents, known, await stored.count_all(), settings.rebuild_min_share, request.force)
    unfinished = await unfinished_generation(services) if request.resume else None
    plan = RebuildPlan(
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
        newer_count=view.newer.count,
        newer=[
            {"path": document.path, "version_id": document.version_id, "at": document.last_modified.isoformat()}
            for document in view.newer.first
        ],
        pipeline=services.pipeline,
    )
    if not request.dry_run:
        await services.state.write(plan_name(rebuild_id), asdict(plan))
    return plan


class _Counting:
    """Summaries of stored documents as they pass, and how many of them the lake should still have."""

    def __init__(self, summaries: AsyncIterator[StoredSummary]) -> None:
        self._summaries = summaries
        self._count = 0

    def __aiter__(self) -> AsyncIterator[StoredSummary]:
        return self

    async def __anext__(self) -> StoredSummary:
        summary = await anext(self._summaries)
        self._count += not summary.taken_out
        return summary

    async def count_all(self) -> int:
        """Return the number of all, also of those that nobody has asked for."""
        async for _ in self:
            pass
        return self._count


async def require_documents(services: Services, request: RebuildRequest) -> None:
    """Look whether the lake lists anything at all: what a plan would refuse is then refused at once. Raises Refused.

    A lake that cannot be listed now is not an empty one: the plan tries it again.
    """
    source = services.source(request.source)
    if request.force:
        return
    try:
        view = await source.view()
        if await anext(aiter(view.documents()), None) is None:
            raise Refused(EMPTY)
    except (AzureError, NotReady):
        return


async def _swapped(services: Services, rebuild_id: str) -> RebuildPlan | None:
    """Return the plan of a rebuild that was cut off after its generation had begun to answer.

    From then on events write to the generation too: it must not be indexed again as if nobody else did.
    """
    noted = await services.state.read(plan_name(rebuild_id))
    if not noted or noted["generation"] != await services.generations.live():
        return None
    return replace(plan_from(noted), swapped=True)


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
    live = await services.generations.live()
    if noted:
        usable = noted["pipeline"] == services.pipeline and noted["generation"] in existing
        return str(noted["generation"]) if usable and noted["generation"] != live else None
    for name in reversed(existing):
        if live is not None and name <= live:
            return None
        async for chunk in services.indexer.chunks(name).all():
            return name if chunk.pipeline == services.pipeline else None
    return None


# ---- build ---------------------------------------------------------------------------------------------------------


async def create_generation(services: Services, plan: RebuildPlan) -> None:
    """Create the generation and note that it is unfinished, so that `resume` finds it after a crash.

    Raises Refused when the rebuild was cancelled. Ending an orchestration does not end its activity: what this one
    makes after the cancelling has looked, it removes itself.
    """
    await _require_wanted(services, plan)
    await leave(services)  # until it joins, nobody but this rebuild writes to the generation
    noted = await services.state.read(UNFINISHED)
    if noted and noted["generation"] not in (plan.generation, await services.generations.live()):
        await services.generations.delete(noted["generation"])  # given up: this rebuild did not resume it
    unfinished = {"generation": plan.generation, "pipeline": services.pipeline, "rebuild": plan.id}
    await services.state.write(UNFINISHED, unfinished)
    await services.generations.create(plan.generation)
    try:
        await _require_wanted(services, plan)
    except Refused:
        await services.generations.delete(plan.generation)
        if await services.state.read(UNFINISHED) == unfinished:
            await services.state.remove(UNFINISHED)
        raise


async def _require_wanted(services: Services, plan: RebuildPlan) -> None:
    """Raises Refused when the rebuild was cancelled, or was planned by an app of another pipeline."""
    if plan.pipeline not in ("", services.pipeline):
        raise Refused(f"rebuild {plan.id} was planned for another pipeline; start it again with this release")
    if await services.state.read(cancel_name(plan.id)):
        raise Refused(f"rebuild {plan.id} was cancelled")


async def index_page(services: Services, plan: RebuildPlan, number: int) -> Converged:
    """Make the generation hold every document of one page, and nothing else in the page's range. In a catch-up round
    only what had changed is counted: the rest has been before.

    Until the swap nobody else writes to the generation, so the page's own reading of the index holds. A document that
    moved on in the lake meanwhile is left to catching up.
    """
    page = await read_page(services, plan.id, number)
    # A second run of this page, started while the first one was thought dead, waits until it really is.
    async with services.state.lease(f"{plan.generation}/page-{number}"):
        return await _converge_page(services, plan, page)


async def _converge_page(services: Services, plan: RebuildPlan, page: Page) -> Converged:
    """Bring every document of a page to its planned version; delete what the lake does not have."""
    reading = services.source(plan.source)
    chunks = reading.indexer.chunks(plan.generation)
    have: dict[str, list[IndexedChunk]] = {entry.id: [] for entry in page.entries}
    extra: list[str] = []
    listed = await services.indexer.problems.between(page.start, page.end)
    for chunk in await _present(services, plan, page, listed):
        if chunk.document_id in have:
            have[chunk.document_id].append(chunk)
        else:
            extra.append(chunk.id)
    problems = {problem.document_id: problem for problem in listed}

    async def one(entry: Entry) -> Outcome:
        # Pages share the slots, first come, first served: the first page is read soon, and its chunks keep the search
        # service busy while the next ones are. No slot is kept for writing, where documents wait for full batches.
        async with services.reading_slots:
            await chunks.room()
            known = problems.get(entry.id)
            try:
                ready = await reading.indexer.prepare(
                    entry.document, entry.id, have[entry.id], chunks, known, entry.pointer
                )
            except DocumentMoved:
                return Outcome(entry.document.path, "ignored", reason="moved")
        if isinstance(ready, Outcome):
            return ready
        return await reading.indexer.write(ready, chunks, ready.key in problems)

    outcomes = await _all(one(entry) for entry in page.entries)
    await chunks.delete(extra)
    counted = [outcome for outcome in outcomes if not page.round or outcome.path in page.changed]
    return _summed(counted, removed=len(extra))


async def _present(
    services: Services, plan: RebuildPlan, page: Page, problems: Sequence[Problem]
) -> list[IndexedChunk]:
    """Return the chunks in a page's range. Those of documents that a verification would fault lose their pipeline, so
    that they are written again whole.
    """
    chunks = services.source(plan.source).indexer.chunks(plan.generation)
    found = [chunk async for chunk in chunks.between(page.start, page.end)]
    if not plan.resumed or not found:
        return found
    wrong = set((await _compare(services, plan, page, problems)).paths)
    return [distrusted(chunk) if chunk.path in wrong else chunk for chunk in found]


# ---- catch up ------------------------------------------------------------------------------------------------------


async def catch_up(services: Services, plan: RebuildPlan, round_: int) -> int:
    """List the lake again and bring the manifest up to date; returns how many pages have to be converged again.

    Their numbers are kept for `changed_page`. The pages keep their ranges, so nothing falls between two of them. A run
    that was cut off has brought some pages up to date already: those say so, and are converged all the same.
    """
    numbers: list[int] = []
    async for page, now in _pages_now(services, plan):
        changed = set(manifest.changed(page.entries, now))
        if page.round == round_:
            changed.update(page.changed)
        if changed:
            fresh = Page(page.number, page.start, page.end, tuple(now), round_, tuple(sorted(changed)))
            await services.state.write(page_name(plan.id, page.number), manifest.pack(fresh))
            numbers.append(page.number)
    await services.state.write(round_name(plan.id, round_), numbers)
    return len(numbers)


async def changed_page(services: Services, rebuild_id: str, round_: int, position: int) -> int:
    """Return the number of the page at a position in the list of a catch-up round."""
    numbers = await services.state.read(round_name(rebuild_id, round_))
    if numbers is None:
        raise LookupError(f"round {round_} of rebuild {rebuild_id} is gone from the regional storage")
    return int(numbers[position])


async def join_live(services: Services, plan: RebuildPlan) -> Converged:
    """Before the swap: let events write to the generation too, then converge every document that changed before.

    Verification took its time, and what changed meanwhile is in the live generation already: without this, readers
    would go back to earlier versions in the moment of the swap.
    """
    await join(services, plan.generation)
    try:
        await _require_wanted(services, plan)
    except Refused:
        await leave(services)
        raise
    return await follow_live(services, plan)


async def follow_live(services: Services, plan: RebuildPlan) -> Converged:
    """Converge every document that changed since the last round of catching up, each by itself, under its lease: events
    write to the generation as well. After the swap this finds what an event with a slow worker left behind.
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
    """Yield every page of the manifest with the entries that its range has in the lake now.

    What the embedding store holds of them is known from the plan; for what changed since, converging asks the store.
    """
    source = services.source(plan.source)
    view = await source.view()
    entries = manifest.sorted_entries(view.documents(), source.indexer.document_id)
    next_ = await anext(entries, None)
    reads = (read_page(services, plan.id, number) for number in range(plan.pages))
    async for page in overlapped(reads, PAGES_AT_ONCE):
        planned = {entry.id: entry for entry in page.entries}
        held: list[Entry] = []
        while next_ is not None and next_.id < page.end:
            before = planned.get(next_.id)
            held.append(before if before and before.document == next_.document else next_)
            next_ = await anext(entries, None)
        yield page, held


# ---- verify and swap -----------------------------------------------------------------------------------------------


async def verify_page(services: Services, plan: RebuildPlan, number: int) -> dict[str, Any]:
    """Compare one page's range of the index with its documents in the lake; returns the difference's summary, and the
    failures: path -> reason of every document that cannot be read.
    """
    page = await read_page(services, plan.id, number)
    problems = await services.indexer.problems.between(page.start, page.end)
    difference = await _compare(services, plan, page, problems)
    if difference.faults:
        logger.warning("verify page=%d faults=%s", number, difference.summary())
    reasons = {problem.path: problem.reason for problem in problems}
    return {"summary": difference.summary(), "failures": {path: reasons[path] for path in difference.quarantined}}


async def _compare(services: Services, plan: RebuildPlan, page: Page, problems: Sequence[Problem]) -> Difference:
    """Compare a page's range of the index with the page."""
    found, findable = await _held(services, plan, page)
    unreadable = {problem.document_id: problem for problem in problems if problem.pipeline == services.pipeline}
    etags = {key: problem.etag for key, problem in unreadable.items()}
    fallbacks = await _fallbacks(services, plan, page, found, unreadable)
    return compare(page, found, findable, etags, services.pipeline, fallbacks)


async def _fallbacks(
    services: Services, plan: RebuildPlan, page: Page, found: Sequence[IndexedChunk], unreadable: Mapping[str, Problem]
) -> dict[str, tuple[IndexedChunk, ...]]:
    """Return, for a page's documents whose planned version cannot be read, what the index shall hold in its place."""
    indexer = services.source(plan.source).indexer

    async def one(entry: Entry) -> tuple[IndexedChunk, ...]:
        have = [chunk for chunk in found if chunk.document_id == entry.id]
        async with services.reading_slots:
            return await indexer.fallback(entry.document, entry.id, have, unreadable[entry.id].reason)

    entries = [
        entry for entry in page.entries if entry.id in unreadable and unreadable[entry.id].etag == entry.document.etag
    ]
    expected = await _all(one(entry) for entry in entries)
    return {entry.id: chunks for entry, chunks in zip(entries, expected, strict=True)}


async def _held(services: Services, plan: RebuildPlan, page: Page) -> tuple[Sequence[IndexedChunk], frozenset[str]]:
    """Return the chunks in a page's range, and the keys of those that a vector query finds.

    One query answers both where it finds as many as there are. Where not, the range is read by key, and searched part
    by part.
    """
    chunks = services.source(plan.source).indexer.chunks(plan.generation)
    dimensions = services.settings.embedding_dimensions
    alike, count = await asyncio.gather(
        chunks.findable(page.start, page.end, dimensions, FINDABLE), chunks.count_between(page.start, page.end)
    )
    if count == len(alike):
        return alike, frozenset(chunk.id for chunk in alike)
    found = [chunk async for chunk in chunks.between(page.start, page.end)]
    findable: set[str] = set()
    for start in range(0, len(found), FINDABLE):
        part = found[start : start + FINDABLE]
        end = found[start + FINDABLE].id if start + FINDABLE < len(found) else page.end
        findable.update(chunk.id for chunk in await chunks.findable(part[0].id, end, dimensions, FINDABLE))
    return found, frozenset(findable)


async def probe(services: Services, plan: RebuildPlan) -> list[dict[str, str]]:
    """Ask the lake's probe questions of the new generation; returns those whose document was not found."""
    return await failed_probes(services, services.source(plan.source).lake, plan.generation)


async def swap_alias(services: Services, plan: RebuildPlan) -> None:
    """Make the generation the one that answers, in one step. Raises Refused when the rebuild was cancelled."""
    await _require_wanted(services, plan)
    await services.generations.go_live(plan.generation)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    note = {"rebuild": plan.id, "at": now, "vectors": services.vectors}
    await services.state.write(verified_name(plan.generation), note)
    await services.state.remove(UNFINISHED)
    await leave(services)


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
    rebuilt(report)
    await tidy_up(services, report["id"])


async def tidy_up(services: Services, rebuild_id: str) -> None:
    """Remove what a rebuild that has its report needs no more; last of all the note that it was started, so that
    whoever finds that beside a report knows that this was not done to its end.
    """
    for part in ("pages/", "rounds/", "plan.json"):
        names = await services.state.names(f"recovery/{rebuild_id}/{part}")
        async for _ in overlapped(map(services.state.remove, names), PAGES_AT_ONCE):
            pass
    started = await services.state.read(STARTED)
    if started and started["id"] == rebuild_id:
        await services.state.remove(STARTED)


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


def plan_name(rebuild_id: str) -> str:
    """Return where a rebuild's plan is kept until it has a report."""
    return f"recovery/{rebuild_id}/plan.json"


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


def new_rebuild_id(now: datetime) -> str:
    """Return the id of a rebuild started at `now`: its seconds in UTC, which also name its generation."""
    return f"{now.astimezone(UTC):%Y%m%d%H%M%S}"


async def _all[T](work: Iterable[Awaitable[T]]) -> list[T]:
    """Await everything; then raise the first fault of a service, if there was one.

    What converged meanwhile costs nothing when the activity is tried again.
    """
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]


def _summed(outcomes: Iterable[Outcome], removed: int = 0) -> Converged:
    done = list(outcomes)
    return Converged(
        results=dict(Counter(outcome.result for outcome in done)),
        added=sum(outcome.added for outcome in done),
        removed=removed + sum(outcome.removed for outcome in done),
        embedded=sum(outcome.embedded for outcome in done),
        waited=round(sum(outcome.waited for outcome in done), 3),
        failures={outcome.path: outcome.reason for outcome in done if outcome.result == "quarantined"},
        tokens_embedded=sum(outcome.tokens_embedded for outcome in done),
        tokens_reused=sum(outcome.tokens_reused for outcome in done),
    )
