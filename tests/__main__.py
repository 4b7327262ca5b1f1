"""`python -m tests`: run the tests, side by side, and leave out a local service's own suite when nothing it tests has
changed.

The tests of a whole region always run, and with them every part of the app. A suite of one part depends on few files;
when those are the same as when the suite last passed here, it is named and left out. `ALL=1` runs everything, as does a
fresh clone.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PASSED = ROOT / ".pytest_cache" / "passed"
COMMON = (
    *("tests/conftest.py", "tests/__main__.py", "pyproject.toml", "requirements.txt", "requirements-local.txt"),
    *("requirements-nodeps.txt", "local/processes.py", "local/serve.py", "local/azurite.py", "local/node.py"),
    *("local/faults.py", "local/fault_rules.py"),
)
APP = ("shared", "orchestrations", "tests/shared/chunks.py", "tests/shared/conftest.py")
SERVICES = ("local/lake", "local/model_service", "local/search_service", "sample-lake")
WEB = ("web", "tests/web", "shared/site.py", "shared/feedback.py", "shared/body.py")
# suite: the folders and files that it depends on, beside COMMON and itself
SUITES: dict[str, tuple[str, ...]] = {
    "tests/local/functions_host": ("local/functions_host", "tests/apps"),
    "tests/local/lake": ("local/lake",),
    "tests/local/model_service": ("local/model_service", "sample-lake", "shared", "tests/shared"),
    "tests/local/search_service": ("local/search_service",),
    "tests/shared/chat": (*APP, *SERVICES),
    "tests/shared/documents": APP,
    "tests/shared/embeddings": (*APP, *SERVICES),
    "tests/shared/lake": (*APP, *SERVICES),
    "tests/shared/recovery": (*APP, *SERVICES),
    "tests/soak": (*APP, *SERVICES),
    "tests/web/test_access_and_looks.py": WEB,
    "tests/web/test_axe.py": WEB,
    "tests/web/test_chat_page.py": WEB,
    "tests/web/test_drill_page.py": ("local/drill", "tests/drill", "tests/web"),
    "tests/web/test_feedback.py": WEB,
    "tests/web/test_injection.py": (*APP, *SERVICES, *WEB, "tests/shared/chat"),
    "tests/web/test_markdown.py": WEB,
    "tests/web/test_reader.py": WEB,
    "tests/web/test_tabs.py": WEB,
}
WORKERS = str(min(4, 2 * (os.cpu_count() or 1)))  # much of the time is spent waiting for services


def main() -> int:
    """Run what has to run; returns pytest's exit code."""
    prints = {suite: fingerprint((suite, *inputs, *COMMON)) for suite, inputs in SUITES.items()}
    known = {} if os.environ.get("ALL") else {suite: _read(suite) for suite in SUITES}
    unchanged = [suite for suite in SUITES if known.get(suite) == prints[suite]]
    for suite in unchanged:
        print(f"{suite}: passed before with the same files; left out (ALL=1 runs it)")
    left_out = [f"--ignore={suite}" for suite in unchanged]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-n", WORKERS, "-p", "tests.order"]
    code = subprocess.run([*command, *left_out, "tests"], cwd=ROOT, check=False).returncode
    if code == 0:
        for suite in set(SUITES) - set(unchanged):
            _file(suite).parent.mkdir(parents=True, exist_ok=True)
            _file(suite).write_text(prints[suite])
    return code


def fingerprint(paths: tuple[str, ...]) -> str:
    """Return a hash over the names and contents of all files at and below the paths."""
    digest = hashlib.sha256()
    for file in sorted({file for path in paths for file in _files(ROOT / path)}):
        digest.update(f"{file.relative_to(ROOT)}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def _file(suite: str) -> Path:
    return PASSED / suite.replace("/", "-")


def _read(suite: str) -> str:
    file = _file(suite)
    return file.read_text() if file.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
