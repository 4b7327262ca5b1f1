"""The commands and options of the real Azure CLI, as recorded from its own help.

`pip install azure-cli` in an environment of its own, then `az COMMAND --help` for each: names, aliases, required ones.
The CLI itself has 700 MB and is not among the tools.
"""

import atexit
import functools
import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

from local.processes import end_with_parent_thread
from tests.infra.tools import tool

STAND_IN = Path(__file__).parent / "stand_in"
ASKING = Path(__file__).parent / "asking"  # az, azd and curl as scripts find them
COMMANDS: dict[str, dict[str, Any]] = json.loads((STAND_IN / "commands.json").read_text(encoding="utf-8"))["commands"]


def unknown_options(argv: list[str]) -> list[str]:
    """Return what the real Azure CLI would not take; the whole command where there is no such command."""
    words = list(itertools.takewhile(lambda word: not word.startswith("-"), argv))
    known = COMMANDS.get(" ".join(words))
    if known is None:
        return words or ["nothing"]
    names = {*known, *(alias for option in known.values() for alias in option.get("also", ()))}
    return [word for word in argv if word.startswith("--") and word not in names]


@functools.cache
def stand_ins() -> str:
    """Start what runs the stand-ins, once for all tests of this process; returns the port where it listens."""
    command = [tool("python3"), str(Path(__file__).parent / "stand_in_server.py")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=end_with_parent_thread)

    @atexit.register
    def stop() -> None:
        server.kill()
        server.communicate()

    assert server.stdout is not None
    return server.stdout.readline().strip()
