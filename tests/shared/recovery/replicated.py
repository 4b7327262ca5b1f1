"""A lake with a lagging replica in another region, and the settings of an app that knows both."""

import json
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from local.azurite import ACCOUNT, Azurite
from shared.settings import Settings, StorageAccount
from tests.conftest import Service, lake_connection

WAIT_SECONDS = 120.0


@dataclass
class Replicated:
    """A lake with a replica, and the settings of an app that knows both."""

    settings: Settings
    lake: Service
    replica: Service

    def lag(self, seconds: float) -> None:
        """Change how far the replica is behind."""
        body = json.dumps({"seconds": seconds}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.replica.url}/-/lag", body, method="POST")):
            pass

    def catch_up(self) -> None:
        """Wait until everything that has been written by now is in the cut. Last Sync Time is told in whole seconds."""
        now, deadline = time.time() + 1, time.monotonic() + WAIT_SECONDS
        while True:
            with urllib.request.urlopen(f"{self.replica.url}/-/health") as reply:
                if json.load(reply)["last_sync_time"] > now:
                    return
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def replicated(settings: Settings, own_azurite: Azurite, tmp_path: Path) -> Iterator[Replicated]:
    """A replicated lake of this test's own."""
    arguments = ["--azurite-blob-port", str(own_azurite.blob_port), "--data", str(tmp_path / "lake"), "--replicated"]
    lake = Service("local.lake", *arguments, log=tmp_path / "lake.log")
    follow = ["--replica-of", lake.url, "--data", str(tmp_path / "replica")]
    replica = Service("local.lake", *follow, log=tmp_path / "replica.log")
    secondary = replica.url.removeprefix("http://")
    connection = f"{lake_connection(lake.url)}BlobSecondaryEndpoint={secondary}/{ACCOUNT}-secondary;"
    own = replace(
        settings, lake_storage=StorageAccount(connection), lake_container=f"documents-{uuid.uuid4().hex[:12]}"
    )
    yield Replicated(own, lake, replica)
    assert replica.stop() == 0
    if lake.process.poll() is None:
        assert lake.stop() == 0
