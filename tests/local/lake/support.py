"""What several tests of the lake share."""

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient


def put(container: ContainerClient, name: str, content: bytes | str) -> str:
    """Write a blob; returns the id of the version that it left."""
    reply = container.upload_blob(name, content, overwrite=True)
    return version_id(reply.get_blob_properties().version_id)


def version_id(value: object) -> str:
    """Return a version id that must be there."""
    assert isinstance(value, str)
    assert value
    return value


def refusal(caught: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str | None]:
    """Return the status and the error code of what the service refused."""
    return caught.value.status_code, getattr(caught.value, "error_code", None)


def versions(container: ContainerClient, name: str = "") -> list[tuple[str, bool]]:
    """Return the ids of a blob's versions in the order of the listing, and whether each is current."""
    listed = container.list_blobs(name_starts_with=name, include=["versions"])
    return [(version_id(blob.version_id), bool(blob.is_current_version)) for blob in listed]


def content(container: ContainerClient, name: str, version: str) -> bytes:
    """Return what one version holds."""
    return container.get_blob_client(name).download_blob(version_id=version).readall()
