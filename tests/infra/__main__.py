"""`python -m tests.infra`: check the infrastructure code and say in figures what was checked; `--write` renews what
documents take from it.
"""

import re
import subprocess
import sys
import time

from tests.infra.checkov import scan
from tests.infra.checks import VARIANTS, check, deploy_variant
from tests.infra.evaluate import INFRA, Sources
from tests.infra.mutations import MUTATIONS, surviving
from tests.infra.roles import table
from tests.infra.tools import ROOT

SECURITY = ROOT / "docs" / "security.md"
CHECKOV_TEST = "tests/infra/test_checkov.py::test_checkov_passes_and_reads_every_file"
FULL = "standard, hot, private, signed in, scheduler"


def roles_table() -> str:
    """Return the table of role assignments, of the deployment that has them all."""
    sources = Sources(INFRA)
    whole = deploy_variant(sources, FULL)
    whole.resources.extend(deploy_variant(sources, "standard, warm").resources)
    return table(whole)


def with_roles(text: str) -> str:
    """Return docs/security.md with the present table in its place."""
    return re.sub(
        r"(<!-- roles -->\n).*?(<!-- /roles -->)",
        lambda found: f"{found[1]}{roles_table()}{found[2]}",
        text,
        flags=re.DOTALL,
    )


def main(arguments: list[str]) -> int:
    """Check, or write; returns the exit code."""
    if arguments == ["--write"]:
        SECURITY.write_text(with_roles(SECURITY.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    started = time.monotonic()
    sources = Sources(INFRA)
    faults = check(sources)
    resources = sum(len(deploy_variant(sources, name).resources) for name in VARIANTS) if not faults else 0
    print(f"{len(sources.names())} templates, {len(VARIANTS)} deployments, {resources} resources: {len(faults)} faults")
    survived = [found for mutation in MUTATIONS if (found := surviving(mutation))]
    print(f"{len(MUTATIONS)} mutations: {len(MUTATIONS) - len(survived)} caught")
    scanned = scan(INFRA, INFRA / ".checkov.yaml")
    print(f"checkov: {scanned.passed} passed, {len(scanned.failed)} failed, Parsing errors: {scanned.parsing_errors}")
    for line in (*faults, *survived, *scanned.failed):
        print(line)
    print(f"{time.monotonic() - started:.0f} s; now the tests", flush=True)
    done = ("--ignore=tests/infra/test_mutations.py", f"--deselect={CHECKOV_TEST}")  # both were done just now
    tests = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "not slow", *done, "tests/infra"]
    code = subprocess.run(tests, cwd=ROOT, check=False).returncode
    return 1 if faults or survived or scanned.failed or scanned.parsing_errors else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
