"""Orchestrations, entities and their management over HTTP."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.local.functions_host.hosting import APPS, Host, eventually, running

API = "/runtime/webhooks/durabletask"
SQUARES_OF_25 = sum(number * number for number in range(25))


def start(host: Host, name: str, given: Any = None, **query: str) -> str:
    """Start an orchestration; returns its id."""
    answer = host.http.post(f"/api/start/{name}", content=json.dumps(given), params=query)
    assert answer.status_code == 202, answer.text
    started: str = answer.json()["id"]
    return started


def status(host: Host, instance_id: str, **query: str) -> dict[str, Any]:
    """Return an instance's status."""
    answer = host.http.get(f"{API}/instances/{instance_id}", params=query)
    assert answer.status_code in (200, 202), answer.text
    found: dict[str, Any] = answer.json()
    return found


def until(host: Host, instance_id: str, *wanted: str) -> dict[str, Any]:
    """Return an instance's status once it is one of those wanted."""

    def look() -> dict[str, Any] | None:
        found = status(host, instance_id)
        return found if found["runtimeStatus"] in wanted else None

    return eventually(look, f"{instance_id} is {wanted}")


def ended(host: Host, name: str, given: Any = None, **query: str) -> dict[str, Any]:
    """Run an orchestration to its end; returns its status."""
    return until(host, start(host, name, given, **query), "Completed", "Failed", "Terminated")


def change(host: Host, instance_id: str, what: str, **query: str) -> int:
    """Ask for a change of an instance; returns the HTTP status."""
    return host.http.post(f"{API}/instances/{instance_id}/{what}", params=query).status_code


def test_a_thousand_activities_in_sub_orchestrations_finish(durable: Host) -> None:
    """40 children with 25 activities each."""
    assert ended(durable, "pages", 40)["output"] == 40 * SQUARES_OF_25


def test_a_child_knows_its_parent(durable: Host) -> None:
    """The parent's instance id is the child's parent id."""
    found = ended(durable, "family")
    assert found["output"] == found["instanceId"]


def test_status_is_202_while_running_and_200_when_done(durable: Host) -> None:
    """With Location and Retry-After; the custom status is shown; an event ends the waiting."""
    instance_id = start(durable, "waits")
    until(durable, instance_id, "Running")
    running = durable.http.get(f"{API}/instances/{instance_id}")
    assert running.status_code == 202
    assert running.headers["Location"].endswith(f"/instances/{instance_id}")
    assert running.headers["Retry-After"]
    assert running.json()["customStatus"] == {"waiting": True}
    raised = durable.http.post(f"{API}/instances/{instance_id}/raiseEvent/go", json={"a": 1})
    assert raised.status_code == 202
    assert until(durable, instance_id, "Completed")["output"] == {"a": 1}
    assert durable.http.post(f"{API}/instances/{instance_id}/raiseEvent/go", json=1).status_code == 410


def test_bad_requests_are_refused(durable: Host) -> None:
    """Unknown instances and orchestrators, bodies that are not JSON, unknown filters."""
    assert durable.http.get(f"{API}/instances/none").status_code == 404
    assert change(durable, "none", "terminate") == 404
    assert change(durable, "none", "rewind") == 404
    assert durable.http.delete(f"{API}/instances/none").status_code == 404
    assert durable.http.post(f"{API}/orchestrators/nowhere").status_code == 400
    assert durable.http.post(f"{API}/orchestrators/waits", content=b"{").status_code == 400
    assert durable.http.get(f"{API}/instances?runtimeStatus=Sleeping").status_code == 400
    assert durable.http.get(f"{API}/instances?createdTimeFrom=yesterday").status_code == 400


def test_a_suspended_instance_rests_until_it_is_resumed(durable: Host) -> None:
    """An event that comes meanwhile is not lost."""
    instance_id = start(durable, "waits")
    until(durable, instance_id, "Running")
    assert change(durable, instance_id, "suspend", reason="lunch") == 202
    until(durable, instance_id, "Suspended")
    durable.http.post(f"{API}/instances/{instance_id}/raiseEvent/go", json="late")
    assert status(durable, instance_id)["runtimeStatus"] == "Suspended"
    assert change(durable, instance_id, "resume") == 202
    assert until(durable, instance_id, "Completed")["output"] == "late"


