"""`make bench-index`: how fast documents are indexed, where the time goes, and how soon an upload can be found.

Throughput: the same documents are converged into an empty index twice, with an empty embedding store (cold) and with
all vectors in it (warm); several documents at once for the rate, and one after the other for the stages, which then
add up to the whole. Latency: through the functions host, from the start of an upload until a query finds it.
"""

import argparse
import asyncio
import gzip
import json
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pypdfium2
from azure.core.credentials import AzureKeyCredential
from azure.search.documents.aio import SearchClient

from bench.edits import HISTORY
from bench.rebuild_region import MeasuredRegion
from bench.report import DATA, Table, finish, note, percentile
from shared.clients import Services
from shared.sync import Outcome

DIMENSIONS = 384
MARKDOWN = 80  # documents of the documentation lake's first state
LONG_PDF = DATA / "office" / "unstructured__DA-619p.pdf"
UPLOADS = 60
POLL_SECONDS = 0.002
MODEL, SEARCH = ("embed",), ("look", "write")
STAGES = ("look", "download", "extract", "embed", "store", "write")
FACT = re.compile(r"(\w+)=(\S+)")

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents by path, and how many pages they have; 0 where the format has none."""

    name: str
    documents: Mapping[str, bytes]
    pages: int


def markdown(most: int) -> Corpus:
    """Return the first state of a documentation lake, or a part of it."""
    with gzip.open(HISTORY, "rt", encoding="utf-8") as lines:
        operations = json.loads(next(lines))["ops"]
    chosen = [one for one in operations if "text" in one][:most]
    return Corpus("Markdown", {one["path"]: one["text"].encode() for one in chosen}, 0)


def pdf(quick: bool) -> Corpus:
    """Return handbooks and, but for a quick run, one long report."""
    files = sorted((DATA / "northwind").glob("*.pdf")) + ([] if quick else [LONG_PDF])
    pages = sum(len(pypdfium2.PdfDocument(file)) for file in files)
    return Corpus("PDF", {file.name: file.read_bytes() for file in files}, pages)


# ---- throughput -----------------------------------------------------------------------------------------------------


async def throughput(folder: Path, corpora: Sequence[Corpus]) -> list[Figures]:
    """Index every corpus cold and warm; returns a row for each.

    Each way of going through the documents has a region of its own: the local model remembers what it has embedded.
    """
    rows: dict[tuple[str, str], Figures] = {}
    for way in ("together", "singly"):
        region = MeasuredRegion(folder / way, DIMENSIONS)
        async with region.running():
            services = region.services()
            container = services.lake_account.get_container_client(services.settings.lake_container)
            for corpus in corpora:
                for path, content in corpus.documents.items():
                    await container.upload_blob(path, content)
                for store in ("cold", "warm"):
                    note(f"{corpus.name}, {store}, {way}")
                    row = rows.setdefault((corpus.name, store), {"corpus": corpus.name, "store": store})
                    at_once = 1 if way == "singly" else services.settings.converge_concurrency
                    outcomes, seconds = await _indexed(services, corpus, f"{corpus.name}-{store}".lower(), at_once)
                    row |= _shares(outcomes, seconds) if way == "singly" else _rates(corpus, outcomes, seconds)
            await services.close()
    return list(rows.values())


async def _indexed(services: Services, corpus: Corpus, base: str, at_once: int) -> tuple[list[Outcome], float]:
    """Converge every document into a generation of its own; returns outcomes and seconds."""
    generation = f"{base}-{datetime.now(UTC):%Y%m%d%H%M%S}"
    await services.generations.create(generation)
    gate = asyncio.Semaphore(at_once)

    async def one(path: str) -> Outcome:
        async with gate:
            return await services.indexer.converge(path, generation)

    # What is started once and then stays, the reading processes and connections, is not the documents'.
    await services.extraction.extract("warm-up.md", b"# Warm\n\nup")
    await services.embedder.measured(["warm-up"])
    started = time.perf_counter()
    outcomes = await asyncio.gather(*map(one, corpus.documents))
    seconds = time.perf_counter() - started
    wrong = [outcome for outcome in outcomes if outcome.result != "indexed"]
    if wrong:
        raise RuntimeError(f"not indexed: {wrong}")
    await services.generations.delete(generation)
    return outcomes, seconds


def _rates(corpus: Corpus, outcomes: Sequence[Outcome], seconds: float) -> Figures:
    chunks = sum(outcome.added for outcome in outcomes)
    return {
        "documents": len(outcomes),
        "pages": corpus.pages,
        "chunks": chunks,
        "embedded": sum(outcome.embedded for outcome in outcomes),
        "seconds": seconds,
        "pages_per_second": corpus.pages / seconds if corpus.pages else None,
        "chunks_per_second": chunks / seconds,
    }


def _shares(outcomes: Sequence[Outcome], seconds: float) -> Figures:
    """Return seconds by stage of documents that came one after the other, and whose they are."""
    spent: defaultdict[str, float] = defaultdict(float)
    for outcome in outcomes:
        for stage, value in outcome.stages.seconds.items():
            spent[stage] += value
    spent["rest"] = seconds - sum(spent.values())
    services = sum(spent[stage] for stage in (*MODEL, *SEARCH))
    return {"one_by_one_seconds": seconds, "stages": dict(spent), "own_share": 1 - services / seconds}


# ---- latency --------------------------------------------------------------------------------------------------------


async def latency(region: MeasuredRegion, uploads: int) -> Figures:
    """Upload documents one after the other through a running host; returns milliseconds until each is found."""
    services = region.services()
    container = services.lake_account.get_container_client(services.settings.lake_container)
    credential = AzureKeyCredential("local")
    async with region.host():
        await container.upload_blob("first.md", b"# First\n\nSomething to begin with.")
        await region.rebuild(reason="bench", force=True)
        times = []
        async with SearchClient(region.environ["SEARCH_ENDPOINT"], services.settings.search_index, credential) as index:
            for number in range(-1, uploads):  # the first pays for waking up
                text = _document(number)
                started = time.perf_counter()
                await container.upload_blob(f"uploads/{number}.md", text.encode())
                await _until_found(index, _word(number))
                if number >= 0:
                    times.append((time.perf_counter() - started) * 1_000)
    await services.close()
    return {"uploads": uploads, "p50": percentile(times, 0.5), "p95": percentile(times, 0.95), **_logged(region.log)}


def _word(number: int) -> str:
    return "uploaded" + "".join("abcdefghijk"[int(digit)] for digit in str(number).replace("-", "10"))


def _document(number: int) -> str:
    """Return a page of text with a word that no other document has."""
    body = "\n\n".join(
        f"## Part {part}\n\nWhat document {number} says in its part {part} is said at the length of a short paragraph, "
        f"so that the chunks are of the size that they have in real documents, with {number * part} as a figure."
        for part in range(6)
    )
    return f"# Upload {_word(number)}\n\n{body}\n"


async def _until_found(index: SearchClient, word: str) -> None:
    while True:
        if [hit async for hit in await index.search(word, select=["id"], top=1)]:
            return
        await asyncio.sleep(POLL_SECONDS)


def _logged(log: Path) -> Figures:
    """Return medians of what the host's own records say of the converges, in milliseconds."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for line in log.read_text(encoding="utf-8").splitlines():
        facts = dict(FACT.findall(line)) if "converge document=uploads/" in line else {}
        if facts.get("result") == "indexed":
            found["converge"].append(float(facts["ms"]))
            for stage in STAGES:
                found[stage].append(float(facts.get(f"{stage}_ms", 0)))
    return {"converge_ms": {name: percentile(values, 0.5) for name, values in found.items()}}


