"""Changes reach their receivers at least once, whatever happens to the receiver or to the lake."""

import base64
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobServiceClient, ContainerClient
from azure.storage.queue import QueueClient

from local.azurite import Azurite
from tests.conftest import Service, lake_connection
from tests.local.lake.receiver import WAIT_SECONDS, Receiver, receiving
from tests.local.lake.support import content, put, version_id, versions

DOCUMENTS, QUEUE = "documents", "deletions"


class Lake:
    """A lake with events, which a test stops, kills and starts as it likes."""

    def __init__(self, azurite: Azurite, folder: Path, webhook: str) -> None:
        self._azurite = azurite
        self._folder = folder
        self._webhook = webhook
        self.service = self._start()

    def _start(self) -> Service:
        arguments = ["--azurite-blob-port", str(self._azurite.blob_port), "--data", str(self._folder / "data")]
        watched = ["--container", DOCUMENTS, "--events-webhook", self._webhook]
        queue = ["--deletions-connection", self._azurite.connection_string, "--deletions-queue", QUEUE]
        return Service("local.lake", *arguments, *watched, *queue, log=self._folder / "lake.log")

    def start(self) -> None:
        """Start again after a stop or a kill."""
        self.service = self._start()

    @contextmanager
    def documents(self) -> Iterator[ContainerClient]:
        """The watched container, through the lake."""
        with BlobServiceClient.from_connection_string(lake_connection(self.service.url)) as client:
            yield client.get_container_client(DOCUMENTS)

    def health(self) -> dict[str, Any]:
        """Return what the lake says of itself."""
        with urllib.request.urlopen(f"{self.service.url}/-/health", timeout=60) as reply:
            value: dict[str, Any] = json.load(reply)
            return value


@pytest.fixture
def direct(own_azurite: Azurite) -> Iterator[ContainerClient]:
    """The watched container, behind the lake's back; a new one for each test."""
    with BlobServiceClient.from_connection_string(own_azurite.connection_string) as client:
        yield client.create_container(DOCUMENTS)
        client.delete_container(DOCUMENTS)


@pytest.fixture
def queue(own_azurite: Azurite) -> Iterator[QueueClient]:
    """The queue of deletions, which the lake makes."""
    with QueueClient.from_connection_string(own_azurite.connection_string, QUEUE) as client:
        yield client
        client.delete_queue()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that answers."""
    with receiving(Receiver()) as running:
        yield running


@pytest.fixture
def lake(own_azurite: Azurite, direct: ContainerClient, receiver: Receiver, tmp_path: Path) -> Iterator[Lake]:
    """A lake whose events go to the receiver."""
    running = Lake(own_azurite, tmp_path, receiver.url)
    yield running
    assert running.service.stop() == 0


def eventually[T](look: Callable[[], T]) -> T:
    """Return what `look` finds as soon as it finds something."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("nothing came")


def deletions(queue: QueueClient) -> list[dict[str, Any]]:
    """Take the events that are in the queue."""
    try:
        return [json.loads(base64.b64decode(message.content)) for message in queue.receive_messages()]
    except ResourceNotFoundError:
        return []