def test_a_terminated_instance_is_restarted_and_purged(durable: Host) -> None:
    """Under its own id or a new one; afterwards there is nothing left."""
    instance_id = start(durable, "waits", {"given": True})
    assert change(durable, instance_id, "terminate", reason="enough") == 202
    assert until(durable, instance_id, "Terminated")["output"] == "enough"
    assert change(durable, instance_id, "terminate") == 410
    again = durable.http.post(f"{API}/instances/{instance_id}/restart", params={"restartWithNewInstanceId": "false"})
    assert again.json()["id"] == instance_id
    assert until(durable, instance_id, "Running")["input"] == {"given": True}
    assert durable.http.delete(f"{API}/instances/{instance_id}").status_code == 400
    change(durable, instance_id, "terminate")
    until(durable, instance_id, "Terminated")
    assert durable.http.delete(f"{API}/instances/{instance_id}").json() == {"instancesDeleted": 1}
    assert durable.http.get(f"{API}/instances/{instance_id}").status_code == 404


def test_a_failed_instance_is_rewound(durable: Host) -> None:
    """The failed activity runs again and what follows with it."""
    found = ended(durable, "rewindable", uuid.uuid4().hex)
    assert (found["runtimeStatus"], "not yet" in found["output"]) == ("Failed", True)
    assert change(durable, found["instanceId"], "rewind", reason="again") == 202
    assert until(durable, found["instanceId"], "Completed")["output"] == "done"
    assert change(durable, found["instanceId"], "rewind") == 410


def test_retries_follow_their_policy(durable: Host) -> None:
    """The second try succeeds."""
    assert ended(durable, "retries", uuid.uuid4().hex)["output"] == "done"


def test_continuing_as_new_leaves_the_old_executions_timers_behind(durable: Host) -> None:
    """A timer of an earlier execution does not end one of a later execution that has the same number."""
    found = ended(durable, "counts", 0)
    assert (found["runtimeStatus"], found["output"]) == ("Completed", 5)
    assert found["input"] == 5


def test_a_childs_failure_reaches_its_parent_as_it_was(durable: Host) -> None:
    """With the message that the activity raised."""
    assert "no such luck" in ended(durable, "child_fails", "no such luck")["output"]


def test_an_unknown_activity_fails_the_orchestration(durable: Host) -> None:
    """With its name; nothing hangs."""
    assert "'nowhere' doesn't exist" in ended(durable, "missing")["output"]


def test_a_scheduled_start_waits(durable: Host) -> None:
    """Pending until its time has come."""
    instance_id = start(durable, "family", "child", delay="1")
    assert status(durable, instance_id)["runtimeStatus"] == "Pending"
    assert until(durable, instance_id, "Completed")["createdTime"]


def test_a_running_id_is_taken_and_free_again_afterwards(durable: Host) -> None:
    """A second start is refused while the first runs."""
    own = uuid.uuid4().hex
    start(durable, "waits", id=own)
    refused = durable.http.post("/api/start/waits", content="null", params={"id": own})
    assert (refused.status_code, refused.text) == (409, "ALREADY_EXISTS")
    assert durable.http.post(f"{API}/orchestrators/waits/{own}").status_code == 409
    change(durable, own, "terminate")
    until(durable, own, "Terminated")
    assert ended(durable, "family", "child", id=own)["runtimeStatus"] == "Completed"


