"""`make bench-search`: how well and how fast the local search service searches.

Quality: nDCG@10 on SciFact and CACM through the official SDK, each leg and both fused.
Speed: at 100,000 chunks of 384 dimensions, in one run: the service over HTTP, its engine in process, a bare script with
the same libraries (SQLite, tantivy, numpy), and one with the standard library's SQLite FTS5 and numpy.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.report import Figures, Mark, Table, at_least, at_most, finish, within
from bench.search_quality import LEGS, MARKS, PUBLISHED, TOLERANCE, quality
from bench.search_speed import DIMENSIONS, speed
from tests.conftest import Service

CHUNKS = 100_000
NAMES = {
    "service": "service over HTTP",
    "engine": "its engine in process",
    "bare": "bare engine",
    "standard": "FTS5 and numpy",
}
COLUMNS = {
    "upload_per_second": "upload/s",
    "hybrid_p50": "hybrid p50",
    "hybrid_p95": "p95",
    "filtered_p50": "filtered p50",
    "filtered_p95": "p95",
    "upsert_p50": "upsert p50",
    "upsert_p95": "p95",
}
PACKAGES = ("tantivy", "numpy", "orjson", "aiohttp", "azure-search-documents")


def marks(found: Figures) -> Iterator[Mark]:
    """Yield what is asked of the service."""
    for name, least in MARKS.items() if "quality" in found else ():
        for leg, mark in least.items():
            yield at_least(f"nDCG@10 {name} {leg}", found["quality"][name][leg], mark)
    for name, figures in PUBLISHED.items() if "quality" in found else ():
        for leg, figure in figures.items():
            yield within(f"nDCG@10 {name} {leg}, published {figure:g}", found["quality"][name][leg], figure, TOLERANCE)
    service, bare, standard = found["service"], found["bare"], found["standard"]
    for kind in ("hybrid", "filtered"):
        p50 = f"{kind}_p50"
        yield at_most(f"{kind} p50: service / bare engine", service[p50] / bare[p50], 1.5)
        yield at_least(f"{kind} p50: FTS5 and numpy / service", standard[p50] / service[p50], 2)
        yield at_least(f"{kind}: results shared with the bare engine", found[f"{kind}_agreement"], 0.99)
    rate = "upload_per_second"
    yield at_least("upload rate: service / bare engine", service[rate] / bare[rate], 0.5)
    yield at_most("upsert p50: service - bare engine, ms", service["upsert_p50"] - bare["upsert_p50"], 5)
    yield at_most("start from disk, s", found["service_start_seconds"], 10)


def tables(found: Figures) -> Iterator[Table]:
    """Yield the tables."""
    if "quality" in found:
        rows = [[name, *(legs[leg] for leg in LEGS)] for name, legs in found["quality"].items()]
        yield Table("nDCG@10 through the SDK", ["collection", *LEGS], rows)
    said = (
        f"The service holds {found['service_memory_mb']:,.0f} MB. Through the SDK's `upload_documents`, which "
        f"serialises on the caller's side, one client uploads {found['sdk_upload_per_second']:,.0f} chunks/s."
    )
    rows = [[title, *(found[name].get(column) for column in COLUMNS)] for name, title in NAMES.items()]
    yield Table(
        f"{found['chunks']:,} chunks of {DIMENSIONS} dimensions, milliseconds", ["", *COLUMNS.values()], rows, said
    )


def main() -> int:
    """Run both parts; returns 1 when a mark is missed."""
    parser = argparse.ArgumentParser(prog="bench.search", description=__doc__)
    parser.add_argument("--chunks", type=int, default=CHUNKS)
    parser.add_argument("--no-quality", action="store_true", help="speed only")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="warmlake-bench-") as name:
        folder = Path(name)
        if not options.no_quality:
            model = Service("local.model_service", log=folder / "model.log")
            service = Service("local.search_service", "--data", str(folder / "quality"), log=folder / "quality.log")
            found["quality"] = quality(service.url, f"{model.url}/openai/v1")
            service.stop()
            model.stop()
        found |= speed(options.chunks, folder)
    return finish("search", found, tables(found), PACKAGES, marks(found))


if __name__ == "__main__":
    sys.exit(main())
