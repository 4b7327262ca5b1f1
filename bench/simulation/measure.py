"""Measured rebuilds of the real app over the local services: what the model is fitted on, and what it is checked by."""

import asyncio
import json
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.rebuild_lake import MadeUpLake, fill
from bench.rebuild_region import MeasuredRegion
from bench.report import note
from bench.simulation.model import Lake, Services, Settings
from local.drill.corpus import depots
from shared.clients import Services as Clients

DIMENSIONS = 384  # what the local model gives
LARGE = 1_536  # what the deployment's model gives, and the curves are about
TEXT_CHUNKS, TEXT_TOKENS = 3, 134  # of the documents that are embedded: chunks, and tokens of a chunk
ROUNDS, TIMES = 2, 3  # each is measured so often, in turns with all others; the least disturbed counts
UPLOADS_AT_ONCE = 8
PHASES = ("planning", "indexing", "catching_up", "verifying", "swapping", "retiring")
REST = "rest"  # from the request to the report, what no phase counts


@dataclass(frozen=True, slots=True)
class Case:
    """A rebuild to be measured, and predicted."""

    name: str
    lake: Lake
    settings: Settings = field(default_factory=Settings)
    services: Services = field(default_factory=Services)


@dataclass(frozen=True, slots=True)
class Measured:
    """A case and its seconds by phase; together they are the time from the request to the report."""

    case: Case
    phases: dict[str, float]

    @property
    def seconds(self) -> float:
        """The whole rebuild."""
        return sum(self.phases.values())


def made_up(documents: int, chunks: int, dimensions: int = DIMENSIONS) -> Lake:
    """Return a lake whose vectors are stored."""
    return Lake(documents, chunks, dimensions)


def to_embed(documents: int) -> Lake:
    """Return a lake of which nothing is stored."""
    return Lake(documents, TEXT_CHUNKS, DIMENSIONS, stored=0.0, tokens=TEXT_TOKENS)


FITTED: tuple[Case, ...] = (
    Case("250 documents of 10", made_up(250, 10)),
    Case("150 documents of 40", made_up(150, 40)),
    Case("500 documents of 20", made_up(500, 20)),
    Case("700 documents of 3", made_up(700, 3)),
    Case("200 documents of 4, small pages", made_up(200, 4), Settings(page_documents=5)),
    Case("150 documents of 20, 1,536 dimensions", made_up(150, 20, LARGE)),
    Case("40 documents, nothing stored", to_embed(40)),
)
CHECKED: tuple[Case, ...] = (
    Case("800 documents of 12", made_up(800, 12)),
    Case("250 documents of 32, 1,536 dimensions", made_up(250, 32, LARGE)),
    Case(
        "a search service that takes 0.6 s for a batch",
        made_up(400, 20),
        Settings(window=2, writing=1),
        Services(search_delay=0.6),
    ),
    Case(
        "every second batch refused for 2 s",
        made_up(300, 20),
        Settings(writing=2),
        Services(refuse_every=2, retry_after=2.0),
    ),
    Case("nothing stored, 15,000 tokens a minute", to_embed(80), services=Services(quota=15_000)),
)


async def measure(case: Case) -> Measured:
    """Measure a case in a region of its own. Raises RuntimeError when a rebuild is not what is to be measured."""
    settings = case.settings
    overrides = {
        "REBUILD_PAGE_DOCUMENTS": str(settings.page_documents),
        "REBUILD_PAGE_CHUNKS": str(settings.page_chunks),
        "REBUILD_WINDOW": str(settings.window),
        "CONVERGE_CONCURRENCY": str(settings.reading),
        "INDEX_WRITE_CONCURRENCY": str(settings.writing),
        "EMBEDDING_TOKENS_PER_MINUTE": str(case.services.quota),
        "EMBEDDING_CONCURRENCY": str(settings.embedding),
        "EMBEDDING_BATCH": str(settings.batch),
    }
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="warmlake-simulation-") as name:
        region = MeasuredRegion(Path(name), case.lake.dimensions, overrides, faults=True)
        async with region.running():
            clients = region.services()
            if case.lake.stored:
                await fill(clients, MadeUpLake(case.lake.documents, case.lake.chunks, case.lake.dimensions))
            else:
                await _fill_texts(clients, case.lake.documents)
            await asyncio.to_thread(_inject, region, case.services)
            # What is embedded is stored afterwards, so that such a case can be measured only once.
            for _ in range(TIMES if case.lake.stored else 1):
                async with region.host():
                    started = time.monotonic()
                    report = await region.rebuild(reason="simulation", force=True)
                    whole = time.monotonic() - started
                _expect(case, report)
                phases = {phase: float(report["seconds"].get(phase, 0.0)) for phase in PHASES}
                runs.append({**phases, REST: max(0.0, whole - sum(phases.values()))})
            await clients.close()
    best = min(runs, key=lambda phases: sum(phases.values()))
    note(f"{case.name}: {sum(best.values()):.1f} s")
    return Measured(case, best)


async def measure_all(cases: Sequence[Case]) -> list[Measured]:
    """Measure cases in turns, so that a slow hour of the machine meets all of them."""
    best: dict[str, Measured] = {}
    for round_ in range(ROUNDS):
        for case in cases:
            if round_ and not case.lake.stored:
                continue  # its time is its quota's or its model's, and it is long
            found = await measure(case)
            known = best.get(case.name)
            best[case.name] = found if known is None or found.seconds < known.seconds else known
    return [best[case.name] for case in cases]


def _expect(case: Case, report: dict[str, Any]) -> None:
    if report["status"] != "completed" or report["chunks"]["added"] != case.lake.all_chunks:
        raise RuntimeError(f"{case.name}: the rebuild did not do what it is measured for: {report}")


def _inject(region: MeasuredRegion, services: Services) -> None:
    """Give the search service the case's delay and refusals."""
    rule: dict[str, Any] = {"method": "POST", "path": "search.index"}
    if services.refuse_every:
        # A refused batch waits for nothing else: the model has it so too.
        wait = {"Retry-After": f"{services.retry_after:.0f}"}
        _rule(region, {**rule, "every": services.refuse_every, "status": 429, "headers": wait})
    if services.search_delay:
        _rule(region, {**rule, "delay_ms": round(services.search_delay * 1000)})


def _rule(region: MeasuredRegion, rule: dict[str, Any]) -> None:
    address = f"{region.environ['SEARCH_ENDPOINT']}/-/faults"
    with urllib.request.urlopen(urllib.request.Request(address, data=json.dumps(rule).encode()), timeout=10) as reply:
        reply.read()


async def _fill_texts(clients: Clients, documents: int) -> None:
    """Write documents whose chunks nobody has embedded."""
    container = clients.lake_account.get_container_client(clients.settings.lake_container)
    slots = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def put(path: str, text: str) -> None:
        async with slots:
            await container.upload_blob(path, text.encode(), overwrite=True)

    await asyncio.gather(*(put(depot.path, depot.text(1)) for depot in depots(1, documents)))
