"""The report of a drill: text for the terminal, JSON for machines."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.drill.checks import Check
from local.drill.drill import Options
from local.drill.record import Record


@dataclass(frozen=True, slots=True)
class Report:
    """A drill that is over: what was asked for, what happened, what was shown."""

    options: Options
    record: Record
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was shown."""
        return bool(self.checks) and all(check.passed for check in self.checks)


def text(report: Report) -> str:
    """Return checks, phases and figures as lines."""
    lines = ["", f"{report.options.scenario}, seed {report.options.seed}"]
    for check in report.checks:
        lines.append(f"  {'ok  ' if check.passed else 'FAIL'}  {check.name}: {check.says}")
    figures = report.record.figures
    if "rto_seconds" in figures:
        phases = " + ".join(f"{name} {seconds:g}" for name, seconds in figures["rto_phases"].items())
        lines.append(f"RTO {figures['rto_seconds']:g} s = {phases}")
        lines.append(f"RPO {figures['rpo_seconds']:g} s, {len(figures['lost_writes'])} writes lost")
    lines.append("passed" if report.passed else "FAILED")
    return "\n".join(lines)


def as_data(report: Report) -> dict[str, Any]:
    """Return the report as JSON-ready data."""
    options, record = report.options, report.record
    return {
        "scenario": options.scenario,
        "passed": report.passed,
        "at": datetime.fromtimestamp(record.began, UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()},
        "options": {name: getattr(options, name) for name in options.__slots__ if name != "folder"},
        "checks": [{"name": one.name, "passed": one.passed, "says": one.says} for one in report.checks],
        "figures": record.figures,
        "answers": dict(sorted(record.verdicts().items())),
        "false_answers": [_row(answer) for answer in record.false_answers()],
        "flaws": [_row(flaw) for flaw in record.flaws],
        "events": [_row(event) for event in sorted(record.events, key=lambda event: event.at)],
        "phases": [_row(phase) for phase in record.phases],
        "samples": [_row(sample) for sample in record.samples],
        "every_answer": [_row(answer) for answer in sorted(record.answers, key=lambda answer: answer.at)],
    }


def _row(value: Any) -> Mapping[str, Any]:
    found = {name: getattr(value, name) for name in value.__slots__}
    return {name: round(one, 3) if isinstance(one, float) else one for name, one in found.items()}


def write_json(reports: Sequence[Report], file: Path) -> None:
    """Write a report as JSON, or a list of several."""
    found = [as_data(report) for report in reports]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found[0] if len(found) == 1 else found, indent=1) + "\n", encoding="utf-8")
