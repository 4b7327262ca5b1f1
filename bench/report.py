"""What every benchmark prints and writes: a table, and its figures as JSON with the machine they were taken on."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
CACHE = ROOT / "bench" / ".cache"
DATA = ROOT.parent / "shared" / "data"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table, the first column to the left, numbers to the right."""
    cells = [list(head), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        print(
            "  "
            + "  ".join(_aligned(cell, width, at) for at, (cell, width) in enumerate(zip(row, widths, strict=True)))
        )
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))
    sys.stdout.flush()


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)


def shown(value: Any) -> str:
    """Return a figure as text: three significant digits below 100, whole numbers above."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def write(name: str, figures: Mapping[str, Any], packages: Sequence[str]) -> Path:
    """Write bench/results/NAME.json; returns the file."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    whole = {
        "name": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "processor": platform.machine()},
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
        **figures,
    }
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {file.relative_to(ROOT)}")
    return file


def note(text: str) -> None:
    """Say what the benchmark is doing."""
    print(f"... {text}", file=sys.stderr, flush=True)
