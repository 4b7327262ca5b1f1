"""The host's API for its functions: what there is, running one by hand, and functions that are switched off."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from tests.local.functions_host.hosting import APPS, Host, running
from tests.local.functions_host.test_storage import seen

FUNCTIONS = "/admin/functions"


def by_hand(host: Host, name: str, given: Any = "") -> int:
    """Run a function by hand; returns the status."""
    return host.http.post(f"{FUNCTIONS}/{name}", json={"input": given}).status_code


def test_a_timer_is_fired_by_hand(storage: Host, queues: QueueServiceClient) -> None:
    """It is accepted at once, and runs out of its turn."""
    assert by_hand(storage, "yearly") == 202
    assert seen(queues, "yearly") == {"yearly": False}


def test_a_message_and_a_blob_are_given_by_hand(
    storage: Host, queues: QueueServiceClient, blobs: BlobServiceClient
) -> None:
    """A queue function gets the input as its message, a blob function the blob at that path."""
    text = uuid.uuid4().hex
    assert by_hand(storage, "order", {"text": text}) == 202
    assert json.loads(seen(queues, text)["order"]) == {"text": text}
    blobs.get_blob_client("documents", f"{text}.txt").upload_blob(f"content {text}")
    assert by_hand(storage, "text_blob", f"documents/{text}.txt") == 202
    assert seen(queues, f"content {text}")["name"] == f"documents/{text}.txt"


@pytest.mark.parametrize(
    ("name", "given", "status", "said"),
    [
        ("text_blob", "elsewhere/x.txt", 400, "elsewhere/x.txt"),
        ("send", "", 400, "httpTrigger"),
        ("switched_off", "", 400, "disabled"),
        ("nobody", "", 404, ""),
    ],
)
def test_what_cannot_be_run_by_hand_is_refused(storage: Host, name: str, given: str, status: int, said: str) -> None:
    """With the reason."""
    answer = storage.http.post(f"{FUNCTIONS}/{name}", json={"input": given})
    assert answer.status_code == status
    assert said in answer.text
    assert storage.http.post(f"{FUNCTIONS}/yearly", content=b"[").status_code == 400
    assert storage.http.put(f"{FUNCTIONS}/yearly").status_code == 405


def test_functions_are_listed(storage: Host) -> None:
    """Each with its bindings, and whether it is switched off."""
    listed = {one["name"]: one for one in storage.http.get(FUNCTIONS).json()}
    assert {name for name, one in listed.items() if one["isDisabled"]} == {"switched_off", "off"}
    assert listed["yearly"]["config"]["bindings"][0]["schedule"] == "0 0 5 31 12 *"
    assert storage.http.get(f"{FUNCTIONS}/yearly").json() == listed["yearly"]
    assert storage.http.get(f"{FUNCTIONS}/off/status").json() == {"isDisabled": True}


def test_a_disabled_function_does_not_run(storage: Host) -> None:
    """Its timer does not fire, its route does not exist, and the table says so."""
    assert storage.http.get("/api/off").status_code == 404
    assert "  off: disabled" in storage.table
    assert "  switched_off: disabled" in storage.table
    assert "function=switched_off" not in storage.log.read_text()


def test_the_api_wants_the_master_key(tmp_path: Path) -> None:
    """Where keys are switched on."""
    keys = {"FUNCTIONS_HOST_KEYS": json.dumps({"master": "m", "host": "h"})}
    with running(APPS / "classic", tmp_path / "host.log", keys) as host:
        assert host.http.get(FUNCTIONS, headers={"x-functions-key": "h"}).status_code == 401
        assert host.http.get(FUNCTIONS, headers={"x-functions-key": "m"}).status_code == 200
