"""Soft delete and undelete of versions, as the service has them beside versioning."""

import uuid
from collections.abc import Iterator
from email.utils import formatdate
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient, RetentionPolicy

from local.azurite import ACCOUNT, KEY, Azurite
from local.lake.signing import signature
from tests.conftest import Service, lake_connection
from tests.local.lake.support import content, put, versions


@pytest.fixture
def documents(own_azurite: Azurite, tmp_path: Path) -> Iterator[ContainerClient]:
    """A container of a lake that retains deleted versions for a week."""
    arguments = ["--azurite-blob-port", str(own_azurite.blob_port), "--data", str(tmp_path / "lake")]
    lake = Service("local.lake", *arguments, log=tmp_path / "lake.log")
    with BlobServiceClient.from_connection_string(lake_connection(lake.url), retry_total=0) as client:
        client.set_service_properties(delete_retention_policy=RetentionPolicy(enabled=True, days=7))
        made = client.create_container(f"s{uuid.uuid4().hex}")
        yield made
        made.delete_container()
        client.set_service_properties(delete_retention_policy=RetentionPolicy(enabled=False))
    assert lake.stop() == 0


def test_retention_is_a_property_of_the_service(documents: ContainerClient) -> None:
    """What was set is read back, as a deployment checks it."""
    with BlobServiceClient(documents.url.rsplit("/", 1)[0], credential=documents.credential) as client:
        policy = client.get_service_properties()["delete_retention_policy"]
    assert (policy.enabled, policy.days) == (True, 7)


def test_deleting_a_blob_leaves_its_versions_readable(documents: ContainerClient) -> None:
    """With versioning, what was current becomes a previous version; nothing is soft-deleted."""
    first = put(documents, "a", b"1")
    documents.delete_blob("a")
    assert versions(documents) == [(first, False)]
    assert content(documents, "a", first) == b"1"


def test_deleted_version_is_hidden_listed_as_deleted_and_restored(documents: ContainerClient) -> None:
    """A version deleted by its id cannot be read, shows with include=deleted, and undelete brings it back."""
    first, second = put(documents, "a", b"1"), put(documents, "a", b"2")
    blob = documents.get_blob_client("a")
    blob.delete_blob(version_id=first)
    assert versions(documents) == [(second, True)]
    with pytest.raises(ResourceNotFoundError):
        blob.download_blob(version_id=first)
    listed = list(documents.list_blobs(include=["versions", "deleted"]))
    assert [(one.version_id, one.deleted, one.remaining_retention_days) for one in listed] == [
        (first, True, 7),
        (second, None, None),
    ]
    assert listed[0].deleted_time is not None
    blob.undelete_blob()
    assert versions(documents) == [(first, False), (second, True)]
    assert content(documents, "a", first) == b"1"


def test_undelete_makes_nothing_current(documents: ContainerClient) -> None:
    """A blob whose versions were all deleted is back with its versions only; promoting one makes it current."""
    first, second = put(documents, "a", b"1"), put(documents, "a", b"2")
    blob = documents.get_blob_client("a")
    blob.delete_blob()
    blob.delete_blob(version_id=first)
    blob.delete_blob(version_id=second)
    assert versions(documents) == []
    blob.undelete_blob()
    assert versions(documents) == [(first, False), (second, False)]
    assert list(documents.list_blob_names()) == []
    blob.start_copy_from_url(f"{blob.url}?versionid={second}")
    assert blob.download_blob().readall() == b"2"


def test_what_was_never_there_cannot_be_undeleted(documents: ContainerClient) -> None:
    """Undelete of an unknown blob is 404; of one with nothing deleted it succeeds and changes nothing."""
    with pytest.raises(ResourceNotFoundError):
        documents.get_blob_client("never").undelete_blob()
    first = put(documents, "a", b"1")
    documents.get_blob_client("a").undelete_blob()
    assert versions(documents) == [(first, True)]


def test_deleted_without_versions_is_refused_by_name(documents: ContainerClient) -> None:
    """What this lake cannot list it names."""
    with pytest.raises(HttpResponseError, match="include=deleted is supported together with versions only"):
        list(documents.list_blobs(include=["deleted"]))


def test_deleting_for_good_is_refused_by_name(documents: ContainerClient) -> None:
    """A deletion that would skip the retention is not silently an ordinary one. (The SDK has no call for it.)"""
    first = put(documents, "a", b"1")
    put(documents, "a", b"2")
    path = f"/{ACCOUNT}/{documents.container_name}/a?versionid={quote(first)}&deletetype=permanent"
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2025-01-05"}
    headers["Authorization"] = signature("DELETE", path, headers, ACCOUNT, KEY)
    connection = HTTPConnection(urlsplit(documents.url).netloc)
    connection.request("DELETE", path, headers=headers)
    reply = connection.getresponse()
    assert (reply.status, b"deletetype=permanent" in reply.read()) == (400, True)
    connection.close()
    assert len(versions(documents)) == 2
