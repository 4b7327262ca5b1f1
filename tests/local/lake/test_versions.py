"""Every write leaves a version, and every version can be read, listed and deleted."""

import asyncio
import hashlib
import os

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobServiceClient, ContainerClient, ContentSettings
from azure.storage.blob.aio import BlobServiceClient as AsyncBlobServiceClient

from tests.local.lake.support import content, put, refusal, version_id, versions


def test_upload_and_overwrite_each_leave_a_version(container: ContainerClient) -> None:
    """An upload and an overwrite leave two versions, in order, of which the newer is current."""
    blob = container.get_blob_client("a.txt")
    first = version_id(blob.upload_blob(b"one")["version_id"])
    second = version_id(blob.upload_blob(b"two", overwrite=True)["version_id"])
    assert first < second
    assert versions(container) == [(first, False), (second, True)]
    assert content(container, "a.txt", first) == b"one"
    assert content(container, "a.txt", second) == b"two"
    assert blob.download_blob().readall() == b"two"


def test_block_list_leaves_one_version(container: ContainerClient) -> None:
    """Staged blocks are no version; committing them is one."""
    blob = container.get_blob_client("blocks")
    blob.stage_block("MDA=", b"left ")
    blob.stage_block("MDE=", b"right")
    assert versions(container) == []
    made = blob.commit_block_list([BlobBlock("MDA="), BlobBlock("MDE=")], metadata={"k": "v"})
    assert versions(container) == [(version_id(made["version_id"]), True)]
    assert content(container, "blocks", version_id(made["version_id"])) == b"left right"


def test_copy_leaves_a_version(container: ContainerClient) -> None:
    """A copy is a write of its target."""
    put(container, "from", b"copied")
    target = container.get_blob_client("to")
    made = target.start_copy_from_url(container.get_blob_client("from").url)
    assert versions(container, "to") == [(version_id(made["version_id"]), True)]
    assert content(container, "to", version_id(made["version_id"])) == b"copied"


def test_set_metadata_leaves_a_version(container: ContainerClient) -> None:
    """Setting metadata leaves a version with the same content; the earlier one keeps its metadata."""
    blob = container.get_blob_client("m")
    first = version_id(blob.upload_blob(b"x", metadata={"team": "blue"})["version_id"])
    second = version_id(blob.set_blob_metadata({"team": "red"})["version_id"])
    assert versions(container) == [(first, False), (second, True)]
    assert blob.get_blob_properties(version_id=first).metadata == {"team": "blue"}
    assert blob.get_blob_properties(version_id=second).metadata == {"team": "red"}
    assert content(container, "m", second) == b"x"


def test_set_properties_changes_the_current_version(container: ContainerClient) -> None:
    """Setting HTTP headers leaves no version, and the current version shows them with its new etag."""
    blob = container.get_blob_client("p")
    only = version_id(blob.upload_blob(b"x")["version_id"])
    blob.set_http_headers(ContentSettings(content_type="text/markdown", content_language="sv"))
    assert versions(container) == [(only, True)]
    seen = blob.get_blob_properties(version_id=only)
    assert seen.content_settings.content_type == "text/markdown"
    assert seen.content_settings.content_language == "sv"
    assert seen.etag == blob.get_blob_properties().etag


def test_properties_of_a_version(container: ContainerClient) -> None:
    """A version is read with its own etag, time, type, metadata and length, and without a trace of how it is kept."""
    blob = container.get_blob_client("doc")
    settings = ContentSettings(content_type="text/html", cache_control="no-store", content_disposition="inline")
    blob.upload_blob(b"<p>old</p>", content_settings=settings, metadata={"lang": "en"})
    was = blob.get_blob_properties()
    blob.upload_blob(b"new", overwrite=True)
    seen = blob.get_blob_properties(version_id=version_id(was.version_id))
    assert (seen.etag, seen.last_modified, seen.size) == (was.etag, was.last_modified, was.size)
    assert (seen.metadata, seen.creation_time) == ({"lang": "en"}, was.creation_time)
    assert seen.content_settings.content_type == "text/html"
    assert seen.content_settings.cache_control == "no-store"
    assert seen.content_settings.content_disposition == "inline"
    assert (seen.version_id, bool(seen.is_current_version), seen.copy.id) == (was.version_id, False, None)
    assert was.is_current_version


