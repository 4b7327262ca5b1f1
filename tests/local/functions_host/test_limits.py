"""Limits of host.json: as many run together as it says, and never more.

The app's functions hold their slot until a file lets them go. When as many as allowed are inside, all that could come
in beside them has had its chance: the host has answered requests meanwhile, and starts work without waiting.
"""

import json
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

from local.azurite import Azurite
from tests.local.functions_host.hosting import APPS, Host, asked, eventually, running

DURABLE = "/runtime/webhooks/durabletask"
BLOBS = "/runtime/webhooks/blobs?functionName=Host.Functions.hold_blob"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the functions note what they see."""
    made = tmp_path / "hold"
    made.mkdir()
    return made


@pytest.fixture
def host(azurite: Azurite, folder: Path, tmp_path: Path) -> Iterator[Host]:
    """A host of this test's own; its functions go on in any case when the test is over."""
    settings = {
        "AzureWebJobsStorage": azurite.connection_string,
        "AzureFunctionsWebHost__hostid": f"limits-{uuid.uuid4().hex[:8]}",
        "HOLD_FOLDER": str(folder),
        "PYTHON_THREADPOOL_THREAD_COUNT": "32",
    }
    with running(APPS / "limits", tmp_path / "host.log", settings) as host:
        yield host
        release(folder)


def release(folder: Path) -> None:
    """Let the functions go."""
    (folder / "go").touch()


def entries(folder: Path, kind: str) -> list[int]:
    """Return how many were inside at each entry."""
    log = folder / kind
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []


def full(host: Host, folder: Path, kind: str, limit: int) -> None:
    """Return when as many as allowed are inside, and the host has had time to let in more."""
    eventually(lambda: len(entries(folder, kind)) >= limit, f"{limit} of {kind} are inside")
    for _ in range(50):
        assert host.http.get("/admin/host/status").status_code == 200


@pytest.mark.parametrize(("kind", "limit"), [("activity", 3), ("orchestration", 2), ("entity", 2)])
def test_durable_functions(host: Host, folder: Path, kind: str, limit: int) -> None:
    """Activities, orchestrators and entities have a limit each; all of ten finish in the end."""
    count = 10
    started = host.http.post(f"{DURABLE}/orchestrators/fan_out", json={"kind": kind, "count": count})
    full(host, folder, kind, limit)
    assert len(entries(folder, kind)) == limit
    release(folder)
    path = f"{DURABLE}/instances/{started.json()['id']}"
    done = eventually(lambda: (found := host.http.get(path)).status_code == 200 and found.json(), "all are done")
    assert done["output"] == count
    assert max(entries(folder, kind)) == limit and len(entries(folder, kind)) >= count


def test_queue_messages(host: Host, azurite: Azurite, folder: Path) -> None:
    """A new batch is fetched while no more than the threshold are worked on: at most batch + threshold are."""
    with QueueServiceClient.from_connection_string(azurite.connection_string) as service:
        queue = service.get_queue_client("limits", message_encode_policy=TextBase64EncodePolicy())
        eventually(lambda: "limits" in [found.name for found in service.list_queues()], "the host made its queue")
        for number in range(12):
            queue.send_message(str(number))
        full(host, folder, "queue", 3)  # a fetch may find only three: more than the threshold, so none follows
        assert max(entries(folder, "queue")) <= 6
        release(folder)
        eventually(lambda: len(entries(folder, "queue")) == 12, "all messages are worked on")
        eventually(lambda: queue.get_queue_properties().approximate_message_count == 0, "all messages are gone")
    assert max(entries(folder, "queue")) <= 6


def test_blob_events(host: Host, azurite: Azurite, folder: Path) -> None:
    """`maxDegreeOfParallelism` blobs are worked on together."""
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        container = service.get_container_client("limits")
        if not container.exists():
            container.create_container()
        for number in range(6):
            container.upload_blob(f"{number}.txt", b"x", overwrite=True)
            subject = f"/blobServices/default/containers/limits/blobs/{number}.txt"
            event = {"eventType": "Microsoft.Storage.BlobCreated", "subject": subject, "data": {}}
            assert host.http.post(BLOBS, content=json.dumps([event])).status_code == 202
    full(host, folder, "blob", 2)
    assert len(entries(folder, "blob")) == 2
    release(folder)
    eventually(lambda: len(entries(folder, "blob")) == 6, "all blobs are worked on")
    assert max(entries(folder, "blob")) == 2


def test_http_requests(host: Host, folder: Path) -> None:
    """Three run, two wait, further ones are refused with 429; when all have gone, requests are taken again."""
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(lambda: host.http.get("/api/hold").status_code) for _ in range(12)]
        eventually(lambda: sum(found.done() for found in asked) == 7, "what is too much has been refused")
        full(host, folder, "http", 3)
        assert len(entries(folder, "http")) == 3
        assert host.http.get("/api/quick").status_code == 429
        release(folder)
        statuses = sorted(found.result() for found in asked)
    assert statuses == [200] * 5 + [429] * 7
    assert max(entries(folder, "http")) == 3
    assert host.http.get("/api/quick").text == "quick"


def test_a_client_that_goes_away_does_not_free_a_slot(host: Host, folder: Path) -> None:
    """What it asked for still runs; the next request waits for that, and then runs."""
    for number in range(1, 4):
        with asked(host, "/api/hold"):
            full(host, folder, "http", number)
    assert entries(folder, "http") == [1, 2, 3]
    with pytest.raises(httpx2.TimeoutException):
        host.http.get("/api/quick", timeout=0.2)
    release(folder)
    assert host.http.get("/api/quick").text == "quick"


def test_streams_keep_their_slot_to_their_end(tmp_path: Path) -> None:
    """Of two streams, the second begins when the first is over; a reader that goes away frees its slot."""
    shutil.copytree(APPS / "streaming", tmp_path / "app")
    limits = {"routePrefix": "", "maxConcurrentRequests": 1, "maxOutstandingRequests": 2}
    (tmp_path / "app" / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"http": limits}}))
    with running(tmp_path / "app", tmp_path / "host.log") as host:
        with host.http.stream("GET", "/forever") as first:
            chunks = first.iter_raw()  # kept: a generator that is let go closes the connection
            next(chunks)
            with pytest.raises(httpx2.TimeoutException):
                host.http.get("/events", timeout=0.2)
        assert host.http.get("/events").json()["closed"] == 1
        assert host.http.get("/fails").status_code == 500
        assert host.http.get("/events").status_code == 200
