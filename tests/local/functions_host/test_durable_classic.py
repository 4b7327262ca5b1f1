"""Orchestrations and entities in the classic style, managed through the classic client."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.functions_host.hosting import APPS, Host, eventually, running


@pytest.fixture(scope="module")
def host(host_log: Path) -> Iterator[Host]:
    """A host with the app in the classic style."""
    with running(APPS / "durable_classic", host_log) as host:
        yield host


def start(host: Host, name: str, given: Any = None) -> str:
    """Start an orchestration; returns its id."""
    answer = host.http.post(f"/api/start/{name}", json=given)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"].startswith(f"{host.url}/runtime/webhooks/durabletask/instances/")
    started: str = answer.json()["id"]
    return started


def until(host: Host, instance_id: str, *wanted: str) -> dict[str, Any]:
    """Return an instance's status once it is one of those wanted."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = host.http.get(f"/api/status/{instance_id}").json()
        return found if found["runtimeStatus"] in wanted else None

    return eventually(look, f"{instance_id} is {wanted}")


def output(host: Host, name: str, given: Any = None) -> Any:
    """Run an orchestration; returns its output."""
    found = until(host, start(host, name, given), "Completed", "Failed")
    assert found["runtimeStatus"] == "Completed", found
    return found["output"]


def do(host: Host, what: str, instance_id: str, body: Any = None) -> Any:
    """Change an instance; returns what comes back."""
    answer = host.http.post(f"/api/do/{what}/{instance_id}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_activities_and_children(host: Host) -> None:
    """By a name in any case; a child has the id it was given and knows its parent."""
    found = output(host, "chain")
    assert found["activities"] == ["A", "B"]
    assert found["child"]["instance"] == f"{found['child']['parent']}:child"


def test_what_the_context_knows(host: Host) -> None:
    """Ids, no version, no parent; identifiers are made the same way at each replay."""
    instance_id = start(host, "about")
    found = until(host, instance_id, "Completed")["output"]
    assert found["instance"] == instance_id
    assert (found["parent"], found["version"], found["again"], found["function"]) == (None, None, False, True)
    assert len({str(uuid.UUID(one)) for one in found["ids"]}) == 2


def test_an_event_wins_over_a_timer(host: Host) -> None:
    """The timer is cancelled, the custom status stays."""
    instance_id = start(host, "race")
    eventually(lambda: until(host, instance_id, "Running")["customStatus"] == {"waiting": "for go"}, "it waits")
    do(host, "raise", instance_id, {"a": [1]})
    assert until(host, instance_id, "Completed")["output"] == {"event": True, "data": {"a": [1]}}


def test_retries(host: Host) -> None:
    """Of activities and of children; the last failure is what the orchestrator sees."""
    assert output(host, "retries") == ["after 3 tries", "after 2 tries", True]


def test_continue_as_new(host: Host) -> None:
    """Each execution has the input of the one before it."""
    assert output(host, "generations") == 5


@pytest.mark.parametrize(
    ("method", "content", "status"), [("GET", None, 200), ("POST", {"a": 1}, 200), ("GET", None, 500)]
)
def test_durable_http(host: Host, method: str, content: Any, status: int) -> None:
    """Content and status come back to the orchestrator, a failure's too."""
    url = f"{host.url}/api/echo?status={status}"
    found = output(host, "calls_http", {"method": method, "url": url, "content": content})
    assert found["status"] == status
    assert found["content"].replace(" ", "") == ('{"a":1}' if content else "")


def test_entities(host: Host) -> None:
    """Called under a name of any case; a failed operation fails the call, and leaves the state as it was."""
    key = uuid.uuid4().hex
    found = output(host, "asks_entity", key)
    assert found["described"] == ["ledger", key]
    assert (found["total"], found["fault"]) == (7, True)
    assert host.http.get(f"/api/ledger/{key}").json() == {"exists": True, "state": 7}
    assert host.http.post(f"/api/ledger/{key}/forget").status_code == 202
    eventually(lambda: not host.http.get(f"/api/ledger/{key}").json()["exists"], "the entity is gone")


def test_the_classic_client(host: Host) -> None:
    """Suspend, resume, terminate, find, restart, purge."""
    instance_id = start(host, "race")
    until(host, instance_id, "Running")
    do(host, "suspend", instance_id)
    until(host, instance_id, "Suspended")
    do(host, "resume", instance_id)
    until(host, instance_id, "Running")
    do(host, "terminate", instance_id)
    assert until(host, instance_id, "Terminated")["output"] == "asked to"
    everything, terminated = host.http.get("/api/find/Terminated").json()
    assert instance_id in everything and instance_id in terminated
    again = do(host, "restart", instance_id)
    do(host, "raise", again, 1)
    until(host, again, "Completed")
    assert [do(host, "purge", one) for one in {again, instance_id}] == [1] * len({again, instance_id})
    assert again not in host.http.get("/api/find/Completed").json()[0]


def test_waiting_for_the_end_over_http(host: Host) -> None:
    """The output when it ends in time, the addresses when it does not."""
    instance_id = start(host, "race")
    late = host.http.get(f"/api/wait/{instance_id}?ms=100")
    assert (late.status_code, late.json()["id"]) == (202, instance_id)
    do(host, "raise", instance_id, "now")
    early = host.http.get(f"/api/wait/{instance_id}?ms=20000")
    assert (early.status_code, early.json()) == (200, {"event": True, "data": "now"})
