"""Fixtures: a client of the lake, and a new container for each test."""

import uuid
from collections.abc import Iterator

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient


@pytest.fixture
def service(lake_service: str) -> Iterator[BlobServiceClient]:
    """The lake, through Microsoft's SDK."""
    with BlobServiceClient.from_connection_string(lake_service, retry_total=0) as client:
        yield client


@pytest.fixture
def container(service: BlobServiceClient) -> Iterator[ContainerClient]:
    """An empty container of the lake."""
    client = service.create_container(f"c{uuid.uuid4().hex}")
    yield client
    client.delete_container()