def test_created_blob_arrives_after_the_handshake(lake: Lake, receiver: Receiver) -> None:
    """A write arrives once as Event Grid would send it, after one validation; the version orders the blob's events."""
    with lake.documents() as documents:
        blob = documents.get_blob_client("a folder/Ärende.md")
        blob.upload_blob(b"12345")
        receiver.wait_for({"a folder/Ärende.md"})
        seen = blob.get_blob_properties()
        [event] = receiver.events
        assert event["eventType"] == "Microsoft.Storage.BlobCreated"
        assert event["subject"] == "/blobServices/default/containers/documents/blobs/a folder/Ärende.md"
        assert event["data"]["url"] == blob.url
        assert event["data"]["api"] == "PutBlob"
        assert event["data"]["contentLength"] == 5
        assert f'"{event["data"]["eTag"]}"' == seen.etag
        assert event["data"]["sequencer"] == seen.version_id
    [validation] = receiver.validations
    assert validation["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"


def test_which_writes_raise_events(lake: Lake, receiver: Receiver) -> None:
    """Block lists and copies, so promotions too, raise events; metadata does not, nor do containers nobody watches."""
    with lake.documents() as documents:
        first = put(documents, "p", b"1")
        documents.get_blob_client("p").set_blob_metadata({"a": "b"})
        blob = documents.get_blob_client("p")
        blob.start_copy_from_url(f"{blob.url}?versionid={first}")
        blocks = documents.get_blob_client("blocks")
        blocks.stage_block("MDA=", b"x")
        blocks.commit_block_list([BlobBlock("MDA=")])
        with BlobServiceClient.from_connection_string(lake_connection(lake.service.url)) as service:
            other = service.create_container("unwatched")
            put(other, "u", b"1")
            other.delete_container()
        put(documents, "last", b"1")
    receiver.wait_for({"p", "blocks", "last"})
    eventually(lambda: len(receiver.events) >= 4)
    apis = [event["data"]["api"] for event in receiver.events]
    assert sorted(zip(apis, receiver.names(), strict=True)) == [
        ("CopyBlob", "p"),
        ("PutBlob", "last"),
        ("PutBlob", "p"),
        ("PutBlockList", "blocks"),
    ]


def test_deleted_blob_reaches_the_queue(lake: Lake, queue: QueueClient, receiver: Receiver) -> None:
    """A deletion lands in the queue, base64-encoded, and not at the webhook; deleting an old version raises nothing."""
    with lake.documents() as documents:
        first = put(documents, "gone", b"1")
        last = put(documents, "gone", b"2")
        documents.delete_blob("gone", version_id=first)
        documents.delete_blob("gone")
        [event] = eventually(lambda: deletions(queue))
        assert event["eventType"] == "Microsoft.Storage.BlobDeleted"
        assert event["subject"].endswith("/containers/documents/blobs/gone")
        assert (event["data"]["api"], event["data"]["sequencer"]) == ("DeleteBlob", last)
    eventually(lambda: not lake.health()["events"])
    assert deletions(queue) == []
    assert {event["eventType"] for event in receiver.events} == {"Microsoft.Storage.BlobCreated"}


def test_receiver_that_refuses_gets_it_later(lake: Lake, receiver: Receiver) -> None:
    """An event that is answered with 500 is sent until it is taken; health says meanwhile what waits and why."""
    receiver.status = 500
    with lake.documents() as documents:
        put(documents, "a", b"1")
    receiver.wait_for_refusals(2)
    waiting = lake.health()["events"]["Microsoft.Storage.BlobCreated"]
    assert waiting["waiting"] == 1
    assert waiting["attempts"] >= 1
    assert "500" in waiting["because"]
    receiver.status = 200
    receiver.wait_for({"a"})
    eventually(lambda: not lake.health()["events"])
    assert receiver.names() == ["a"]


def test_receiver_that_is_down_gets_it_later(own_azurite: Azurite, direct: ContainerClient, tmp_path: Path) -> None:
    """What happens while nobody listens arrives when somebody does."""
    receiver = Receiver()
    with receiving(receiver):
        pass  # it has a port now, and is down
    lake = Lake(own_azurite, tmp_path, receiver.url)
    with lake.documents() as documents:
        for name in "abc":
            put(documents, name, b"1")
    eventually(lambda: "ClientConnectorError" in str(lake.health()["events"]))
    with receiving(receiver):
        receiver.wait_for(set("abc"))
        eventually(lambda: not lake.health()["events"])
    assert lake.service.stop() == 0
    assert sorted(receiver.names()) == ["a", "b", "c"]


def test_a_hanging_delivery_holds_up_no_other(lake: Lake, receiver: Receiver, queue: QueueClient) -> None:
    """While one delivery gets no answer, later ones arrive, to the webhook as to the queue."""
    receiver.hang_on = "/stuck"
    with lake.documents() as documents:
        put(documents, "stuck", b"1")
        names = {f"n{number}" for number in range(40)}
        for name in names:
            put(documents, name, b"1")
        receiver.wait_for(names)
        documents.delete_blob("n1")
        assert eventually(lambda: deletions(queue))
    assert lake.health()["events"]["Microsoft.Storage.BlobCreated"]["waiting"] == 1


def test_nothing_is_lost_by_a_crash(lake: Lake, receiver: Receiver, queue: QueueClient) -> None:
    """Events that waited when the lake was killed are delivered by its successor, and the versions are all there."""
    receiver.status = 503
    with lake.documents() as documents:
        written = {name: put(documents, name, name) for name in ("a", "b", "c")}
        documents.delete_blob("c")
    receiver.wait_for_refusals(1)
    lake.service.kill()
    receiver.status = 200
    lake.start()
    receiver.wait_for({"a", "b", "c"})
    assert eventually(lambda: deletions(queue))[0]["subject"].endswith("/c")
    with lake.documents() as documents:
        assert versions(documents) == [(written["a"], True), (written["b"], True), (written["c"], False)]
        assert content(documents, "c", written["c"]) == b"c"


def test_what_was_stored_but_not_recorded_is_healed(
    lake: Lake, receiver: Receiver, direct: ContainerClient, queue: QueueClient
) -> None:
    """A write or deletion that was stored but not recorded gets its version and its event at the start."""
    with lake.documents() as documents:
        first, kept = put(documents, "changed", b"1"), put(documents, "kept", b"1")
        put(documents, "deleted", b"1")
    receiver.wait_for({"changed", "kept", "deleted"})
    eventually(lambda: not lake.health()["events"])
    lake.service.kill()
    receiver.events.clear()
    direct.upload_blob("changed", b"2", overwrite=True)
    direct.upload_blob("new", b"1")
    direct.delete_blob("deleted")
    lake.start()
    receiver.wait_for({"changed", "new"})
    assert eventually(lambda: deletions(queue))[0]["subject"].endswith("/deleted")
    assert sorted(receiver.names()) == ["changed", "new"]
    assert all(event["data"]["url"].startswith(lake.service.url) for event in receiver.events)
    with lake.documents() as documents:
        [(old, _), (new, current)] = versions(documents, "changed")
        assert (old, current, content(documents, "changed", new)) == (first, True, b"2")
        assert versions(documents, "kept") == [(kept, True)]
        assert [current for _, current in versions(documents, "deleted")] == [False]
        seen = documents.get_blob_client("new").get_blob_properties()
        assert versions(documents, "new") == [(version_id(seen.version_id), True)]
