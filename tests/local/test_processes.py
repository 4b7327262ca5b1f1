"""Every local service starts, stops and fails in the same way, and dies with who started it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.azurite import Azurite
from local.processes import free_port
from tests.conftest import ROOT, Service

SERVICES = ("lake", "model_service", "search_service")


@pytest.fixture(params=SERVICES)
def command(request: pytest.FixtureRequest, own_azurite: Azurite, tmp_path: Path) -> list[str]:
    """A service's module and the arguments that it needs."""
    arguments = {
        "lake": ["--azurite-blob-port", str(own_azurite.blob_port), "--data", str(tmp_path / "lake")],
        "search_service": ["--data", str(tmp_path / "search")],
        "model_service": [],
    }
    return [f"local.{request.param}", *arguments[request.param]]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a service that is expected to end by itself."""
    arguments = [sys.executable, "-m", *command]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def answers(url: str) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=5):
            return True
    except OSError:
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_a_service(command: list[str], number: signal.Signals, tmp_path: Path) -> None:
    """Both signals end a service with exit code 0 and without a traceback, also while a client keeps a connection."""
    service = Service(*command, log=tmp_path / "log")
    port = int(service.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)):
        os.kill(service.process.pid, number)
        assert service.stop() == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert not answers(service.url)


def test_taken_port(command: list[str], taken: int) -> None:
    """A taken port is one line that names it, and exit code 1."""
    ended = run(*command, "--port", str(taken))
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert f"port {taken} cannot be used" in line


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--nonsense"], ["--port", "70000"]])
def test_bad_arguments(command: list[str], arguments: list[str]) -> None:
    """Arguments that mean nothing are said on stderr, with exit code 2."""
    ended = run(*command, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert any(word in ended.stderr for word in arguments)
    assert "Traceback" not in ended.stderr


def test_chosen_port(command: list[str], tmp_path: Path) -> None:
    """A service listens on the port that it was given."""
    port = free_port()
    service = Service(*command, "--port", str(port), log=tmp_path / "log")
    assert service.url == f"http://127.0.0.1:{port}"
    assert answers(service.url)
    assert service.stop() == 0


def test_service_ends_with_its_killed_parent(tmp_path: Path) -> None:
    """When who started a service is killed outright, the service ends by itself."""
    code = (
        "import subprocess, sys\n"
        f"command = [sys.executable, '-m', 'local.search_service', '--data', {str(tmp_path / 'data')!r}]\n"
        "child = subprocess.Popen(command, stdout=subprocess.PIPE)\n"
        "print(child.stdout.readline().decode(), end='', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        url = parent.stdout.readline().split()[1]
        assert answers(url)
        os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: not answers(url))


def test_free_ports_are_free() -> None:
    """A free port can be bound at once."""
    with socket.create_server(("127.0.0.1", free_port())):
        pass


def test_model_that_is_no_file() -> None:
    """A model file that is not there is one line and exit code 2."""
    ended = run("local.model_service", "--model", "missing.gguf")
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == ["model_service: --model 'missing.gguf' is neither 'extractive' nor a file"]
