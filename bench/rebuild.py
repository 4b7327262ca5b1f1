"""`make bench-rebuild`: how fast the whole recovery is, beside the bare upload of the same chunks to the same service.

In one run: a plain script uploads the chunks in full batches; a rebuild through the functions host recomputes the index
from a lake that has them stored; the script uploads them again. The script is as fast as one can be: what a
C library has serialised, over one connection. What the SDK's `upload_documents` reaches is printed beside it. Besides:
the memory of the host at a tenth of the size, the length of orchestration histories, and what follows for larger lakes.
"""

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import batched, islice
from pathlib import Path
from typing import Any

import orjson
from azure.core.credentials import AzureKeyCredential
from azure.search.documents.aio import SearchClient
from azure.search.documents.indexes.aio import SearchIndexClient

from bench.plots import bars
from bench.rebuild_lake import MadeUpLake, fill, search_documents
from bench.rebuild_region import MeasuredRegion, cpu_seconds, peak_megabytes
from bench.report import Mark, Table, at_least, at_most, finish, note
from bench.search_contenders import OverHttp
from local.region import DOCUMENTS
from shared.index.schema import VECTOR, index_definition

CHUNKS = 100_000
CHUNKS_A_DOCUMENT = 50  # of 150 tokens: about 15 pages
DIMENSIONS = 1_536  # what the deployment's embedding model gives (infra/main.bicep)
SMALL = 10  # the smaller lake has this part of the chunks
MOST_ACTIONS, MOST_BYTES = 1_000, 15_000_000  # of a batch: the service's limits, with room for the envelope
BARE = "bare"
WITH_THE_SDK = 5_000  # chunks that are uploaded with the SDK's own method
PACKAGES = ("azure-search-documents", "azure-storage-blob", "azure-functions-durable", "aiohttp", "orjson", "numpy")

TOKENS_A_CHUNK = 400  # of the larger lakes that the last table is about
QUOTAS = (350_000, 1_000_000)  # embedding tokens a minute
SIZES = (1_000_000, 10_000_000)  # chunks
RATES = (200, 500, 1_000, 2_500)  # chunks a second that a service takes from a bare upload

Figures = dict[str, Any]


async def bare_upload(region: MeasuredRegion, lake: MadeUpLake) -> float:
    """Return the chunks a second of a plain script: batches of 1,000 over one connection, one after the other."""
    credential = AzureKeyCredential("local")
    async with SearchIndexClient(region.environ["SEARCH_ENDPOINT"], credential) as admin:
        await admin.create_index(index_definition(BARE, lake.dimensions))
        rate = await asyncio.to_thread(_upload, region, lake)
        await admin.delete_index(BARE)
    return rate


async def sdk_upload(region: MeasuredRegion, lake: MadeUpLake) -> float:
    """Return the chunks a second of a script that uses the SDK's own method, for a part of the chunks."""
    documents = [
        {**one, VECTOR: one[VECTOR].tolist()}
        for one in islice(search_documents(lake, DOCUMENTS, "0" * 12), WITH_THE_SDK)
    ]
    credential = AzureKeyCredential("local")
    endpoint = region.environ["SEARCH_ENDPOINT"]
    async with SearchIndexClient(endpoint, credential) as admin:
        await admin.create_index(index_definition(BARE, lake.dimensions))
        async with SearchClient(endpoint, BARE, credential) as client:
            started = time.perf_counter()
            for batch in batched(documents, _batch_size(documents[0]), strict=False):
                await client.upload_documents(list(batch))
            seconds = time.perf_counter() - started
        await admin.delete_index(BARE)
    return len(documents) / seconds


