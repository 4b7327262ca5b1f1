"""A listing says of every blob what the SDK's own listing says, and takes what the service may answer."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient as BlockingService
from azure.storage.blob import ContainerClient as BlockingContainer
from azure.storage.blob.aio import ContainerClient, ExponentialRetry

from shared.listing import ListedBlob, list_blobs

KEY = "a2V5"  # of nobody's account
HARD_NAMES = ("a.md", "a/b&c.md", "a/<x>.md", "b %25.md", "c+d.md", "é/ü.md", "z 日本.md", "z/'quoted'.md")


class SmallPages(ContainerClient):
    """A container that is listed two blobs at a time."""

    def list_blob_names(self, **options: Any) -> Any:
        """List names, in small pages."""
        return super().list_blob_names(results_per_page=2, **options)


@pytest.fixture
def filled(lake_service: str) -> Iterator[BlockingContainer]:
    """Yield a container with versions, metadata, and names that need care."""
    with BlockingService.from_connection_string(lake_service) as service:
        container = service.create_container("listing")
        for name in HARD_NAMES:
            container.upload_blob(name, b"one")
            container.upload_blob(name, b"two", overwrite=True, metadata={"allowed_groups": "hr", "Other": "a b"})
        container.delete_blob(HARD_NAMES[1])
        yield container
        container.delete_container()


@pytest.mark.parametrize("include", [(), ("metadata",), ("metadata", "versions")])
@pytest.mark.parametrize("prefix", ["", "a/", "nothing"])
def test_says_what_the_sdk_says(
    filled: BlockingContainer, lake_service: str, include: Sequence[str], prefix: str
) -> None:
    """Names, etags, sizes, times, versions and metadata are the same, over several pages too."""

    async def listed() -> list[ListedBlob]:
        async with SmallPages.from_connection_string(lake_service, filled.container_name) as container:
            return [blob async for blob in list_blobs(container, prefix, include)]

    theirs = [
        ListedBlob(
            blob.name,
            blob.etag or "",
            blob.size or 0,
            blob.last_modified,
            blob.version_id,
            blob.is_current_version,
            blob.metadata or {},
        )
        for blob in filled.list_blobs(name_starts_with=prefix or None, include=list(include))
    ]
    assert asyncio.run(listed()) == theirs
    assert bool(theirs) is (prefix != "nothing")


@asynccontextmanager
async def answering(*answers: web.Response) -> AsyncIterator[tuple[ContainerClient, list[str]]]:
    """Yield a container whose service gives these answers in turn, and the markers that it was asked for."""
    left, asked = list(answers), []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.query.get("marker", ""))
        return left.pop(0)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        url = str(server.make_url("/account"))
        key = {"account_name": "account", "account_key": KEY}
        retry = ExponentialRetry(initial_backoff=0, increment_base=0, retry_total=2, random_jitter_range=0)
        async with ContainerClient(url, "documents", key, retry_policy=retry) as container:
            yield container, asked


def page(*blobs: str, marker: str = "") -> web.Response:
    """Return a page as the service writes it."""
    body = f"<EnumerationResults><Blobs>{''.join(blobs)}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    return web.Response(text=f'<?xml version="1.0" encoding="utf-8"?>{body}', content_type="application/xml")


def blob(name: str) -> str:
    """Return one blob of a page."""
    properties = "<Last-Modified>Fri, 02 Jan 2026 10:00:00 GMT</Last-Modified><Etag>0x1</Etag>"
    return f"<Blob>{name}<Properties>{properties}<Content-Length>7</Content-Length></Properties></Blob>"


async def names_of(*answers: web.Response) -> tuple[list[str], list[str]]:
    """Return the names that are listed from these answers, and the markers asked for."""
    async with answering(*answers) as (container, asked):
        return [found.name async for found in list_blobs(container, "", ("metadata", "versions"))], asked


def test_encoded_names_are_decoded() -> None:
    """A name that XML cannot hold comes percent-encoded, and says so; others are taken as they are."""
    names = ['<Name Encoded="true">odd%EF%BF%BF%2520.md</Name>', "<Name>even%20.md</Name>"]
    listed, _ = asyncio.run(names_of(page(*map(blob, names))))
    assert listed == ["odd\uffff%20.md", "even%20.md"]


def test_a_page_that_fails_is_asked_for_again() -> None:
    """Each page is read once, whatever its tries were answered."""
    busy = {"x-ms-error-code": "ServerBusy"}
    found = names_of(
        web.Response(status=503, headers=busy),
        page(blob("<Name>a</Name>"), marker="2"),
        web.Response(status=500),
        page(blob("<Name>b</Name>")),
    )
    assert asyncio.run(found) == (["a", "b"], ["", "", "2", "2"])


def test_a_missing_container_is_no_empty_one() -> None:
    """What the service refuses is raised as the SDK raises it, with its code."""
    missing = web.Response(status=404, headers={"x-ms-error-code": "ContainerNotFound"})
    with pytest.raises(ResourceNotFoundError) as fault:
        asyncio.run(names_of(missing))
    assert getattr(fault.value, "error_code", None) == "ContainerNotFound"


def test_a_listing_that_ends_half_way_raises() -> None:
    """A lake that cannot be listed to its end is not one that ends there."""
    with pytest.raises(HttpResponseError):
        asyncio.run(names_of(page(blob("<Name>a</Name>"), marker="2"), web.Response(status=403)))


def test_a_blob_without_properties_is_a_fault() -> None:
    """An answer that says nothing of a blob is not taken for one that says there is nothing."""
    with pytest.raises(ValueError, match="no properties for 'a'"):
        asyncio.run(names_of(page("<Blob><Name>a</Name></Blob>")))
