"""Turning the power off: every process of some services ends in the same moment, with what it had not finished."""

import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterable

from local.children import Child


def lose(children: Iterable[Child]) -> int:
    """Kill services with all processes they have started (SIGKILL), and let them stay dead; returns how many died."""
    pids = _all_of(children)
    for pid in pids:
        _send(pid, signal.SIGKILL)
    return len(pids)


def freeze(children: Iterable[Child]) -> None:
    """Stop services where they are, as a region does that is cut off but not destroyed; `thaw` lets them go on."""
    for pid in _all_of(children):
        _send(pid, signal.SIGSTOP)


def thaw(children: Iterable[Child]) -> None:
    """Let frozen services go on."""
    for pid in _all_of(children):
        _send(pid, signal.SIGCONT)


def _all_of(children: Iterable[Child]) -> list[int]:
    """Return the processes of services, each before those that it has started: none can restart another."""
    below = _started_by()
    found: list[int] = []
    waiting: list[int] = []
    for child in children:
        child.give_up()
        if child.pid is not None:
            waiting.append(child.pid)
    while waiting:
        pid = waiting.pop(0)
        found.append(pid)
        waiting += below[pid]
    return found


def _started_by() -> dict[int, list[int]]:
    """Return for every process those that it has started."""
    listed = subprocess.run(["ps", "-A", "-o", "ppid=,pid="], capture_output=True, text=True, check=True).stdout
    below: dict[int, list[int]] = defaultdict(list)
    for line in listed.splitlines():
        parent, pid = map(int, line.split())
        below[parent].append(pid)
    return below


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself a moment ago
