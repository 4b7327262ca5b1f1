"""Runs the host with one of the small apps, as a developer would, and calls it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import httpx2

ROOT = Path(__file__).parents[3]
APPS = ROOT / "tests" / "apps"
STOP_SECONDS = 60
DEADLINE_SECONDS = 120  # a guard against hanging, also on a machine with much else to do


@dataclass(slots=True)
class Host:
    """A running host: its address, what it printed, its process."""

    url: str
    process: subprocess.Popen[str]
    table: list[str]
    log: Path
    http: httpx2.Client

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop the host; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


def eventually[T](look: Callable[[], T | None], what: str) -> T:
    """Return what is found once there is something; fails when there is nothing for a long time."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"still not so: {what}"
        time.sleep(0.02)
    return found


@contextlib.contextmanager
def asked(host: Host, path: str) -> Iterator[None]:
    """Ask for a path, and go away without an answer at the end of the block."""
    place = urlsplit(host.url)
    with socket.create_connection((place.hostname, place.port), timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield


def command(port: int = 0) -> list[str]:
    """Return how the host is started. -P: the folder it is started in does not come first on the module path."""
    return [sys.executable, "-P", "-m", "local.functions_host", "start", "--port", str(port)]


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a host: this one's, the project importable, and app settings."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **(settings or {})}


@contextlib.contextmanager
def running(
    folder: Path, log: Path, settings: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
) -> Iterator[Host]:
    """Run the host for the length of the block; fails when it does not start."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*command(), *arguments],
            cwd=folder,
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdout is not None
        try:
            table, url = _until_ready(process.stdout, log)
            drain = threading.Thread(target=process.stdout.read, daemon=True)
            drain.start()
            with httpx2.Client(base_url=url, timeout=60) as http:
                yield Host(url, process, table, log, http)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(STOP_SECONDS)
            process.stdout.close()


def _until_ready(output: IO[str], log: Path) -> tuple[list[str], str]:
    lines: list[str] = []
    for line in output:
        if line.startswith("ready "):
            return lines, line.split()[1]
        lines.append(line.rstrip())
    raise AssertionError(f"the host did not start:\n{log.read_text()[-3000:]}")
