"""Hosts shared by the tests of a module."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from tests.local.functions_host.hosting import APPS, Host, running


@pytest.fixture(scope="module")
def host_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a module's host."""
    return tmp_path_factory.mktemp("host") / "host.log"


@pytest.fixture(scope="module")
def classic(host_log: Path) -> Iterator[Host]:
    """A host with functions that take and give whole requests and responses."""
    with running(APPS / "classic", host_log, {"FROM_BOTH": "environment"}) as host:
        yield host


@pytest.fixture(scope="module")
def streaming(host_log: Path) -> Iterator[Host]:
    """A host with functions that stream."""
    with running(APPS / "streaming", host_log) as host:
        yield host


@pytest.fixture(scope="module")
def durable(host_log: Path) -> Iterator[Host]:
    """A host with orchestrations and entities."""
    with running(APPS / "durable", host_log) as host:
        yield host


@pytest.fixture(scope="module")
def storage(azurite: Azurite, host_log: Path) -> Iterator[Host]:
    """A host with queue and blob triggers."""
    # Tries follow each other at once: how long the pauses are is not tested.
    settings = {"AzureWebJobsStorage": azurite.connection_string, "FUNCTIONS_HOST_BLOB_RETRY_SECONDS": "0"}
    with running(APPS / "storage", host_log, settings) as host:
        yield host


@pytest.fixture(scope="module")
def queues(azurite: Azurite) -> Iterator[QueueServiceClient]:
    """The account's queues."""
    with QueueServiceClient.from_connection_string(azurite.connection_string) as service:
        yield service


@pytest.fixture(scope="module")
def blobs(azurite: Azurite, storage: Host) -> Iterator[BlobServiceClient]:
    """The account's blobs, with the container that the app watches."""
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        with contextlib.suppress(ResourceExistsError):  # made for another module's tests
            service.create_container("documents")
        yield service