def test_ranges_of_a_version(container: ContainerClient) -> None:
    """A range of an old version is that part of the old content."""
    old = put(container, "r", b"0123456789")
    put(container, "r", b"abcdefghij")
    blob = container.get_blob_client("r")
    assert blob.download_blob(offset=3, length=4, version_id=old).readall() == b"3456"
    assert blob.download_blob(offset=8, version_id=old).readall() == b"89"
    with pytest.raises(HttpResponseError) as refused:
        blob.download_blob(offset=50, length=1, version_id=old)
    assert refused.value.status_code == 416


def test_conditions_on_a_version(container: ContainerClient) -> None:
    """Conditions are judged against the version's own etag and time."""
    old = put(container, "c", b"old")
    put(container, "c", b"new")
    blob = container.get_blob_client("c")
    seen = blob.get_blob_properties(version_id=old)
    now = blob.get_blob_properties()
    same = MatchConditions.IfNotModified
    assert blob.download_blob(version_id=old, etag=seen.etag, match_condition=same).readall() == b"old"
    with pytest.raises(ResourceModifiedError):
        blob.download_blob(version_id=old, etag=now.etag, match_condition=same)
    with pytest.raises(HttpResponseError) as unchanged:
        blob.download_blob(version_id=old, etag=seen.etag, match_condition=MatchConditions.IfModified)
    assert unchanged.value.status_code == 304
    with pytest.raises(HttpResponseError) as not_since:
        blob.get_blob_properties(version_id=old, if_modified_since=seen.last_modified)
    assert not_since.value.status_code == 304


def test_unknown_version(container: ContainerClient) -> None:
    """A version that never was is not found, and the current content is not given instead."""
    put(container, "u", b"x")
    with pytest.raises(ResourceNotFoundError):
        container.get_blob_client("u").download_blob(version_id="2020-01-01T00:00:00.0000000Z")


def test_delete_leaves_versions(container: ContainerClient) -> None:
    """A deleted blob is gone by its name; its versions can still be read, and none is current."""
    first, second = put(container, "d", b"1"), put(container, "d", b"2")
    container.delete_blob("d")
    with pytest.raises(ResourceNotFoundError):
        container.get_blob_client("d").get_blob_properties()
    assert list(container.list_blob_names()) == []
    assert versions(container) == [(first, False), (second, False)]
    assert content(container, "d", second) == b"2"


def test_delete_one_version(container: ContainerClient) -> None:
    """A previous version can be deleted by itself; the current one cannot, and a missing one is not found."""
    first, second = put(container, "d", b"1"), put(container, "d", b"2")
    container.delete_blob("d", version_id=first)
    assert versions(container) == [(second, True)]
    with pytest.raises(ResourceNotFoundError):
        content(container, "d", first)
    with pytest.raises(ResourceNotFoundError):
        container.delete_blob("d", version_id=first)
    with pytest.raises(HttpResponseError) as refused:
        container.delete_blob("d", version_id=second)
    assert refusal(refused)[1] == "OperationNotAllowedOnRootBlob"
    assert content(container, "d", second) == b"2"


def test_promote_by_copying_a_version(container: ContainerClient) -> None:
    """Copying a version over its blob makes a new current version with the old content, also after a deletion."""
    blob = container.get_blob_client("p")
    first = version_id(blob.upload_blob(b"good", metadata={"who": "me"})["version_id"])
    second = put(container, "p", b"bad")
    blob.delete_blob()
    made = blob.start_copy_from_url(f"{blob.url}?versionid={first}")
    assert versions(container) == [(first, False), (second, False), (version_id(made["version_id"]), True)]
    seen = blob.get_blob_properties()
    assert blob.download_blob().readall() == b"good"
    assert seen.metadata == {"who": "me"}
    assert seen.copy.source == f"{blob.url}?versionid={first}"


