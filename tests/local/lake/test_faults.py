"""Clients that go away and storage that does not answer leave no write without its version."""

import contextlib
import itertools
import json
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.storage.blob import BlobServiceClient, ContainerClient

from local.azurite import ACCOUNT, KEY, Azurite
from local.lake.signing import signature
from tests.conftest import ROOT, Service, lake_connection
from tests.local.lake.support import content, put, refusal, version_id, versions

WAIT_SECONDS = 120.0


@pytest.fixture
def lake(own_azurite: Azurite, tmp_path: Path) -> Iterator[Service]:
    """A lake of this file's own."""
    arguments = ["--azurite-blob-port", str(own_azurite.blob_port), "--data", str(tmp_path / "lake")]
    running = Service("local.lake", *arguments, log=tmp_path / "lake.log")
    yield running
    assert running.stop() == 0


@pytest.fixture
def documents(lake: Service) -> Iterator[ContainerClient]:
    """A container of that lake."""
    with BlobServiceClient.from_connection_string(lake_connection(lake.url), retry_total=0) as client:
        made = client.create_container(f"f{uuid.uuid4().hex}")
        yield made
        made.delete_container()


def unrecorded(lake: Service) -> int:
    """Return how many writes the lake still has to look at."""
    with urllib.request.urlopen(f"{lake.url}/-/health", timeout=60) as reply:
        return int(json.load(reply)["unrecorded"])


def wait_until(holds: Callable[[], bool]) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def put_and_leave(url: str, container: str, name: str, body: bytes) -> None:
    """Send a whole upload and close the connection without waiting for the reply."""
    path = f"/{ACCOUNT}/{container}/{name}"
    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-date": formatdate(usegmt=True), "x-ms-version": "2025-01-05"}
    headers |= {"Content-Length": str(len(body)), "Content-Type": "text/plain"}
    headers["Authorization"] = signature("PUT", path, headers, ACCOUNT, KEY)
    lines = [f"PUT {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def test_clients_that_do_not_wait(lake: Service, documents: ContainerClient) -> None:
    """Uploads whose clients went away are stored with a version or not at all."""
    for number in range(30):
        put_and_leave(lake.url, documents.container_name, f"n{number}", b"x" * 1000 * number)
    put(documents, "last", b"1")
    wait_until(lambda: "n0" in list(documents.list_blob_names()) and unrecorded(lake) == 0)
    current = {blob.name for blob in documents.list_blobs(include=["versions"]) if blob.is_current_version}
    assert current == set(documents.list_blob_names())


def test_client_that_leaves_in_the_middle(lake: Service, documents: ContainerClient) -> None:
    """Half an upload is no write, and the blob can be written right after."""
    path = f"/{ACCOUNT}/{documents.container_name}/half"
    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-date": formatdate(usegmt=True), "x-ms-version": "2025-01-05"}
    headers |= {"Content-Length": "1000"}
    headers["Authorization"] = signature("PUT", path, headers, ACCOUNT, KEY)
    lines = [f"PUT {path} HTTP/1.1", "Host: lake", *(f"{k}: {v}" for k, v in headers.items())]
    with socket.create_connection(("127.0.0.1", urlsplit(lake.url).port or 0)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + b"x" * 500)
    whole = put(documents, "half", b"whole")
    assert versions(documents, "half") == [(whole, True)]


def test_storage_that_does_not_answer(tmp_path: Path) -> None:
    """While the storage is away requests get 503; afterwards the lake goes on without a restart."""
    log, data = tmp_path / "log", tmp_path / "azurite"
    storage = Service("local.azurite", "--data", str(data), log=log)
    port = str(urlsplit(storage.url).port)
    lake = Service("local.lake", "--azurite-blob-port", port, "--data", str(tmp_path / "lake"), log=log)
    with BlobServiceClient.from_connection_string(lake_connection(lake.url), retry_total=0) as client:
        documents = client.create_container("documents")
        first = put(documents, "a", b"1")
        assert storage.stop() == 0
        with pytest.raises(HttpResponseError) as away:
            put(documents, "a", b"2")
        assert refusal(away) == (503, "ServerBusy")
        assert unrecorded(lake) == 1
        storage = Service("local.azurite", "--blob-port", port, "--data", str(data), log=log)
        wait_until(lambda: unrecorded(lake) == 0)
        second = put(documents, "a", b"3")
        assert versions(documents) == [(first, False), (second, True)]
    assert lake.stop() == 0
    assert storage.stop() == 0


def test_lake_without_storage(tmp_path: Path) -> None:
    """A lake whose storage is not there does not start, and says so in one line."""
    with socket.socket() as taken:  # bound and not listening: nobody answers here
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "local.lake", "--azurite-blob-port", port, "--data", str(tmp_path)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("lake: the storage behind the lake does not answer: ")


def test_kills_during_writes(own_azurite: Azurite, tmp_path: Path) -> None:
    """Killed while several writers write, the lake loses no acknowledged version, and one of each blob is current."""
    arguments = ["--azurite-blob-port", str(own_azurite.blob_port), "--data", str(tmp_path / "lake")]
    container, acknowledged = f"k{uuid.uuid4().hex}", dict[str, tuple[str, bytes]]()
    for turn in range(3):
        lake = Service("local.lake", *arguments, log=tmp_path / "lake.log")
        with ThreadPoolExecutor() as pool:
            for writer in range(4):
                pool.submit(write_until_refused, lake.url, container, f"{turn} {writer}", acknowledged)
            least = len(acknowledged) + 25
            wait_until(lambda: len(acknowledged) >= least)  # noqa: B023 - called before `least` changes
            lake.kill()
    lake = Service("local.lake", *arguments, log=tmp_path / "lake.log")
    with BlobServiceClient.from_connection_string(lake_connection(lake.url), retry_total=0) as client:
        documents = client.get_container_client(container)
        listed = list(documents.list_blobs(include=["versions"]))
        assert set(acknowledged) <= {str(blob.version_id) for blob in listed}
        for version, (name, body) in acknowledged.items():
            assert content(documents, name, version) == body
        current = [blob.name for blob in listed if blob.is_current_version]
        assert sorted(current) == sorted(documents.list_blob_names())
        documents.delete_container()
    assert lake.stop() == 0


def write_until_refused(url: str, container: str, writer: str, acknowledged: dict[str, tuple[str, bytes]]) -> None:
    """Write to three blobs over and over; note what was acknowledged; end when nobody answers."""
    with BlobServiceClient.from_connection_string(lake_connection(url), retry_total=0) as client:
        documents = client.get_container_client(container)
        with contextlib.suppress(ResourceExistsError):  # another writer made it
            documents.create_container()
        for number in itertools.count():
            name, body = f"b{number % 3}", f"{writer} {number}".encode()
            try:
                made = documents.get_blob_client(name).upload_blob(body, overwrite=True)
            except AzureError:
                return
            acknowledged[version_id(made["version_id"])] = (name, body)
