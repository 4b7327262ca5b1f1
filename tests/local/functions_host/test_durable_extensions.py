"""Schedules, export of histories, entities that act, delayed signals, and the logs of durable functions."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.functions_host.hosting import APPS, Host, eventually, running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where exported histories go."""
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def host(host_log: Path, folder: Path) -> Iterator[Host]:
    """A host with the app that uses what comes with the SDK."""
    with running(APPS / "durable_extensions", host_log, {"EXPORT_FOLDER": str(folder)}) as host:
        yield host


def run(host: Host, name: str, given: Any = None) -> dict[str, Any]:
    """Run an orchestration to its end."""
    answer = host.http.post(f"/api/start/{name}", json=given)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def counter(host: Host, key: str) -> Any:
    """Return a counter's state, None when it does not exist."""
    return host.http.get("/api/entities/counter").json().get(key)


def test_schedules(host: Host) -> None:
    """A schedule starts its orchestration again and again, until it is deleted."""
    name = uuid.uuid4().hex
    assert "active" in host.http.post(f"/api/schedule/{name}").json().lower()
    eventually(lambda: (counter(host, name) or 0) >= 2, "the schedule has run twice")
    host.http.delete(f"/api/schedule/{name}")
    assert host.http.get(f"/api/schedule/{name}").json() is None


def test_export_of_histories(host: Host, folder: Path) -> None:
    """Every ended instance's history is written, with its id in it."""
    ids = [run(host, "echo", text)["id"] for text in ("a", "b")]
    name = uuid.uuid4().hex
    host.http.post(f"/api/export/{name}")

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] | None = host.http.get(f"/api/export/{name}").json()
        return found if found and found["status"] in ("Completed", "Failed") else None

    found = eventually(ended, "the export has ended")
    assert found["status"] == "Completed" and found["exported"] >= 2
    written = "\n".join(path.read_text() for path in (folder / name).rglob("*.json"))
    assert all(one in written for one in ids)


def test_continuous_export_is_refused(host: Host) -> None:
    """As on Azure, by the SDK's own entity."""
    name = uuid.uuid4().hex
    host.http.post(f"/api/export/{name}?continuous=1")
    eventually(lambda: (host.http.get(f"/api/export/{name}").json() or {}).get("status") == "Failed", "it has failed")
    assert "continuous" in host.http.get(f"/api/export/{name}").json()["error"].lower()


def test_entities_act_on_others(host: Host) -> None:
    """An entity signals another and starts an orchestration; its failure reaches who called it."""
    key = uuid.uuid4().hex
    assert run(host, "relays", key)["output"] == "[true, true]"
    eventually(lambda: counter(host, key) == 11, "both additions have come")


def test_a_lock_is_released_by_a_failure(host: Host) -> None:
    """The next one gets it, and sees what was done before the failure."""
    key = uuid.uuid4().hex
    assert run(host, "locks_and_fails", {"key": key, "fail": True})["status"] == "FAILED"
    assert run(host, "locks_and_fails", {"key": key, "fail": False})["output"] == "2"


@pytest.mark.parametrize("sender", ["client", "orchestration"])
def test_delayed_signals(host: Host, sender: str) -> None:
    """A signal with a time comes then, not before, and whoever sent it does not wait."""
    key = uuid.uuid4().hex
    if sender == "client":
        host.http.post(f"/api/entities/counter/{key}/add?after=1", json=1)
    else:
        run(host, "later", key)
    assert counter(host, key) is None
    eventually(lambda: counter(host, key) == 1, "the signal has come")


def test_entities_without_a_state_are_cleaned_away(host: Host) -> None:
    """They are not listed either."""
    key = uuid.uuid4().hex
    host.http.post(f"/api/entities/counter/{key}/add", json=3)
    eventually(lambda: counter(host, key) == 3, "the counter is there")
    assert host.http.post(f"/api/entities/counter/{key}/forget", json={}).status_code == 200
    eventually(lambda: counter(host, key) is None, "the counter is gone")
    assert host.http.post("/api/clean").status_code == 200
    assert counter(host, key) is None


def test_messages_of_the_sdk_are_in_the_log(host: Host) -> None:
    """Those of the client and of the worker, one line each, with the time in brackets."""
    instance_id = run(host, "echo", "x")["id"]
    messages = [line.partition("Z] ")[2] for line in host.log.read_text().splitlines() if line.startswith("[")]
    assert f"Starting new 'echo' instance with ID = '{instance_id}'." in messages
    assert f"{instance_id}: Orchestration echo completed with status: COMPLETED" in messages


def test_log_levels_of_functions_apply_to_the_sdk(host: Host) -> None:
    """What host.json filters of a function's messages, it filters of the SDK's on its behalf."""
    instance_id = host.http.post("/api/quiet").json()["id"]
    log = host.log.read_text()
    assert f"client warns {instance_id}" in log and f"worker warns {instance_id}" in log
    assert f"says little {instance_id}" not in log
    assert f"Starting new 'quiet' instance with ID = '{instance_id}'." not in log
    assert f"{instance_id}: Orchestration quiet completed" not in log
