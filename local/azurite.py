"""Run Azurite, Microsoft's storage emulator, as a child process.

Azurite writes its tables to disk every few seconds and when it is stopped: what was acknowledged in the last seconds
before a SIGKILL of Azurite itself may be lost.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from local.node import ToolMissing, azurite_command
from local.processes import die_with_parent, end_with_parent_thread, free_port
from local.serve import Arguments

ACCOUNT = "devstoreaccount1"
# Azurite's published development key: the same on every machine, no secret.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
START_SECONDS = 30.0
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Azurite:
    """Where a running Azurite listens."""

    blob_port: int
    queue_port: int
    table_port: int

    @property
    def blob_endpoint(self) -> str:
        """The blob service's address, account included."""
        return f"http://127.0.0.1:{self.blob_port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """The connection string for all three services."""
        return connection_string(self.blob_port, self.queue_port, self.table_port)


def connection_string(blob_port: int, queue_port: int, table_port: int) -> str:
    """Return the connection string of the development account at these ports."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint=http://127.0.0.1:{blob_port}/{ACCOUNT};"
        f"QueueEndpoint=http://127.0.0.1:{queue_port}/{ACCOUNT};"
        f"TableEndpoint=http://127.0.0.1:{table_port}/{ACCOUNT};"
    )


@contextlib.contextmanager
def start_azurite(
    data_dir: Path | None = None, *, blob_port: int = 0, queue_port: int = 0, table_port: int = 0
) -> Iterator[Azurite]:
    """Run Azurite for the length of the block; port 0 picks a free one, no folder means a temporary one.

    Raises ToolMissing when it is not installed, OSError when it does not start.
    """
    azurite = Azurite(blob_port or free_port(), queue_port or free_port(), table_port or free_port())
    with contextlib.ExitStack() as stack:
        folder = data_dir or Path(stack.enter_context(TemporaryDirectory(prefix="azurite-")))
        folder.mkdir(parents=True, exist_ok=True)
        log = stack.enter_context((folder / "azurite.log").open("ab"))
        options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", str(folder)]
        ports = [f"--blobPort={azurite.blob_port}", f"--queuePort={azurite.queue_port}"]
        command = [*azurite_command(), *options, *ports, f"--tablePort={azurite.table_port}"]
        # Azurite itself would end with a trace; worse, who listens there would be taken for it.
        _require_free((azurite.blob_port, azurite.queue_port, azurite.table_port))
        child = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=end_with_parent_thread)
        stack.callback(_stop, child)
        _wait_until_up(child, azurite, folder / "azurite.log")
        yield azurite


def _require_free(ports: Iterable[int]) -> None:
    for port in ports:
        if _accepts(port):
            raise OSError(f"port {port} is taken; choose another")


def _wait_until_up(child: subprocess.Popen[bytes], azurite: Azurite, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    for port in (azurite.blob_port, azurite.queue_port, azurite.table_port):
        while not _accepts(port):
            if child.poll() is not None or time.monotonic() > deadline:
                lines = log.read_text(errors="replace").strip().splitlines()
                raise OSError(f"Azurite did not start on port {port}: {lines[-1] if lines else 'no output'}")
            time.sleep(0.05)


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def main() -> int:
    """Run Azurite until SIGTERM or SIGINT; returns the exit code."""
    parser = Arguments(prog="local.azurite", description="run Azurite")
    parser.add_argument("--blob-port", type=int, default=0)
    parser.add_argument("--queue-port", type=int, default=0)
    parser.add_argument("--table-port", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True, help="folder that keeps the data")
    options = parser.parse_args()
    die_with_parent()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, lambda *_: stopped.set()
        )  # whichever thread the signal reaches, this runs in the main one
    try:
        with start_azurite(
            options.data,
            blob_port=options.blob_port,
            queue_port=options.queue_port,
            table_port=options.table_port,
        ) as azurite:
            print(f"ready {azurite.blob_endpoint}", flush=True)
            stopped.wait()
    except (OSError, ToolMissing) as fault:
        print(f"azurite: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
