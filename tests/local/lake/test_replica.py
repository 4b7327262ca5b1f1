"""The secondary endpoint: a replica that lags, shows nothing newer than Last Sync Time, and outlives the primary."""

import asyncio
import json
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient, LocationMode

from local.azurite import ACCOUNT, Azurite
from local.lake.replica import Replica
from local.lake.versions import Version, VersionStore
from tests.conftest import Service, lake_connection
from tests.local.lake.support import content, put, refusal, versions

WAIT_SECONDS = 120.0


@dataclass
class Pair:
    """A lake, its replica, and a container of both through one connection string."""

    lake: Service
    replica: Service
    primary: ContainerClient
    secondary: ContainerClient
    account: BlobServiceClient

    def lag(self, seconds: float) -> None:
        """Change how far the replica is behind."""
        body = json.dumps({"seconds": seconds}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.replica.url}/-/lag", body, method="POST")):
            pass

    def synced(self) -> float:
        """Up to when the replica has everything, in seconds since 1970."""
        with urllib.request.urlopen(f"{self.replica.url}/-/health") as reply:
            return float(json.load(reply)["last_sync_time"])

    def catch_up(self) -> None:
        """Wait until everything that has been written by now has arrived."""
        now = time.time()
        wait_until(lambda: self.synced() > now)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def pair(own_azurite: Azurite, tmp_path: Path) -> Iterator[Pair]:
    """A replicated lake and its replica, without lag to begin with."""
    arguments = ["--azurite-blob-port", str(own_azurite.blob_port), "--data", str(tmp_path / "lake"), "--replicated"]
    lake = Service("local.lake", *arguments, log=tmp_path / "lake.log")
    follow = ["--replica-of", lake.url, "--data", str(tmp_path / "replica"), "--lag", "0"]
    replica = Service("local.lake", *follow, log=tmp_path / "replica.log")
    # The SDK puts the scheme before this itself.
    secondary = replica.url.removeprefix("http://")
    connection = f"{lake_connection(lake.url)}BlobSecondaryEndpoint={secondary}/{ACCOUNT}-secondary;"
    name = f"r{uuid.uuid4().hex}"
    with (
        BlobServiceClient.from_connection_string(connection, retry_total=0) as account,
        BlobServiceClient.from_connection_string(connection, retry_total=0) as other,
    ):
        other.location_mode = LocationMode.SECONDARY
        primary = account.create_container(name)
        pair = Pair(lake, replica, primary, other.get_container_client(name), account)
        yield pair
    assert pair.replica.stop() == 0
    if lake.process.poll() is None:
        assert lake.stop() == 0


def test_replica_has_the_same_versions(pair: Pair) -> None:
    """Contents, etags, version ids, metadata and listings are the primary's, versions and ranges included."""
    first = put(pair.primary, "a/ü.md", b"one")
    pair.primary.upload_blob("a/ü.md", b"two, longer", overwrite=True, metadata={"allowed_groups": "staff"})
    put(pair.primary, "gone", b"3")
    pair.primary.delete_blob("gone")
    put(pair.primary, "empty", b"")
    pair.catch_up()
    include = ["versions", "metadata"]
    one, two = (
        [
            (blob.name, blob.version_id, bool(blob.is_current_version), blob.etag, blob.last_modified, blob.metadata)
            for blob in side.list_blobs(include=include)
        ]
        for side in (pair.primary, pair.secondary)
    )
    assert one == two
    assert sorted(pair.secondary.list_blob_names()) == ["a/ü.md", "empty"]
    assert content(pair.secondary, "a/ü.md", first) == b"one"
    blob = pair.secondary.get_blob_client("a/ü.md")
    ours, theirs = pair.primary.get_blob_client("a/ü.md").get_blob_properties(), blob.get_blob_properties()
    assert (theirs.etag, theirs.version_id, theirs.metadata) == (ours.etag, ours.version_id, ours.metadata)
    assert blob.download_blob(offset=5, length=6).readall() == b"longer"
    assert pair.secondary.get_blob_client("empty").download_blob().readall() == b""
    with pytest.raises(ResourceNotFoundError):
        pair.secondary.get_blob_client("gone").download_blob()


def test_what_is_newer_than_last_sync_time_is_not_there(pair: Pair) -> None:
    """While the replica lags, an overwrite, a deletion and a new blob are unknown to it; later they arrive."""
    first = put(pair.primary, "kept", b"before")
    put(pair.primary, "deleted", b"x")
    pair.catch_up()
    pair.lag(3_600)
    stood = pair.synced()
    second = put(pair.primary, "kept", b"after")
    pair.primary.delete_blob("deleted")
    put(pair.primary, "new", b"y")
    assert sorted(pair.secondary.list_blob_names()) == ["deleted", "kept"]
    assert pair.secondary.get_blob_client("kept").download_blob().readall() == b"before"
    assert versions(pair.secondary, "kept") == [(first, True)]
    assert pair.synced() == stood
    pair.lag(0)
    pair.catch_up()
    assert sorted(pair.secondary.list_blob_names()) == ["kept", "new"]
    assert versions(pair.secondary, "kept") == [(first, False), (second, True)]