def _batch_size(document: Mapping[str, Any]) -> int:
    """Return how many such documents a batch takes."""
    size = len(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY))
    return min(MOST_ACTIONS, MOST_BYTES // (size + size // 50))  # texts differ a little in length


def _upload(region: MeasuredRegion, lake: MadeUpLake) -> float:
    documents = list(search_documents(lake, DOCUMENTS, "0" * 12))
    client = OverHttp(region.region.search_port, BARE, "local")
    most = _batch_size(documents[0])
    gc.collect()
    started = time.perf_counter()
    for batch in batched(documents, most, strict=False):
        client.upload(batch)
    seconds = time.perf_counter() - started
    client.close()
    return len(documents) / seconds


async def recover(region: MeasuredRegion, chunks: int) -> Figures:
    """Run one rebuild through a fresh host; returns its figures."""
    async with region.host() as host:
        assert host.pid is not None
        before = cpu_seconds(host.pid)
        started = time.perf_counter()
        report = await region.rebuild(reason="bench", force=True)
        seconds = time.perf_counter() - started
        if report["status"] != "completed" or report["chunks"]["added"] != chunks:
            raise RuntimeError(f"the rebuild did not do what it is measured for: {report}")
        histories = {
            "rebuild": region.history_events("rebuild"),
            "page": region.history_events(f"rebuild-{report['id']}/index_page/0"),
        }
        return {
            "seconds": round(seconds, 2),
            "chunks_per_second": chunks / seconds,
            "phases": report["seconds"],
            "tokens_embedded": report["tokens_embedded"],
            "tokens_reused": report["tokens_reused"],
            "host_peak_mb": peak_megabytes(host.pid),
            "host_cpu_seconds": round(cpu_seconds(host.pid) - before, 2),
            "history_events": histories,
            "pages": report["plan"]["pages"],
        }


async def measure(chunks: int, dimensions: int, folder: Path) -> Figures:
    """Measure everything in one region."""
    small = MadeUpLake(max(1, chunks // CHUNKS_A_DOCUMENT // SMALL), CHUNKS_A_DOCUMENT, dimensions)
    whole = MadeUpLake(chunks // CHUNKS_A_DOCUMENT, CHUNKS_A_DOCUMENT, dimensions)
    region = MeasuredRegion(folder, dimensions)
    async with region.running():
        services = region.services()
        note(f"a lake of {small.documents * small.chunks:,} chunks")
        await fill(services, small)
        at_small = await recover(region, small.documents * small.chunks)
        note(f"a lake of {whole.documents * whole.chunks:,} chunks")
        await fill(services, whole)
        await services.close()
        note("upload with the SDK")
        sdk = await sdk_upload(region, whole)
        note("bare upload")
        before = await bare_upload(region, whole)
        note("recovery")
        at_whole = await recover(region, whole.documents * whole.chunks)
        note("bare upload again")
        after = await bare_upload(region, whole)
    bare = (before + after) / 2
    share = at_whole["chunks_per_second"] / bare
    return {
        "chunks": chunks,
        "chunks_a_document": CHUNKS_A_DOCUMENT,
        "dimensions": dimensions,
        "bare_upload_per_second": bare,
        "bare_uploads_per_second": [before, after],
        "sdk_upload_per_second": sdk,
        "recovery": at_whole,
        "recovery_small": at_small,
        "share_of_bare_upload": share,
        "tokens_embedded": at_whole["tokens_embedded"],
        "memory_ratio": at_whole["host_peak_mb"] / at_small["host_peak_mb"],
        "extrapolated": list(extrapolated(share, bare)),
    }


def extrapolated(share: float, measured: float) -> Iterator[Figures]:
    """Yield hours for larger lakes: with stored embeddings, and with none at two quotas.

    stored    = chunks / (rate x share)
    embedding = chunks x tokens a chunk / tokens a minute; indexing goes on meanwhile, so the longer of the two counts
    """
    for chunks in SIZES:
        for rate in (*RATES, round(measured)):
            stored = chunks / (rate * share) / 3_600
            embedding = {quota: embedding_hours(chunks, quota) for quota in QUOTAS}
            yield {
                "chunks": chunks,
                "service_rate": rate,
                "stored_hours": stored,
                **{f"embedding_hours_at_{quota}": max(stored, hours) for quota, hours in embedding.items()},
            }


def embedding_hours(chunks: int, quota: int) -> float:
    """Return the hours of embedding chunks under a quota in tokens a minute."""
    return chunks * TOKENS_A_CHUNK / quota / 60


def tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables."""
    sizes = {"recovery": found["recovery"], "recovery of a tenth": found["recovery_small"]}
    keys = ("chunks_per_second", "seconds", "tokens_embedded", "host_peak_mb", "host_cpu_seconds", "pages")
    rows: list[list[Any]] = [["bare upload", found["bare_upload_per_second"], *[None] * (len(keys) - 1)]]
    rows.append(["the SDK's upload_documents", found["sdk_upload_per_second"], *[None] * (len(keys) - 1)])
    rows += [[name, *(one[key] for key in keys)] for name, one in sizes.items()]
    yield Table(
        f"{found['chunks']:,} chunks of {found['dimensions']:,} dimensions, {found['chunks_a_document']} a document",
        ["", "chunks/s", "seconds", "tokens embedded", "host peak MB", "host CPU s", "pages"],
        rows,
        "The bare upload is the mean of one before and one after the recovery: "
        + " and ".join(f"{rate:,.0f} chunks/s" for rate in found["bare_uploads_per_second"])
        + ".",
    )
    phases = [*found["recovery"]["phases"]]
    rows = [[name, *(one["phases"].get(phase) for phase in phases)] for name, one in sizes.items()]
    yield Table("Seconds by phase", ["", *(phase.replace("_", " ") for phase in phases)], rows)
    histories = [*found["recovery"]["history_events"]]
    rows = [[name, *(one["history_events"][kind] for kind in histories)] for name, one in sizes.items()]
    yield Table("Events in the history of an orchestration instance", ["", *histories], rows)
    yield Table(
        f"Hours for larger lakes = chunks / (chunks/s that the service takes x {found['share_of_bare_upload']:.2f})",
        ["chunks", "service takes, chunks/s", "stored", *(f"embedded at {quota:,} tokens/min" for quota in QUOTAS)],
        [[f"{row['chunks']:,}", *list(row.values())[1:]] for row in found["extrapolated"]],
        f"With nothing stored: the longer of that and chunks x {TOKENS_A_CHUNK} tokens / quota, as embedding and "
        f"indexing go on side by side. Embedding alone takes {_embedding(SIZES[0])} for {SIZES[0]:,} chunks, and "
        f"{_embedding(SIZES[1])} for {SIZES[1]:,}.",
    )


def _embedding(chunks: int) -> str:
    return " or ".join(f"{embedding_hours(chunks, quota):,.1f} h" for quota in QUOTAS)


def plot(found: Mapping[str, Any]) -> str:
    """Return the phases, and what stored embeddings are worth at the larger size, as bars."""
    rows = [row for row in found["extrapolated"] if row["chunks"] == SIZES[-1]]
    hours = {f"stored, {row['service_rate']:,} chunks/s": row["stored_hours"] for row in rows}
    hours |= {f"embedded, {quota:,} tokens/min": embedding_hours(SIZES[-1], quota) for quota in QUOTAS}
    phases = {name.replace("_", " "): seconds for name, seconds in found["recovery"]["phases"].items()}
    groups = {f"{found['chunks']:,} chunks: seconds by phase": phases, f"{SIZES[-1]:,} chunks: hours": hours}
    ours = {name for name in (*phases, *hours) if not name.startswith("embedded")}
    return bars("A recovery's seconds by phase, and hours for ten million chunks", groups, ours)


def marks(found: Mapping[str, Any]) -> Iterator[Mark]:
    """Yield what is asked of the recovery."""
    yield at_least("share of the bare upload", found["share_of_bare_upload"], 0.85)
    yield at_most("host memory: whole / a tenth", found["memory_ratio"], 1.2)
    yield at_most("tokens embedded", found["tokens_embedded"], 0)


def main() -> int:
    """Run it; returns 1 when a mark is missed."""
    parser = argparse.ArgumentParser(prog="bench.rebuild", description=__doc__)
    parser.add_argument("--chunks", type=int, default=CHUNKS)
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="warmlake-bench-") as name:
        found = asyncio.run(measure(options.chunks, options.dimensions, Path(name)))
    return finish("rebuild", found, tables(found), PACKAGES, marks(found))


if __name__ == "__main__":
    sys.exit(main())
