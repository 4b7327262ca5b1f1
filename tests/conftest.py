"""Fixtures: the real local services, one of each for the whole run, on free ports."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from local.azurite import ACCOUNT, KEY, Azurite, start_azurite

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


class Service:
    """A local service running as a child process."""

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        self._log: IO[bytes] = log.open("ab")
        command = [sys.executable, "-m", module, *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self._log)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line.startswith("ready "), f"{module} did not start: {log.read_text()[-2000:]}"
        self.url = line.split()[1]

    def stop(self) -> int:
        """Stop the service as a supervisor would; returns its exit code."""
        self.process.terminate()
        return self._ended()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        code = self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
        return code


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder for the services' logs."""
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azurite, in memory of a temporary folder."""
    with start_azurite() as running:
        yield running


@pytest.fixture(scope="session")
def search_service(tmp_path_factory: pytest.TempPathFactory, logs: Path) -> Iterator[str]:
    """Address of a search service."""
    data = str(tmp_path_factory.mktemp("search"))
    service = Service("local.search_service", "--data", data, log=logs / "search.log")
    yield service.url
    assert service.stop() == 0


@pytest.fixture(scope="session")
def model_service(logs: Path) -> Iterator[str]:
    """Base address of a model service, as `OPENAI_ENDPOINT` takes it."""
    service = Service("local.model_service", log=logs / "model.log")
    yield f"{service.url}/openai/v1"
    assert service.stop() == 0


@pytest.fixture(scope="session")
def lake_service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory, logs: Path) -> Iterator[str]:
    """Connection string of a versioned lake that raises no events."""
    data = str(tmp_path_factory.mktemp("lake"))
    port = str(azurite.blob_port)
    service = Service("local.lake", "--azurite-blob-port", port, "--data", data, log=logs / "lake.log")
    yield lake_connection(service.url)
    assert service.stop() == 0


def lake_connection(url: str) -> str:
    """Return the connection string of a lake at an address."""
    endpoint = f"BlobEndpoint={url}/{ACCOUNT};"
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoint}"