def test_history_is_shown_with_results_and_times(durable: Host) -> None:
    """Starts, activities with their names, and the end; results only when asked for."""
    instance_id = ended(durable, "squares", 2)["instanceId"]
    shown = status(durable, instance_id, showHistory="true", showHistoryOutput="true")["historyEvents"]
    assert [event["EventType"] for event in shown] == [
        "ExecutionStarted",
        "TaskCompleted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    assert {event["Result"] for event in shown[1:3]} == {0, 1}
    assert all(event["FunctionName"] == "square" for event in shown[1:3])
    assert all(event["Timestamp"] > "2020" for event in shown)
    assert "Result" not in status(durable, instance_id, showHistory="true")["historyEvents"][1]


def test_instances_are_listed_filtered_and_purged_by_filter(durable: Host) -> None:
    """By status and prefix, in pages."""
    prefix = uuid.uuid4().hex
    for number in range(3):
        ended(durable, "family", "child", id=f"{prefix}-{number}")
    start(durable, "waits", id=f"{prefix}-running")
    query = {"instanceIdPrefix": prefix, "runtimeStatus": "Completed", "top": "2"}
    first = durable.http.get(f"{API}/instances", params=query)
    token = first.headers["x-ms-continuation-token"]
    second = durable.http.get(f"{API}/instances", params=query, headers={"x-ms-continuation-token": token})
    assert "x-ms-continuation-token" not in second.headers
    assert [found["instanceId"] for found in first.json() + second.json()] == [f"{prefix}-{n}" for n in range(3)]
    purged = durable.http.delete(
        f"{API}/instances", params={"createdTimeFrom": "2020-01-01T00:00:00Z", "runtimeStatus": "Completed,Failed"}
    )
    assert purged.json()["instancesDeleted"] >= 3
    left = durable.http.get(f"{API}/instances", params={"instanceIdPrefix": prefix}).json()
    assert [found["instanceId"] for found in left] == [f"{prefix}-running"]
    change(durable, f"{prefix}-running", "terminate")


def test_starting_over_http_may_wait_for_the_result(durable: Host) -> None:
    """With a timeout the output is the answer."""
    answer = durable.http.post(f"{API}/orchestrators/squares?timeout=20&pollingInterval=0.05", json=3)
    assert (answer.status_code, answer.json()) == (200, 5)


def test_failures_may_be_shown_as_500(durable: Host) -> None:
    """Only when that is asked for."""
    found = ended(durable, "fails", "broken")
    path = f"{API}/instances/{found['instanceId']}"
    assert durable.http.get(path).status_code == 200
    assert durable.http.get(path, params={"returnInternalServerErrorOnFailure": "true"}).status_code == 500


def test_entities_are_signalled_read_and_listed(durable: Host) -> None:
    """Over HTTP; a deleted one is gone."""
    key = uuid.uuid4().hex
    assert durable.http.post(f"{API}/entities/Counter/{key}?op=add", json=3).status_code == 202
    path = f"{API}/entities/counter/{key}"
    eventually(lambda: durable.http.get(path).status_code == 200, "the entity is there")
    assert durable.http.get(path).json() == 3
    listed = durable.http.get(f"{API}/entities/counter", params={"fetchState": "true"}).json()
    assert {"name": "counter", "key": key} in [entity["entityId"] for entity in listed]
    durable.http.post(f"{API}/entities/counter/{key}?op=forget")
    eventually(lambda: durable.http.get(path).status_code == 404, "the entity is gone")


def test_a_lock_keeps_others_out(durable: Host) -> None:
    """Of ten orchestrations that each add twice under a lock, none sees another's addition in between."""
    key = uuid.uuid4().hex
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda _: ended(durable, "adds", key)["output"], range(10)))
    assert found == [1] * 10
    assert durable.http.get(f"{API}/entities/counter/{key}").json() == 20


@pytest.mark.parametrize("size", [10, 6_000_000])
def test_payloads_of_several_megabytes_pass(durable: Host, size: int) -> None:
    """Through the client, an event and the output."""
    instance_id = start(durable, "waits", "x" * size)
    durable.http.post(f"{API}/instances/{instance_id}/raiseEvent/go", json="y" * size)
    found = until(durable, instance_id, "Completed")
    assert (len(found["input"]), len(found["output"])) == (size, size)


def test_termination_does_not_reach_children_unless_asked(durable: Host) -> None:
    """The management API ends the parent alone."""
    parent = start(durable, "parent_waits")
    _until_there(durable, f"{parent}-child")
    change(durable, parent, "terminate")
    until(durable, parent, "Terminated")
    assert until(durable, f"{parent}-child", "Running", "Pending")
    change(durable, f"{parent}-child", "terminate")


def test_a_restart_keeps_nothing(tmp_path: Path) -> None:
    """Instances and entities of a host that ended are unknown to the next, and their ids are free."""
    own = uuid.uuid4().hex
    with running(APPS / "durable", tmp_path / "host.log") as host:
        start(host, "waits", id=own)
        until(host, own, "Running")
        host.http.post(f"{API}/entities/counter/{own}?op=add", json=1)
        eventually(lambda: host.http.get(f"{API}/entities/counter/{own}").status_code == 200, "the entity is there")
        host.process.kill()
        host.process.wait()
    with running(APPS / "durable", tmp_path / "host.log") as host:
        assert host.http.get(f"{API}/instances/{own}").status_code == 404
        assert host.http.get(f"{API}/entities/counter/{own}").status_code == 404
        assert ended(host, "family", "child", id=own)["runtimeStatus"] == "Completed"


def _until_there(host: Host, instance_id: str) -> None:
    path = f"{API}/instances/{instance_id}"
    eventually(lambda: host.http.get(path).status_code != 404, f"{instance_id} is there")
