"""What Azurite does already goes on as before, and what the lake does not do is refused by name."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
)
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    BlobType,
    ContainerClient,
    generate_blob_sas,
)

from local.azurite import ACCOUNT, KEY
from tests.local.lake.support import content, put, refusal, versions


def test_if_match_and_if_none_match(container: ContainerClient) -> None:
    """A write whose condition fails changes nothing and leaves no version."""
    blob = container.get_blob_client("e")
    made = blob.upload_blob(b"1")
    blob.upload_blob(b"2", overwrite=True, etag=made["etag"], match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError):
        blob.upload_blob(b"3", overwrite=True, etag=made["etag"], match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceExistsError):
        blob.upload_blob(b"4", overwrite=False)
    assert blob.download_blob().readall() == b"2"
    assert len(versions(container)) == 2


def test_etag_of_a_reply_is_the_version_s(container: ContainerClient) -> None:
    """The etag in the reply to a write is the etag of the version that it left."""
    blob = container.get_blob_client("e")
    made = blob.upload_blob(b"1")
    assert blob.get_blob_properties(version_id=made["version_id"]).etag == made["etag"]


def test_lease(container: ContainerClient) -> None:
    """A leased blob is written only with its lease; a refused write leaves no version."""
    put(container, "l", b"1")
    blob = container.get_blob_client("l")
    lease = blob.acquire_lease(15)
    with pytest.raises(HttpResponseError) as refused:
        blob.upload_blob(b"2", overwrite=True)
    assert refusal(refused)[1] == "LeaseIdMissing"
    blob.upload_blob(b"3", overwrite=True, lease=lease)
    lease.release()
    assert blob.download_blob().readall() == b"3"
    assert len(versions(container)) == 2


def test_tags(container: ContainerClient) -> None:
    """Tags are set and read as in Azurite, and leave no version."""
    put(container, "t", b"1")
    blob = container.get_blob_client("t")
    blob.set_blob_tags({"stage": "draft"})
    assert blob.get_blob_tags() == {"stage": "draft"}
    assert len(versions(container)) == 1


def test_snapshot(container: ContainerClient) -> None:
    """A snapshot is read as in Azurite and is no version; deleting it leaves the blob's version current."""
    first = put(container, "s", b"1")
    blob = container.get_blob_client("s")
    snapshot = str(blob.create_snapshot()["snapshot"])
    second = put(container, "s", b"2")
    taken = container.get_blob_client("s", snapshot=snapshot)
    assert taken.download_blob().readall() == b"1"
    blob.delete_blob(delete_snapshots="only")
    assert versions(container) == [(first, False), (second, True)]


def test_wrong_key(container: ContainerClient, lake_service: str) -> None:
    """Another key is refused with 403 everywhere: reads, writes, versions and their listing."""
    first = put(container, "k", b"1")
    wrong = base64.b64encode(b"x" * 64).decode()
    with BlobServiceClient.from_connection_string(lake_service.replace(KEY, wrong), retry_total=0) as stranger:
        there = stranger.get_container_client(container.container_name)
        blob = there.get_blob_client("k")
        attempts: list[Callable[[], object]] = [
            lambda: blob.download_blob(),
            lambda: blob.download_blob(version_id=first),
            lambda: blob.upload_blob(b"2", overwrite=True),
            lambda: blob.start_copy_from_url(f"{blob.url}?versionid={first}"),
            lambda: blob.delete_blob(version_id=first),
            lambda: list(there.list_blobs(include=["versions"])),
        ]
        for attempt in attempts:
            with pytest.raises(HttpResponseError) as refused:
                attempt()
            assert refused.value.status_code == 403
    assert versions(container) == [(first, True)]


def test_shared_access_signature(container: ContainerClient, lake_service: str) -> None:
    """A signature for a blob reads and writes it, with versions; reading a version by it is refused by name."""
    first = put(container, "sas", b"1")
    blob = container.get_blob_client("sas")
    signed = generate_blob_sas(
        ACCOUNT,
        container.container_name,
        "sas",
        account_key=KEY,
        permission=BlobSasPermissions(read=True, write=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    with type(blob).from_blob_url(f"{blob.url}?{signed}", retry_total=0) as guest:
        assert guest.download_blob().readall() == b"1"
        second = guest.upload_blob(b"2", overwrite=True)["version_id"]
        with pytest.raises(HttpResponseError, match="shared access signature"):
            guest.download_blob(version_id=first)
    assert versions(container) == [(first, False), (second, True)]


def test_copy_from_another_blob_of_the_lake(container: ContainerClient) -> None:
    """A plain copy within the lake keeps metadata and names its source."""
    source = container.upload_blob("from", b"1", metadata={"a": "b"})
    target = container.get_blob_client("to")
    made = target.start_copy_from_url(source.url)
    seen = target.get_blob_properties()
    assert (seen.metadata, seen.copy.source, made["copy_status"]) == ({"a": "b"}, source.url, "success")
    assert content(container, "to", str(seen.version_id)) == b"1"


def test_what_would_escape_the_versions_is_refused(container: ContainerClient, lake_service: str) -> None:
    """Append and page blobs, batches, tags of a version and the secondary endpoint answer 400 and are named."""
    first = put(container, "x", b"1")
    blob = container.get_blob_client("x")
    with pytest.raises(HttpResponseError, match="AppendBlob"):
        container.get_blob_client("append").create_append_blob()
    with pytest.raises(HttpResponseError, match="comp=appendblock"):
        container.upload_blob("append", b"1", blob_type=BlobType.APPENDBLOB)
    with pytest.raises(HttpResponseError, match="PageBlob"):
        container.get_blob_client("page").create_page_blob(512)
    with pytest.raises(HttpResponseError, match="comp=batch"):
        container.delete_blobs("x")
    with pytest.raises(HttpResponseError, match="comp=tags of a version"):
        blob.get_blob_tags(version_id=first)
    secondary = lake_service.replace(f"/{ACCOUNT};", f"/{ACCOUNT}-secondary;")
    with BlobServiceClient.from_connection_string(secondary, retry_total=0) as elsewhere:
        hidden = elsewhere.get_blob_client("lake-versions", "x")
        with pytest.raises(HttpResponseError, match="the only one here"):
            hidden.download_blob()
    assert versions(container) == [(first, True)]
