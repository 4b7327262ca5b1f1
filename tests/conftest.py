"""Fixtures: the real local services, one of each for the whole run, on free ports."""

import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest

from local.azurite import ACCOUNT, KEY, Azurite, start_azurite
from shared.clients import Services
from shared.settings import Settings

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
        if not line.startswith("ready "):
            self.kill()
            raise AssertionError(f"{module} did not start: {log.read_text()[-2000:]}")
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


@pytest.fixture(scope="module")
def own_azurite() -> Iterator[Azurite]:
    """Azurite for the lakes that one file starts: a new lake records all that it finds, other tests' blobs too."""
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


@pytest.fixture
def settings(lake_service: str, azurite: Azurite, search_service: str, model_service: str) -> Settings:
    """Settings for the real local services, with containers and an index name of this test's own."""
    own = uuid.uuid4().hex[:12]
    return Settings.from_env(
        {
            "LAKE_STORAGE": lake_service,
            "AzureWebJobsStorage": azurite.connection_string,
            "LAKE_CONTAINER": f"documents-{own}",
            "EMBEDDINGS_CONTAINER": f"embeddings-{own}",
            "STATE_CONTAINER": f"state-{own}",
            "SEARCH_ENDPOINT": search_service,
            "SEARCH_API_KEY": "local",
            "SEARCH_INDEX": f"index-{own}",
            "OPENAI_ENDPOINT": model_service,
            "OPENAI_API_KEY": "local",
            "OPENAI_MODEL": "extractive-minilm",
            "OPENAI_EMBEDDING_MODEL": "all-minilm-l6-v2-int8",
            "EMBEDDING_DIMENSIONS": "384",
            "REBUILD_PAGE_DOCUMENTS": "3",
        }
    )


@asynccontextmanager
async def running(settings: Settings, make: bool = True) -> AsyncIterator[Services]:
    """The app's services, with their containers made as a deployment would; closed afterwards."""
    made = Services(settings)
    try:
        for container in (settings.lake_container, settings.embeddings_container) if make else ():
            await made.lake_account.create_container(container)
        await made.state.create()
        yield made
    finally:
        await made.close()


async def put(made: Services, path: str, text: str, metadata: dict[str, str] | None = None) -> None:
    """Write a document to the lake."""
    container = made.lake_account.get_container_client(made.settings.lake_container)
    await container.upload_blob(path, text.encode(), overwrite=True, metadata=metadata)


async def remove(made: Services, path: str) -> None:
    """Delete a document from the lake."""
    await made.lake_account.get_container_client(made.settings.lake_container).delete_blob(path)


async def new_generation(made: Services) -> str:
    """Make an empty generation and let it answer."""
    name = made.generations.name_at(datetime.now(UTC))
    await made.generations.create(name)
    await made.generations.go_live(name)
    return name
