"""Turning the power off: everything that a service has started ends with it, and nothing starts again."""

import asyncio
import itertools
from pathlib import Path

from local.children import Child
from local.drill import power

PARENT = """
import subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("pid", grandchild.pid, flush=True)
print("ready here", flush=True)
time.sleep(600)
"""


def state(pid: int) -> str:
    """Return the kernel's letter for a process: R or S alive, T stopped, Z dead, "" gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]


async def until(states: str, *pids: int) -> None:
    """Wait until every process is in one of these states."""
    async with asyncio.timeout(120):
        for _ in itertools.count():
            if all(state(pid) in states for pid in pids):
                return
            await asyncio.sleep(0.02)


async def started(folder: Path) -> tuple[Child, int]:
    """Start a service that has started another process; returns both."""
    (folder / "parent_of_one.py").write_text(PARENT)
    said: list[str] = []
    child = Child("parent", "parent_of_one", [], lambda name, text: said.append(text))
    await child.start(folder)
    return child, int(said[0].split()[1])


def test_a_lost_service_takes_its_processes_along(tmp_path: Path) -> None:
    """Both are killed, and the supervisor does not start the service again."""

    async def run() -> None:
        child, grandchild = await started(tmp_path)
        pid = child.pid
        assert pid is not None
        assert power.lose([child]) == 2
        await until("Z", pid, grandchild)
        await child.stop()
        assert child.pid == pid

    asyncio.run(run())


def test_frozen_services_go_on_where_they_were(tmp_path: Path) -> None:
    """A frozen process is stopped, not ended; thawed, it runs again, and can be ended."""

    async def run() -> None:
        child, grandchild = await started(tmp_path)
        assert child.pid is not None
        power.freeze([child])
        await until("T", child.pid, grandchild)
        power.thaw([child])
        await until("RS", child.pid, grandchild)
        power.lose([child])
        await until("Z", child.pid, grandchild)
        await child.stop()

    asyncio.run(run())
