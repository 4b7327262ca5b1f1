"""`make bench-simulation`: fit the model of the rebuild on measured ones, check it on others, and draw its curves.

Returns 1 when a prediction is off by more than a fifth.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.rebuild import SMALL
from bench.report import RESULTS, finish, note, show
from bench.simulation.curves import curves, limits
from bench.simulation.fit import fit
from bench.simulation.measure import CHECKED, FITTED, REST, Case, Measured, measure_all
from bench.simulation.model import Costs, Lake, predict
from bench.simulation.shown import WITHIN, marks, tables

PACKAGES = ("azure-search-documents", "azure-storage-blob", "azure-functions-durable", "aiohttp")


def compared(measured: list[Measured], costs: Costs) -> list[dict[str, Any]]:
    """Return measured and predicted seconds of each case, and how far they are apart."""
    found: list[dict[str, Any]] = []
    for one in measured:
        said = predict(one.case.lake, one.case.settings, one.case.services, costs)
        found.append(
            {
                "case": one.case.name,
                "chunks": one.case.lake.all_chunks,
                "measured": round(one.seconds, 2),
                "predicted": round(said.seconds, 2),
                "off": round(said.seconds / one.seconds - 1, 3),
                "phases": one.phases,
                "predicted_phases": {name: round(seconds, 2) for name, seconds in said.phases.items()},
            }
        )
    return found


def beyond(costs: Costs) -> list[dict[str, Any]]:
    """Return how the recoveries that bench-rebuild has measured compare, where it has run: far larger than any here."""
    file = RESULTS / "rebuild.json"
    if not file.is_file():
        return []
    found = json.loads(file.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = []
    for name, share in (("recovery_small", SMALL), ("recovery", 1)):
        each = found["chunks_a_document"]
        lake = Lake(found["chunks"] // each // share, each, found["dimensions"])
        case = Case(f"{lake.documents:,} documents of {lake.chunks}, {lake.dimensions:,} dimensions", lake)
        rows += compared([Measured(case, {**found[name]["phases"], REST: _rest(found[name])})], costs)
    return rows


def _rest(recovery: dict[str, Any]) -> float:
    phases: dict[str, float] = recovery["phases"]
    return max(0.0, float(recovery["seconds"]) - sum(phases.values()))


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench.simulation", description=__doc__)
    parser.add_argument("--costs", type=Path, help="take the costs from this result instead of measuring")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    if options.costs:
        costs = Costs(**json.loads(options.costs.read_text(encoding="utf-8"))["costs"])
    else:
        note("measuring what the model is fitted on, and what it is checked by, in turns")
        found = asyncio.run(measure_all((*FITTED, *CHECKED)))
        fitted, checked = found[: len(FITTED)], found[len(FITTED) :]
        costs = fit(fitted)
        figures = {"fitted": compared(fitted, costs), "checked": compared(checked, costs), "beyond": beyond(costs)}
    figures = {"costs": asdict(costs), "within": WITHIN, **figures, "curves": curves(costs), "limits": limits(costs)}
    if options.costs:
        show(tables(figures))
        return 0
    return finish("simulation", figures, tables(figures), PACKAGES, marks(figures))


if __name__ == "__main__":
    sys.exit(main())
