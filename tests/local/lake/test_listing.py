"""Listings with versions, and what no listing shows."""

from collections.abc import Callable

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient, ContentSettings

from tests.local.lake.support import put, refusal, versions


def test_order_of_versions(container: ContainerClient) -> None:
    """Versions come by name, and for one name from the oldest to the newest."""
    written = [(name, put(container, name, str(turn))) for turn in range(3) for name in ("b", "a", "a/b")]
    listed = [(blob.name, blob.version_id) for blob in container.list_blobs(include=["versions"])]
    assert listed == sorted(written)


def test_pages_of_versions(container: ContainerClient) -> None:
    """Pages of two hold every version once, in order, although a name's versions are split between pages."""
    written = [put(container, name, str(turn)) for name in ("a", "b") for turn in range(4)]
    pages = container.list_blobs(include=["versions"], results_per_page=2).by_page()
    found = [[blob.version_id for blob in page] for page in pages]
    assert [len(page) for page in found] == [2, 2, 2, 2]
    assert [one for page in found for one in page] == written


def test_prefix(container: ContainerClient) -> None:
    """A prefix is compared as it stands: case counts, and wildcards are plain characters."""
    for name in ("a%b", "a_b", "axb", "A%b"):
        put(container, name, "x")
    assert [blob.name for blob in container.list_blobs("a%", include=["versions"])] == ["a%b"]
    assert len(versions(container, "a")) == 3


def test_names_of_every_kind(container: ContainerClient) -> None:
    """Spaces, signs with a meaning in XML or URLs, and other scripts come back as they went in."""
    names = sorted(["räksmörgås & <co>.txt", "a b/c+d?e#f", "quote'\"s", "日本/語.md", "50%25.txt"])
    for name in names:
        put(container, name, name)
    listed = list(container.list_blobs(include=["versions"]))
    assert sorted(blob.name for blob in listed) == names
    for blob in listed:
        read = container.get_blob_client(blob.name).download_blob(version_id=str(blob.version_id)).readall()
        assert read == blob.name.encode()


def test_properties_in_the_listing(container: ContainerClient) -> None:
    """A listed version has its own size, type, etag and times, and its metadata when that is asked for."""
    settings = ContentSettings(content_type="text/plain; charset=utf-8", content_language="en")
    blob = container.upload_blob("a", b"12345", metadata={"n": "1"}, content_settings=settings)
    was = blob.get_blob_properties()
    blob.upload_blob(b"", overwrite=True)
    first, second = container.list_blobs(include=["versions", "metadata"])
    assert (first.size, first.etag, first.last_modified) == (5, was.etag.strip('"'), was.last_modified)
    assert first.metadata == {"n": "1"}
    assert not second.metadata
    assert first.content_settings.content_type == settings.content_type
    assert first.content_settings.content_language == "en"
    assert (first.is_current_version, second.is_current_version, second.size) == (None, True, 0)
    assert all(not listed.metadata for listed in container.list_blobs(include=["versions"]))


def test_what_a_listing_of_versions_cannot_do(container: ContainerClient) -> None:
    """Combinations that are not provided are refused by name, as are bad markers and page sizes."""
    with pytest.raises(HttpResponseError, match="snapshots"):
        list(container.list_blobs(include=["versions", "snapshots"]))
    with pytest.raises(HttpResponseError, match="delimiter"):
        list(container.walk_blobs(include=["versions"]))
    with pytest.raises(HttpResponseError, match="marker 'nonsense'"):
        next(container.list_blobs(include=["versions"]).by_page("nonsense"))


def test_missing_container(service: BlobServiceClient) -> None:
    """A container that is not there is not an empty one."""
    with pytest.raises(ResourceNotFoundError) as missing:
        versions(service.get_container_client("not-there"))
    assert refusal(missing)[1] == "ContainerNotFound"


def test_hidden_container_is_not_listed(service: BlobServiceClient, container: ContainerClient) -> None:
    """The container that holds the contents of versions is in no listing of containers."""
    put(container, "x", b"1")
    everywhere = [one.name for one in service.list_containers(include_metadata=True)]
    assert container.container_name in everywhere
    assert "lake-versions" not in everywhere
    assert list(service.list_containers(name_starts_with="lake-versions")) == []
    assert [one.name for one in service.list_containers(results_per_page=1)] == everywhere


def test_hidden_container_is_out_of_reach(service: BlobServiceClient, container: ContainerClient) -> None:
    """The hidden container can be neither read, written, copied from nor deleted."""
    hidden = service.get_container_client("lake-versions")
    target = container.get_blob_client("t")
    attempts: list[Callable[[], object]] = [
        lambda: list(hidden.list_blobs()),
        lambda: hidden.upload_blob("x", b"1"),
        lambda: hidden.get_container_properties(),
        lambda: hidden.delete_container(),
        lambda: target.start_copy_from_url(hidden.get_blob_client("x").url),
    ]
    for attempt in attempts:
        with pytest.raises(HttpResponseError) as refused:
            attempt()
        assert refusal(refused) == (403, "AuthorizationFailure")


def test_copy_source_in_the_listing_stays_hidden(container: ContainerClient) -> None:
    """A blob promoted from a version does not show in a listing where its content was kept."""
    first = put(container, "p", b"1")
    blob = container.get_blob_client("p")
    blob.start_copy_from_url(f"{blob.url}?versionid={first}")
    [listed] = container.list_blobs(include=["copy"])
    assert listed.copy.status == "success"
    assert "lake-versions" not in str(listed.copy.source)
