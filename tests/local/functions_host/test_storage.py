"""Queue and blob triggers and bindings against Azurite, through the official SDKs."""

import base64
import contextlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, QueueServiceClient

from local.azurite import Azurite
from tests.local.functions_host.hosting import APPS, Host, eventually, running

WEBHOOK = "/runtime/webhooks/blobs?functionName=Host.Functions."
POISON = "webjobs-blobtrigger-poison"


def take(queue: QueueClient, wanted: Callable[[str], bool]) -> str:
    """Wait for a message that is wanted, and remove it; others are left alone."""

    def look() -> str | None:
        with contextlib.suppress(ResourceNotFoundError):  # nobody has sent to it yet
            for message in queue.receive_messages(messages_per_page=32, visibility_timeout=1):
                text = base64.b64decode(message.content).decode()
                if wanted(text):
                    queue.delete_message(message)
                    return text
        return None

    return eventually(look, f"the message is in {queue.queue_name}")


def seen(queues: QueueServiceClient, text: str) -> Any:
    """Return what a function reported that has a text in it."""
    found = take(queues.get_queue_client("seen"), lambda message: text in message)
    return json.loads(found) if found.startswith("{") else found


def send(queues: QueueServiceClient, name: str, text: str) -> None:
    """Add a message as the Functions runtime expects it."""
    queues.get_queue_client(name).send_message(base64.b64encode(text.encode()).decode())


def event(blob: str, container: str = "documents", kind: str = "Microsoft.Storage.BlobCreated") -> dict[str, Any]:
    """Return an Event Grid event about a blob."""
    subject = f"/blobServices/default/containers/{container}/blobs/{blob}"
    return {"id": uuid.uuid4().hex, "eventType": kind, "subject": subject, "data": {"eTag": "0x1"}}


def deliver(host: Host, function: str, *events: dict[str, Any], kind: str = "Notification") -> Any:
    """Deliver events to the webhook as Event Grid does."""
    return host.http.post(WEBHOOK + function, json=list(events), headers={"aeg-event-type": kind})


def test_a_message_runs_the_function_and_is_gone(storage: Host, queues: QueueServiceClient) -> None:
    """Sent by an output binding, taken by the trigger, whose queue the host has made."""
    text = uuid.uuid4().hex
    assert storage.http.get(f"/api/send/{text}").text == "sent"
    assert seen(queues, text)["tries"] == 1
    assert all(
        text not in base64.b64decode(message.content).decode()
        for message in queues.get_queue_client("orders").peek_messages(32)
    )


def test_a_message_that_fails_goes_to_the_poison_queue(storage: Host, queues: QueueServiceClient) -> None:
    """After the number of tries that host.json says."""
    before = storage.log.read_text().count("order fail try")
    storage.http.get("/api/send/fail")
    assert take(queues.get_queue_client("orders-poison"), lambda text: text == "fail") == "fail"
    assert storage.log.read_text().count("order fail try") == before + 3


def test_what_is_not_base64_is_put_aside(storage: Host, queues: QueueServiceClient) -> None:
    """The function is not run with something else than was sent."""
    text = f"<{uuid.uuid4().hex}>"
    queues.get_queue_client("orders").send_message(text)
    poison = queues.get_queue_client("orders-poison")
    eventually(lambda: text in [message.content for message in poison.peek_messages(32)], "it was put aside")
    poison.clear_messages()


def test_the_return_value_may_be_a_message(storage: Host, queues: QueueServiceClient) -> None:
    """`$return` of a queue function."""
    text = uuid.uuid4().hex
    send(queues, "forward", text)
    assert seen(queues, text) == f"forwarded {text}"


def test_a_list_is_several_messages(storage: Host, queues: QueueServiceClient) -> None:
    """And the HTTP response is the function's own."""
    assert storage.http.get("/api/many").status_code == 201
    assert {seen(queues, "one"), seen(queues, "two")} == {"one", "two"}


