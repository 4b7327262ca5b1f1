"""What the lake is asked for, and how it takes answers that a stand-in does not give."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import ContainerClient

from shared.lake.container import Lake
from shared.listing import ListedBlob

WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "a2V5"  # of nobody's account


class Listing:
    """A container with a listing that counts how far it was read."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.read = 0

    async def list_blobs(self, name_starts_with: str, include: Sequence[str]) -> AsyncIterator[ListedBlob]:
        """List blobs as the service does: in the order of names."""
        assert set(include) == {"metadata", "versions"}
        for number, name in enumerate(sorted(self.names)):
            if name.startswith(name_starts_with):
                self.read += 1
                yield ListedBlob(name, "0x1", 3, WRITTEN, version_id=f"v{number}", is_current_version=False)


def test_versions_of_a_path_are_read_and_no_others() -> None:
    """The listing ends at the first other name, however many paths begin with this one."""
    container = Listing("a", "a", "a.md", "a/b.md", *(f"a{number}.md" for number in range(1000)))
    found = asyncio.run(Lake(cast(Any, container), cast(Any, Listing.list_blobs)).versions("a"))
    assert [version.version_id for version in found] == ["v1", "v0"]
    assert container.read == 3


def test_a_path_without_versions_has_none() -> None:
    """A path that only begins others is no document."""
    container = Listing("a.md", "a/b.md")
    assert asyncio.run(Lake(cast(Any, container), cast(Any, Listing.list_blobs)).versions("a")) == ()
    assert container.read == 1


@asynccontextmanager
async def refusing(status: int, code: str) -> AsyncIterator[Lake]:
    """Yield a lake whose service refuses everything."""

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"x-ms-error-code": code})

    app = web.Application()
    app.router.add_get("/{path:.*}", refuse)
    async with TestServer(app) as server:
        url = str(server.make_url("/account"))
        async with ContainerClient(url, "documents", {"account_name": "account", "account_key": KEY}) as container:
            yield Lake(container)


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "BlobNotFound"), (400, "InvalidQueryParameterValue"), (400, "OutOfRangeQueryParameterValue")],
)
def test_what_cannot_be_a_version_is_none(status: int, code: str) -> None:
    """Azure refuses a malformed version id with 400; to who asks it is a version that is not there."""

    async def scenario() -> None:
        async with refusing(status, code) as lake:
            assert await lake.open_version("a.md", "yesterday") is None

    asyncio.run(scenario())


def test_other_refusals_are_faults() -> None:
    """What is wrong with the app itself is not taken for a version that is not there."""

    async def scenario() -> None:
        async with refusing(400, "InvalidHeaderValue") as lake:
            with pytest.raises(HttpResponseError):
                await lake.open_version("a.md", "yesterday")

    asyncio.run(scenario())