def test_promote_checks_its_source(container: ContainerClient) -> None:
    """A copy from a version that is not there, or whose condition fails, changes nothing."""
    only = put(container, "p", b"x")
    blob = container.get_blob_client("p")
    with pytest.raises(ResourceNotFoundError):
        blob.start_copy_from_url(f"{blob.url}?versionid=2020-01-01T00:00:00.0000000Z")
    with pytest.raises(HttpResponseError) as refused:
        blob.start_copy_from_url(
            f"{blob.url}?versionid={only}", source_etag='"0x0"', source_match_condition=MatchConditions.IfNotModified
        )
    assert refusal(refused) == (412, "SourceConditionNotMet")
    assert versions(container) == [(only, True)]


def test_large_upload_streams(container: ContainerClient) -> None:
    """A blob of 100 MB goes in by blocks and comes back whole, as its version too."""
    size, block = 100 * 1024 * 1024, os.urandom(1024 * 1024)
    made = container.upload_blob("big", (block for _ in range(100)), length=size, max_concurrency=2)
    wanted = hashlib.sha256(block * 100).hexdigest()
    [(only, current)] = versions(container)
    digest = hashlib.sha256()
    for piece in made.download_blob(version_id=only).chunks():
        digest.update(piece)
    assert (digest.hexdigest(), current, made.get_blob_properties().size) == (wanted, True, size)


def test_container_takes_its_versions_along(service: BlobServiceClient) -> None:
    """A container made anew has none of the versions of its predecessor."""
    container = service.create_container("made-anew")
    put(container, "x", b"1")
    container.delete_container()
    with pytest.raises(ResourceNotFoundError):
        versions(container)
    container = service.create_container("made-anew")
    assert versions(container) == []
    container.delete_container()


def test_many_writers_to_one_blob(container: ContainerClient, lake_service: str) -> None:
    """Writers at once leave one version each, strictly ordered, with exactly one current: what the blob now holds."""

    async def write_all() -> dict[str, bytes]:
        async with AsyncBlobServiceClient.from_connection_string(lake_service) as lake:
            blob = lake.get_blob_client(container.container_name, "hot")

            async def write(number: int) -> tuple[str, bytes]:
                body = f"writer {number}".encode()
                return version_id((await blob.upload_blob(body, overwrite=True))["version_id"]), body

            return dict(await asyncio.gather(*(write(number) for number in range(24))))

    written = asyncio.run(write_all())
    listed = versions(container)
    assert [one for one, _ in listed] == sorted(written)
    assert [current for _, current in listed] == [False] * 23 + [True]
    assert {one: content(container, "hot", one) for one, _ in listed} == written
    assert container.download_blob("hot").readall() == written[listed[-1][0]]


def test_async_client_sees_the_same(container: ContainerClient, lake_service: str) -> None:
    """The asynchronous SDK writes, lists and reads versions like the synchronous one."""

    async def run() -> tuple[list[str | None], bytes]:
        async with AsyncBlobServiceClient.from_connection_string(lake_service) as lake:
            there = lake.get_container_client(container.container_name)
            first = (await there.get_blob_client("a").upload_blob(b"1"))["version_id"]
            await there.upload_blob("a", b"2", overwrite=True)
            listed = [blob.version_id async for blob in there.list_blobs(include=["versions"])]
            old = await there.get_blob_client("a").download_blob(version_id=first)
            return listed, await old.readall()

    listed, old = asyncio.run(run())
    assert listed == [one for one, _ in versions(container)]
    assert (len(listed), old) == (2, b"1")