def test_the_subscription_is_validated(storage: Host) -> None:
    """The code comes back."""
    asked = {"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "abc"}}
    assert deliver(storage, "any_blob", asked, kind="SubscriptionValidation").json() == {"validationResponse": "abc"}


def test_bad_deliveries_are_refused(storage: Host) -> None:
    """Unknown functions, other methods, what is not JSON, other kinds."""
    assert deliver(storage, "nobody", event("x")).status_code == 404
    assert storage.http.get(WEBHOOK + "any_blob").status_code == 405
    assert storage.http.post(WEBHOOK + "any_blob", content=b"[").status_code == 400
    assert deliver(storage, "any_blob", event("x"), kind="Gossip").status_code == 400


def test_a_created_blob_runs_functions_of_both_kinds(
    storage: Host, queues: QueueServiceClient, blobs: BlobServiceClient
) -> None:
    """One is given the content, the other an SDK client; names may span folders."""
    name = f"a b/{uuid.uuid4().hex}"
    blobs.get_blob_client("documents", f"{name}.txt").upload_blob(b"content")
    assert deliver(storage, "text_blob", event(f"{name}.txt")).status_code == 202
    found = seen(queues, "content")
    assert (found["name"], found["length"]) == (f"documents/{name}.txt", 7)
    assert deliver(storage, "any_blob", event(f"{name}.txt")).status_code == 202
    assert seen(queues, '"blob"') == {"blob": f"{name}.txt", "container": "documents", "size": 7}


def test_only_what_matches_fires(storage: Host, queues: QueueServiceClient, blobs: BlobServiceClient) -> None:
    """Not a deletion, not another container, not another name, not a blob that is gone already."""
    name = uuid.uuid4().hex
    blobs.get_blob_client("documents", f"{name}.md").upload_blob(b"x")
    others = [event(f"{name}.md"), event(f"{name}.txt", "other"), event(f"{name}.txt")]
    deleted = event(f"{name}.md", kind="Microsoft.Storage.BlobDeleted")
    before = storage.log.read_text().count("function=text_blob")
    assert deliver(storage, "text_blob", *others, deleted).status_code == 202
    assert deliver(storage, "any_blob", event(f"{name}.md")).status_code == 202
    assert seen(queues, f"{name}.md")["size"] == 1
    assert storage.log.read_text().count("function=text_blob") == before


def test_a_blob_that_fails_is_tried_five_times(
    storage: Host, queues: QueueServiceClient, blobs: BlobServiceClient
) -> None:
    """Then its event is put aside."""
    name = f"{uuid.uuid4().hex}.txt"
    blobs.get_blob_client("documents", name).upload_blob(b"fail")
    before = storage.log.read_text().count("function=text_blob result=failed")
    deliver(storage, "text_blob", event(name))
    aside = json.loads(take(queues.get_queue_client(POISON), lambda text: name in text))
    assert (aside["FunctionId"], aside["BlobName"]) == ("Host.Functions.text_blob", name)
    assert storage.log.read_text().count("function=text_blob result=failed") == before + 5


def test_blob_bindings_read_and_write(storage: Host, blobs: BlobServiceClient) -> None:
    """Paths are filled from the route; a missing input is nothing."""
    name = uuid.uuid4().hex
    blobs.get_blob_client("documents", name).upload_blob(b"to copy")
    assert storage.http.get(f"/api/copy/{name}").text == "copied"
    assert blobs.get_blob_client("copies", name).download_blob().readall() == b"to copy"
    assert storage.http.get("/api/copy/nothing").status_code == 404


def test_an_accepted_event_survives_a_killed_host(
    azurite: Azurite, queues: QueueServiceClient, blobs: BlobServiceClient, tmp_path: Path
) -> None:
    """It was put on a queue before it was acknowledged; the next host runs it."""
    name = f"{uuid.uuid4().hex}.bin"
    own = f"own-{uuid.uuid4().hex[:8]}"
    settings = {
        "AzureWebJobsStorage": azurite.connection_string,
        "AzureFunctionsWebHost__hostid": own,
        "CONTAINER": own,
    }
    blobs.create_container(own).upload_blob(name, b"12345")
    with running(APPS / "storage", tmp_path / "first.log", settings) as host:
        assert deliver(host, "any_blob", event(name, own)).status_code == 202
        host.process.kill()
        host.process.wait()
    with running(APPS / "storage", tmp_path / "second.log", settings):
        assert seen(queues, name)["size"] == 5


def test_events_in_the_cloudevents_schema(storage: Host, queues: QueueServiceClient, blobs: BlobServiceClient) -> None:
    """A subscription is validated by OPTIONS; an event's type is in `type`, the rest is the same."""
    asked = storage.http.options(WEBHOOK + "any_blob", headers={"WebHook-Request-Origin": "eventgrid.azure.net"})
    assert (asked.status_code, asked.headers["WebHook-Allowed-Origin"]) == (200, "eventgrid.azure.net")
    name = f"{uuid.uuid4().hex}.txt"
    blobs.get_blob_client("documents", name).upload_blob(b"cloud")
    cloud = {"specversion": "1.0", **event(name)}
    cloud["type"] = cloud.pop("eventType")
    answer = storage.http.post(
        WEBHOOK + "any_blob", json=cloud, headers={"Content-Type": "application/cloudevents+json; charset=utf-8"}
    )
    assert answer.status_code == 202
    assert name in json.dumps(seen(queues, name))


def test_blobs_without_event_grid_are_found_by_listing(
    azurite: Azurite, storage: Host, queues: QueueServiceClient, blobs: BlobServiceClient, tmp_path: Path
) -> None:
    """Every state of a blob runs once, also one that was there before the host, and none again after a restart."""
    own = f"own-{uuid.uuid4().hex[:8]}"
    container = blobs.create_container(f"{own}-polled")
    container.upload_blob("first-one.md", f"first {own}")
    container.upload_blob("other.txt", b"not wanted")
    settings = {
        "AzureWebJobsStorage": azurite.connection_string,
        "AzureFunctionsWebHost__hostid": own,
        "CONTAINER": own,
    }
    log = tmp_path / "host.log"
    with running(APPS / "storage", log, settings) as host:
        assert seen(queues, f"first {own}") == {"polled": f"first {own}", "type": "str"}
        container.upload_blob("first-one.md", f"second {own}", overwrite=True)
        assert seen(queues, f"second {own}")["type"] == "str"
        # Events are for those functions that ask for them.
        assert deliver(host, "polled_blob", event("first-one.md", f"{own}-polled")).status_code == 404
    with running(APPS / "storage", log, settings):
        container.upload_blob("last.md", f"third {own}")
        assert seen(queues, f"third {own}")["polled"] == f"third {own}"
    assert log.read_text().count("function=polled_blob result=succeeded") == 3


def test_blob_inputs_are_of_the_kind_that_is_declared(storage: Host, blobs: BlobServiceClient) -> None:
    """Text for `data_type` STRING, bytes for BINARY."""
    name = uuid.uuid4().hex
    blobs.get_blob_client("documents", name).upload_blob("\u00e9".encode())
    assert storage.http.get(f"/api/kinds/{name}").text == "str \u00e9 bytes b'\\xc3\\xa9'"
