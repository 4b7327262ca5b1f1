"""Part of `make bench`, and `make drill-soak`: lose a region and recover in another, and keep what that took and lost.

Takes the arguments of `python -m local drill`, prints what it prints, and takes its figures from its JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.plots import bars
from bench.report import ROOT, Figures, Mark, Table, finish

PARTS = ("detect", "decide", "deploy", "rebuild", "route")
PACKAGES = ("azure-search-documents", "azure-storage-blob", "azure-functions-durable", "aiohttp")


def row(report: Figures) -> dict[str, Any]:
    """Return one drill's figures; None where it did not come so far."""
    figures = report["figures"]
    return {
        "seed": report["options"]["seed"],
        "passed": report["passed"],
        "failed_checks": [f"{one['name']}: {one['says']}" for one in report["checks"] if not one["passed"]],
        "checks": len(report["checks"]),
        "rto_seconds": figures.get("rto_seconds"),
        "rto_phases": figures.get("rto_phases", {}),
        "rpo_seconds": figures.get("rpo_seconds"),
        "replication_lag_seconds": figures.get("replication_lag_seconds"),
        "lost_versions": figures.get("lost_writes"),
        "right_answers": report["answers"].get("right", 0),
        "wrong_answers": len(report["false_answers"]),
        "tokens_embedded": figures.get("tokens_embedded"),
        "documents_verified": figures.get("documents_verified"),
    }


def tables(found: Figures) -> Iterator[Table]:
    """Yield the tables."""
    options, rows = found["options"], found["drills"]
    yield Table(
        f"{options['scenario']}: {options['documents']} documents, replica {options['lag']:g} s behind; seconds",
        ("seed", "RTO", *PARTS, "RPO", "lag", "versions lost", "wrong", "right", "embedded", "verified", "checks"),
        [
            (
                str(one["seed"]),
                one["rto_seconds"],
                *(one["rto_phases"].get(part) for part in PARTS),
                one["rpo_seconds"],
                one["replication_lag_seconds"],
                None if one["lost_versions"] is None else len(one["lost_versions"]),
                one["wrong_answers"],
                one["right_answers"],
                one["tokens_embedded"],
                one["documents_verified"],
                f"{one['checks'] - len(one['failed_checks'])} of {one['checks']}",
            )
            for one in rows
        ],
    )
    lost = [(str(one["seed"]), name) for one in rows for name in one["lost_versions"] or ()]
    if lost and len(rows) == 1:
        yield Table("Lost: newer than Last Sync Time", ("seed", "version"), lost)
    if failed := [(str(one["seed"]), name) for one in rows for name in one["failed_checks"]]:
        yield Table("What was not shown", ("seed", "check"), failed)


def plot(found: Figures) -> str:
    """Return the parts of every drill's recovery time as bars."""
    groups = {f"seed {one['seed']}: seconds": one["rto_phases"] for one in found["drills"] if one["rto_phases"]}
    return bars("Parts of the recovery time", groups, PARTS)


def marks(found: Figures) -> Iterator[Mark]:
    """Yield what is asked of the drills."""
    rows = found["drills"]
    passed = sum(one["passed"] for one in rows)
    yield Mark("drills in which everything was shown", passed, f"{len(rows)} of {len(rows)}", passed == len(rows))
    wrong = sum(one["wrong_answers"] for one in rows)
    yield Mark("wrong answers", wrong, "none", not wrong)


def main() -> int:
    """Run a drill, or several with --soak; returns 1 when something was not shown, or what kept it from running."""
    parser = argparse.ArgumentParser(prog="bench.drill", description=__doc__, add_help=False)
    parser.add_argument("--json", type=Path, help="keep the whole report here")
    options, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="warmlake-bench-drill-") as folder:
        file = (options.json or Path(folder) / "report.json").resolve()
        file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "local", "drill", *rest, "--json", str(file)]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if not file.is_file():
            return code
        reports = json.loads(file.read_text(encoding="utf-8"))
    reports = reports if isinstance(reports, list) else [reports]
    found = {"options": reports[0]["options"], "drills": [row(report) for report in reports]}
    return finish("drill" if len(reports) == 1 else "soak", found, tables(found), PACKAGES, marks(found))


if __name__ == "__main__":
    sys.exit(main())
