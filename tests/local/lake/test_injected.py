"""Injected faults of the lake, as the official SDK sees them."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobServiceClient, ContainerClient

from local.azurite import Azurite
from tests.conftest import Service, lake_connection
from tests.local.lake.support import refusal, versions


@pytest.fixture
def faulty(own_azurite: Azurite, tmp_path: Path) -> Iterator[tuple[str, BlobServiceClient, ContainerClient]]:
    """Address of a lake with faults, a client that retries at once, and a container."""
    arguments = ["--azurite-blob-port", str(own_azurite.blob_port), "--data", str(tmp_path / "lake"), "--faults"]
    lake = Service("local.lake", *arguments, log=tmp_path / "lake.log")
    connection = lake_connection(lake.url)
    with BlobServiceClient.from_connection_string(
        connection, retry_total=3, initial_backoff=0, increment_base=0
    ) as client:
        made = client.create_container(f"f{uuid.uuid4().hex}")
        yield lake.url, client, made
        with urlopen(Request(f"{lake.url}/-/faults", method="DELETE")):
            pass
        made.delete_container()
    assert lake.stop() == 0


def rule(url: str, **given: Any) -> None:
    with urlopen(Request(f"{url}/-/faults", json.dumps(given).encode(), method="POST")):
        pass


def fired(url: str) -> list[int]:
    with urlopen(f"{url}/-/faults") as reply:
        return [one["fired"] for one in json.loads(reply.read())["rules"]]


def test_busy_service_is_tried_again(faulty: tuple[str, BlobServiceClient, ContainerClient]) -> None:
    """A 503 ServerBusy is retried by the SDK, and the write happens once."""
    url, _, container = faulty
    rule(url, method="PUT", path="/a$", times=2, status=503)
    container.upload_blob("a", b"1")
    assert fired(url) == [2]
    assert len(versions(container, "a")) == 1


def test_refusal_has_the_services_code(faulty: tuple[str, BlobServiceClient, ContainerClient]) -> None:
    """What is not retried is raised with status and error code."""
    url, _, container = faulty
    rule(url, path="/a", status=503)
    with pytest.raises(HttpResponseError) as refused:
        container.get_blob_client("a").get_blob_properties(retry_total=0)
    assert refused.value.status_code == 503
    with pytest.raises(HttpResponseError) as refused:
        container.get_blob_client("a").download_blob(retry_total=0)
    assert refusal(refused) == (503, "ServerBusy")


@pytest.mark.parametrize(("drop", "written"), [("before", 0), ("after", 1)])
def test_broken_connection(faulty: tuple[str, BlobServiceClient, ContainerClient], drop: str, written: int) -> None:
    """A connection that breaks before the write leaves nothing, one that breaks after it leaves a version."""
    url, _, container = faulty
    rule(url, method="PUT", path="/a$", times=1, drop=drop)
    with pytest.raises(AzureError):
        container.upload_blob("a", b"1", retry_total=0)
    assert len(versions(container, "a")) == written


def test_slow_lake_runs_into_the_timeout(faulty: tuple[str, BlobServiceClient, ContainerClient]) -> None:
    """A reply that takes longer than the client waits is a timeout for the SDK, and the next try succeeds."""
    url, _, container = faulty
    container.upload_blob("a", b"1")
    rule(url, method="GET", path="/a$", times=1, delay_ms=1_500)
    with pytest.raises(AzureError):
        container.get_blob_client("a").download_blob(read_timeout=0.2, retry_total=0)
    assert container.get_blob_client("a").download_blob().readall() == b"1"
