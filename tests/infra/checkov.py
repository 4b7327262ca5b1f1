"""checkov over the templates: what it finds beyond the justified skips, and whether it could read every file."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.infra.tools import tool


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan's counts, and the checks that failed."""

    passed: int
    parsing_errors: int
    failed: tuple[str, ...]
    errors: str


def scan(folder: Path, config: Path, skip: bool = True) -> Scan:
    """Run checkov over a folder. It exits with 0 on a file that it cannot parse, so the count of those is read too."""
    command = [tool("checkov"), "--directory", str(folder), "--output", "json"]
    command += ["--config-file", str(config)] if skip else ["--framework", "bicep", "--skip-download"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    report = json.loads(done.stdout[done.stdout.index("{") :])
    summary = report.get("summary", report)
    results = report.get("results", {}).get("failed_checks", [])
    failed = tuple(sorted(f"{found['check_id']} {found['file_path']} {found['resource']}" for found in results))
    errors = "\n".join(line for line in done.stderr.splitlines() if "Failed to run check" in line)
    return Scan(summary["passed"], summary["parsing_errors"], failed, errors)
