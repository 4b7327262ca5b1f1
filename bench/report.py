"""What every benchmark prints and writes: tables, marks, and its figures as JSON with the machine they were taken on.

A benchmark makes its tables from its figures alone, so that they can be made again from the JSON (bench/publish.py).
"""

import json
import os
import platform
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
CACHE = ROOT / "bench" / ".cache"
DATA = ROOT.parent / "shared" / "data"

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of figures, the first column in words. The least figure of each column in `least` wins."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    least: Collection[str] = ()

    def text(self) -> str:
        """Return it for a terminal: the first column to the left, the others to the right."""
        cells = [list(self.head), *([shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.head))]
        cells.insert(1, ["-" * width for width in widths])
        lines = [self.title]
        for row in cells:
            numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
            lines.append("  ".join(["", row[0].ljust(widths[0]), *numbers]))
        return "\n".join([*lines, *([f"  {self.note}"] if self.note else [])])

    def markdown(self) -> str:
        """Return it in Markdown; what wins is bold."""
        best = {at: min(row[at] for row in self.rows) for at, name in enumerate(self.head) if name in self.least}
        lines = [f"**{self.title}**", "", _line(self.head), _line(["---"] * len(self.head))]
        for row in self.rows:
            cells = [shown(cell).replace("|", "\\|") for cell in row]
            lines.append(_line([f"**{c}**" if at in best and row[at] == best[at] else c for at, c in enumerate(cells)]))
        return "\n".join([*lines, *(["", self.note] if self.note else [])])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


@dataclass(frozen=True, slots=True)
class Mark:
    """What is asked of a figure, and whether it is so."""

    what: str
    measured: Any
    mark: str
    met: bool


def at_least(what: str, measured: float, mark: float) -> Mark:
    """Return the mark that a figure is this or more."""
    return Mark(what, measured, f"at least {mark:g}", measured >= mark)


def at_most(what: str, measured: float, mark: float) -> Mark:
    """Return the mark that a figure is this or less."""
    return Mark(what, measured, f"at most {mark:g}", measured <= mark)


def within(what: str, measured: float, mark: float, tolerance: float) -> Mark:
    """Return the mark that a figure is about this."""
    return Mark(what, measured, f"{mark:g} +- {tolerance:g}", abs(measured - mark) <= tolerance)


def marks_table(found: Figures) -> Table:
    """Return the marks of a benchmark, from its figures."""
    rows = [(what, one["measured"], one["mark"], "met" if one["met"] else "MISSED") for what, one in found.items()]
    return Table("Marks", ("", "measured", "mark", "outcome"), rows)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print one table."""
    show([Table(title, head, rows)])


def show(tables: Iterable[Table]) -> None:
    """Print tables."""
    for one in tables:
        print(f"\n{one.text()}", flush=True)


def shown(value: Any) -> str:
    """Return a figure as text: three significant digits below 100, whole numbers above; a dash for none."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def finish(
    name: str, figures: Figures, tables: Iterable[Table], packages: Sequence[str], marks: Iterable[Mark] = ()
) -> int:
    """Print tables and marks, write the figures; returns the exit code: 1 when a mark is missed."""
    judged = {one.what: {"measured": one.measured, "mark": one.mark, "met": one.met} for one in marks}
    show([*tables, *([marks_table(judged)] if judged else [])])
    write(name, {**figures, "marks": judged}, packages)
    return 0 if all(one["met"] for one in judged.values()) else 1


def write(name: str, figures: Figures, packages: Sequence[str]) -> Path:
    """Write bench/results/NAME.json; returns the file."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    whole = {
        "name": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
            "system": platform.system(),
            "processor": platform.machine(),
        },
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
