"""Azurite as a child process: it starts, keeps its data, and never outlives who started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

import local.node
from local.azurite import start_azurite
from local.node import ToolMissing, azurite_command
from tests.conftest import ROOT, Service

WAIT_SECONDS = 120.0


def wait_until(holds: Callable[[], bool]) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes_with(text: str) -> list[int]:
    """Return the ids of the running processes whose command line has the text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue  # it ended meanwhile
    return found


def test_starts_on_free_ports_and_stops(tmp_path: Path) -> None:
    """Two run side by side, each with its own data; both are gone after their blocks."""
    with start_azurite(tmp_path / "one") as one, start_azurite(tmp_path / "two") as two:
        ports = [one.blob_port, one.queue_port, one.table_port, two.blob_port, two.queue_port, two.table_port]
        assert len(set(ports)) == 6
        with BlobServiceClient.from_connection_string(one.connection_string) as blobs:
            blobs.create_container("here").upload_blob("x", b"1")
        with BlobServiceClient.from_connection_string(two.connection_string) as blobs:
            assert list(blobs.list_containers()) == []
        with QueueServiceClient.from_connection_string(one.connection_string) as queues:
            queues.create_queue("tasks").close()
            assert [queue.name for queue in queues.list_queues()] == ["tasks"]
        assert len(processes_with(str(tmp_path))) == 2
    assert processes_with(str(tmp_path)) == []


def test_data_survives_a_restart(tmp_path: Path) -> None:
    """What was stored is there when Azurite is started on the same folder."""
    with start_azurite(tmp_path) as first, BlobServiceClient.from_connection_string(first.connection_string) as blobs:
        blobs.create_container("kept").upload_blob("x", b"kept")
    with start_azurite(tmp_path) as again, BlobServiceClient.from_connection_string(again.connection_string) as blobs:
        assert blobs.get_blob_client("kept", "x").download_blob().readall() == b"kept"
        with pytest.raises(ResourceNotFoundError):
            blobs.get_blob_client("kept", "y").download_blob()


def test_command_runs_until_it_is_stopped(tmp_path: Path) -> None:
    """`python -m local.azurite` says that it is ready, serves, and ends with 0 and without a child left."""
    service = Service("local.azurite", "--data", str(tmp_path / "data"), log=tmp_path / "log")
    assert service.url.endswith("/devstoreaccount1")
    assert len(processes_with(str(tmp_path / "data"))) == 2  # the command and Node
    assert service.stop() == 0
    assert processes_with(str(tmp_path / "data")) == []
    assert (tmp_path / "log").read_text() == ""


def test_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """When who started it is killed outright, Node ends by itself."""
    service = Service("local.azurite", "--data", str(tmp_path / "data"), log=tmp_path / "log")
    service.kill()
    wait_until(lambda: processes_with(str(tmp_path / "data")) == [])


def test_ends_with_a_killed_grandparent(tmp_path: Path) -> None:
    """When the supervisor of `python -m local.azurite` is killed, neither the command nor Node is left."""
    data = str(tmp_path / "data")
    code = (
        "import subprocess, sys\n"
        f"command = [sys.executable, '-m', 'local.azurite', '--data', {data!r}]\n"
        "child = subprocess.Popen(command, stdout=subprocess.PIPE)\n"
        "print(child.stdout.readline().decode(), end='', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout
        assert supervisor.stdout.readline().startswith("ready ")
        os.kill(supervisor.pid, signal.SIGKILL)
    wait_until(lambda: processes_with(data) == [])


def test_missing_azurite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Azurite is not installed, the error names it, its version and the command that installs it."""
    monkeypatch.setattr(local.node, "AZURITE_SCRIPT", tmp_path / "azurite.js")
    with pytest.raises(ToolMissing, match=rf"Azurite {local.node.AZURITE_VERSION} is missing; `make setup`"):
        azurite_command()
    with pytest.raises(ToolMissing), start_azurite(tmp_path):
        pass


def test_taken_port_is_said(tmp_path: Path) -> None:
    """A port that another program has is one line on stderr and exit code 1."""
    with start_azurite(tmp_path / "first") as first:
        command = [sys.executable, "-m", "local.azurite", "--data", str(tmp_path / "second")]
        taken = [*command, "--blob-port", str(first.blob_port)]
        ended = subprocess.run(taken, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert line == f"azurite: port {first.blob_port} is taken; choose another"