def test_last_sync_time_is_a_consistent_cut(pair: Pair) -> None:
    """Every version whose id is not newer than Last Sync Time is there, at any moment of a stream of writes."""
    pair.catch_up()
    for number in range(40):
        put(pair.primary, f"n{number % 7}", str(number).encode())
        cut = pair.synced()
        moment = f"{datetime.fromtimestamp(cut, UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
        there = set(versions(pair.secondary))
        due = {one for one in versions(pair.primary) if one[0] <= moment}
        assert {identity for identity, _ in due} <= {identity for identity, _ in there}
    pair.catch_up()
    assert versions(pair.secondary) == versions(pair.primary)


def test_statistics_are_read_at_the_secondary(pair: Pair) -> None:
    """The SDK's service statistics give Last Sync Time, which goes on while the primary lives."""
    pair.catch_up()
    said = pair.account.get_service_stats()["geo_replication"]
    assert said["status"] == "live"
    assert abs(said["last_sync_time"].timestamp() - pair.synced()) < WAIT_SECONDS
    again = said["last_sync_time"]
    wait_until(lambda: pair.account.get_service_stats()["geo_replication"]["last_sync_time"] > again)


def test_writes_are_refused(pair: Pair) -> None:
    """The secondary takes no write, with the service's error code."""
    pair.catch_up()
    for write in (
        lambda: pair.secondary.upload_blob("x", b"1"),
        lambda: pair.secondary.get_blob_client("x").delete_blob(),
        lambda: pair.secondary.get_blob_client("x").set_blob_metadata({"a": "b"}),
    ):
        with pytest.raises(HttpResponseError) as refused:
            write()
        assert refusal(refused) == (403, "InsufficientAccountPermissions")


def test_replica_outlives_the_primary_and_its_own_restart(pair: Pair, tmp_path: Path) -> None:
    """When the primary is killed the replica serves on, its Last Sync Time stands still, also over a restart."""
    first = put(pair.primary, "kept", b"1")
    pair.catch_up()
    pair.lag(3_600)
    stood = pair.synced()
    put(pair.primary, "lost", b"2")
    pair.lake.kill()
    assert pair.secondary.get_blob_client("kept").download_blob().readall() == b"1"
    pair.replica.kill()
    follow = [
        "--replica-of",
        pair.lake.url,
        "--data",
        str(tmp_path / "replica"),
        "--port",
        pair.replica.url.split(":")[-1],
    ]
    pair.replica = Service("local.lake", *follow, log=tmp_path / "replica.log")
    assert pair.synced() == stood
    assert versions(pair.secondary) == [(first, True)]


def test_primary_that_is_lost_in_an_overwrite_leaves_the_version_before(tmp_path: Path) -> None:
    """Of what came with one look at the journal, all is applied or nothing: an overwritten blob is never gone."""
    version = Version("c", "n", "2026-01-01T00:00:00.0000001Z", True, '"1"', "", {"length": 1})
    newer = replace(version, version_id="2026-01-01T00:00:00.0000002Z", etag='"2"')
    ended = replace(version, is_current=False)
    contents: dict[str, int] = {}

    async def journal(request: web.Request) -> web.Response:
        entries = [version] if request.query["after"] == "0" else [ended, newer]
        body = {"entries": [{"version": asdict(one)} for one in entries], "last": 1, "until": 1.0, "containers": ["c"]}
        return web.json_response(body)

    async def content(request: web.Request) -> web.Response:
        asked = request.query["version"]
        contents[asked] = contents.get(asked, 0) + 1
        if asked == newer.version_id:
            raise web.HTTPServiceUnavailable()
        return web.Response(body=b"x")

    async def scenario() -> None:
        app = web.Application()
        app.router.add_get("/-/journal", journal)
        app.router.add_get("/-/content", content)
        async with TestServer(app) as primary, aiohttp.ClientSession() as session:
            replica = Replica(str(primary.make_url("/")), tmp_path, lag=0)
            assert await replica.catch_up(session)
            with pytest.raises(aiohttp.ClientResponseError):
                await replica.catch_up(session)
            assert replica.store.current("c", "n") == version
            assert (replica.last_sync_time, contents[newer.version_id]) == (1.0, 1)
            replica.store.close()

    asyncio.run(scenario())


def test_journal_is_not_cut_within_an_overwrite(tmp_path: Path) -> None:
    """A part of the journal that would end between the old version's end and the new one's beginning ends before."""
    store = VersionStore(tmp_path / "versions.db", journal=True)
    for edition in range(3):
        store.add(Version("c", "n", store.next_id(), True, f'"{edition}"', "", {"length": 1}), None)
    seen, after = [], 0
    while found := store.journal(after, time.time() + 1, 2).entries:
        seen.append(len(found))
        after += len(found)
    assert seen == [1, 2, 2]
    store.close()