def own_latency(figures: Mapping[str, Any]) -> float:
    """Return the share of the median latency that is neither the model's nor the search service's."""
    spent = figures["converge_ms"]
    return float(1 - sum(spent[stage] for stage in (*MODEL, *SEARCH)) / figures["p50"])


# ---- both -----------------------------------------------------------------------------------------------------------


async def measure(folder: Path, quick: bool) -> Figures:
    """Measure everything; a region for each part, so that the parts do not meet."""
    rows = await throughput(folder, (markdown(10 if quick else MARKDOWN), pdf(quick)))
    note("latency")
    region = MeasuredRegion(folder / "latency", DIMENSIONS, events=True)
    async with region.running():
        found = await latency(region, 10 if quick else UPLOADS)
    return {"throughput": rows, "latency": {**found, "own_share": own_latency(found)}}


def tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables."""
    rows, names = found["throughput"], ("corpus", "store")
    columns = ("documents", "pages", "chunks", "embedded", "seconds", "pages_per_second", "chunks_per_second")
    yield Table(
        "Documents indexed, several at once",
        (*names, *(name.replace("_per_second", "/s") for name in columns)),
        [
            (*(row[name] for name in names), *(row[name] or (None if "pages" in name else 0) for name in columns))
            for row in rows
        ],
    )
    stages = (*STAGES, "rest")
    yield Table(
        "Seconds of each stage, one document after the other; own: neither the model (embed) nor search (look, write)",
        (*names, "seconds", *stages, "own"),
        [
            (
                *(row[name] for name in names),
                row["one_by_one_seconds"],
                *(row["stages"].get(stage, 0.0) for stage in stages),
                f"{row['own_share']:.1%}",
            )
            for row in rows
        ],
    )
    latency = found["latency"]
    inside = ("converge", *STAGES)
    yield Table(
        "From the start of an upload until a query finds it, milliseconds; inside: medians of the host's own records",
        ("uploads", "p50", "p95", *inside, "own"),
        [
            (
                str(latency["uploads"]),
                latency["p50"],
                latency["p95"],
                *(latency["converge_ms"][name] for name in inside),
                f"{latency['own_share']:.1%}",
            )
        ],
    )


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench.index", description="speed of indexing, latency of an upload")
    parser.add_argument("--quick", action="store_true", help="fewer documents")
    options = parser.parse_args()
    if not HISTORY.is_file():
        print(f"bench.index: {HISTORY} is missing; it is part of the project's shared data", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="warmlake-index-") as folder:
        figures = asyncio.run(measure(Path(folder), options.quick))
    packages = ("azure-search-documents", "azure-storage-blob", "openai")
    return finish("index", {"quick": options.quick, **figures}, tables(figures), packages)


if __name__ == "__main__":
    sys.exit(main())
