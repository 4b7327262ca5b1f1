"""What the simulation's figures say: measured beside predicted, curves, and what bounds a rebuild."""

from collections.abc import Iterator

from bench.plots import lines
from bench.report import Figures, Mark, Table

WITHIN = 0.2  # of what was measured
MEASURED = {
    "checked": "Checked by, none of them fitted",
    "beyond": "Beside make bench-rebuild, measured at another time: larger than anything fitted; no mark",
    "fitted": "Fitted on",
}


def tables(found: Figures) -> Iterator[Table]:
    """Yield the tables; what was measured is left out where the costs were given."""
    for name, title in MEASURED.items():
        rows = [
            [row["case"], row["chunks"], row["measured"], row["predicted"], f"{row['off']:+.0%}"]
            for row in found.get(name, ())
        ]
        if rows:
            yield Table(title, ["", "chunks", "measured s", "predicted s", "off"], rows)
    head = list(found["curves"][0])
    yield Table("Hours to rebuild", head, [[f"{row['chunks']:,}", *list(row.values())[1:]] for row in found["curves"]])
    rows = [[f"{row['search chunks/s']:,}", *list(row.values())[1:]] for row in found["limits"]]
    yield Table("What bounds ten million chunks", list(found["limits"][0]), rows)
    costs = [[name, seconds * 1_000] for name, seconds in found["costs"].items()]
    yield Table("Fitted costs, milliseconds", ["", "ms"], costs)


def plot(found: Figures) -> str:
    """Return the curves of recovery time."""
    names = list(found["curves"][0])[1:]
    series = {name: [(row["chunks"], row[name]) for row in found["curves"]] for name in names}
    return lines("Hours to rebuild by size of the lake", series, "chunks", "hours", logarithmic=True)


def marks(found: Figures) -> Iterator[Mark]:
    """Yield what is asked of the predictions."""
    for row in found["checked"]:
        off = f"{row['off']:+.1%}"
        yield Mark(row["case"], off, f"within {found['within']:.0%} of measured", abs(row["off"]) <= found["within"])
