"""The steps of a rebuild: what each activity does. Every step may run twice; the second run finds its work done.

State of a rebuild lives in the region's own storage below `recovery/{id}/`: the pages (lists of paths), and at the end
the report. The orchestration's history carries references to them, never their content.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.clients import Services
from shared.recovery.compare import Difference, by_path, compare
from shared.recovery.plan import RebuildPlan, RebuildRequest, guard, pages
from shared.sync import Outcome

UNFINISHED = "recovery/unfinished.json"


@dataclass(frozen=True, slots=True)
class PageResult:
    """What converging some paths did: documents by result, chunks by what happened to them, failures by path."""

    results: dict[str, int]
    added: int
    removed: int
    embedded: int
    failures: dict[str, str]


async def plan_rebuild(services: Services, request: RebuildRequest, rebuild_id: str) -> RebuildPlan:
    """List the lake, write the pages, and name the generation. Raises Refused when the guard stops it.

    Nothing is created before the guard has passed.
    """
    settings = services.settings
    listing = [document async for document in services.lake.list()]
    live = await services.generations.live()
    known = 0 if live is None else len(by_path([chunk async for chunk in services.indexer.chunks(live).all()]))
    guard(len(listing), known, settings.rebuild_min_share, request.force)
    cut = list(pages((document.path for document in listing), settings.rebuild_page_documents))
    plan = RebuildPlan(
        id=rebuild_id,
        generation=await _generation(services, request, rebuild_id),
        previous=live,
        pages=len(cut),
        documents=len(listing),
        bytes=sum(document.size for document in listing),
    )
    for number, page in enumerate(cut):
        await services.state.write(page_name(rebuild_id, number), page)
    return plan


async def create_generation(services: Services, plan: RebuildPlan) -> None:
    """Create the generation and remember that it is unfinished, so that `resume` finds it after a crash."""
    await services.state.write(UNFINISHED, {"generation": plan.generation, "pipeline": services.pipeline})
    await services.generations.create(plan.generation)


async def index_page(services: Services, generation: str, rebuild_id: str, number: int) -> PageResult:
    """Converge every document of one page."""
    paths = await services.state.read(page_name(rebuild_id, number))
    if paths is None:
        raise LookupError(f"page {number} of rebuild {rebuild_id} is gone from the regional storage")
    return await converge_all(services, generation, paths)


async def catch_up(services: Services, generation: str) -> PageResult:
    """Converge every document in which the generation differs from the lake as it is now."""
    difference = await differences(services, generation)
    return await converge_all(services, generation, difference.paths)


async def verify_generation(services: Services, generation: str) -> Difference:
    """Return in what the generation differs from the lake."""
    return await differences(services, generation)


async def swap_alias(services: Services, generation: str) -> None:
    """Make the generation the one that answers, in one step."""
    await services.generations.go_live(generation)
    await services.state.remove(UNFINISHED)


async def retire_generations(services: Services) -> list[str]:
    """Delete generations beyond the number that is kept; the live one is never among them."""
    live = await services.generations.live()
    others = [name for name in await services.generations.list() if name != live]
    kept_beside_live = services.settings.generations_kept - 1
    gone = others[: max(0, len(others) - kept_beside_live)]
    for name in gone:
        await services.generations.delete(name)
    return gone


async def write_report(services: Services, rebuild_id: str, report: dict[str, Any]) -> None:
    """Keep the report where `GET /api/recovery/{id}` finds it, and drop the pages, which nothing needs any more."""
    await services.state.write(report_name(rebuild_id), report)
    for name in await services.state.names(f"recovery/{rebuild_id}/pages/"):
        await services.state.remove(name)


async def differences(services: Services, generation: str) -> Difference:
    """Compare the lake as it is now with a generation."""
    # The index first: what changes after that is seen as a difference, never overlooked.
    indexed = by_path([chunk async for chunk in services.indexer.chunks(generation).all()])
    lake = {document.path: document async for document in services.lake.list()}
    unreadable = {
        problem.path: problem.etag
        for problem in await services.indexer.problems.list()
        if problem.pipeline == services.pipeline
    }
    return compare(lake, indexed, unreadable, services.pipeline)


async def converge_all(services: Services, generation: str, paths: Iterable[str]) -> PageResult:
    """Converge paths, a few at once. A document's own fault is counted; a fault of a service is raised at the end."""
    slots = asyncio.Semaphore(services.settings.converge_concurrency)

    async def one(path: str) -> Outcome:
        async with slots:
            return await services.indexer.converge(path, generation)

    outcomes = await asyncio.gather(*(one(path) for path in paths), return_exceptions=True)
    faults = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if faults:
        raise faults[0]  # the activity is tried again; what converged already costs nothing then
    done = [outcome for outcome in outcomes if isinstance(outcome, Outcome)]
    return PageResult(
        results=dict(Counter(outcome.result for outcome in done)),
        added=sum(outcome.added for outcome in done),
        removed=sum(outcome.removed for outcome in done),
        embedded=sum(outcome.embedded for outcome in done),
        failures={outcome.path: outcome.reason for outcome in done if outcome.result == "quarantined"},
    )


def page_name(rebuild_id: str, number: int) -> str:
    """Return where a page of a rebuild is kept."""
    return f"recovery/{rebuild_id}/pages/{number:06d}.json"


def report_name(rebuild_id: str) -> str:
    """Return where a rebuild's report is kept."""
    return f"recovery/{rebuild_id}/report.json"


async def _generation(services: Services, request: RebuildRequest, rebuild_id: str) -> str:
    """Return the generation to build: the unfinished one on `resume`, where it is of this pipeline; else a new one."""
    unfinished = await services.state.read(UNFINISHED)
    if request.resume and unfinished and unfinished["pipeline"] == services.pipeline:
        return str(unfinished["generation"])
    if unfinished and unfinished["generation"] != await services.generations.live():
        await services.generations.delete(unfinished["generation"])
    return f"{services.generations.alias}-{rebuild_id}"


def new_rebuild_id(now: datetime) -> str:
    """Return the id of a rebuild started at `now`: its seconds in UTC, which also name its generation."""
    return f"{now.astimezone(UTC):%Y%m%d%H%M%S}"
