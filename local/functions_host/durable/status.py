"""Instances and their history as JSON, in the shape of Microsoft's HTTP API."""

import json
from collections.abc import Iterable
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

NAMES = {
    pb.ORCHESTRATION_STATUS_RUNNING: "Running",
    pb.ORCHESTRATION_STATUS_COMPLETED: "Completed",
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "ContinuedAsNew",
    pb.ORCHESTRATION_STATUS_FAILED: "Failed",
    pb.ORCHESTRATION_STATUS_CANCELED: "Canceled",
    pb.ORCHESTRATION_STATUS_TERMINATED: "Terminated",
    pb.ORCHESTRATION_STATUS_PENDING: "Pending",
    pb.ORCHESTRATION_STATUS_SUSPENDED: "Suspended",
}
VALUES = {name.lower(): value for value, name in NAMES.items()}


def describe(state: pb.OrchestrationState, show_input: bool = True) -> dict[str, Any]:
    """Return an instance's status."""
    failed = state.failureDetails.errorMessage if state.HasField("failureDetails") else None
    output = parsed(state.output.value) if state.output.value else failed
    return {
        "name": state.name,
        "instanceId": state.instanceId,
        "runtimeStatus": NAMES[state.orchestrationStatus],
        "input": parsed(state.input.value) if show_input else None,
        "customStatus": parsed(state.customStatus.value),
        "output": output,
        "createdTime": iso(state.createdTimestamp),
        "lastUpdatedTime": iso(state.lastUpdatedTimestamp),
    }


def parsed(text: str) -> Any:
    """Return the value of a JSON text; the text itself when it is none."""
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def iso(moment: Timestamp) -> str:
    """Return a time as the API writes it."""
    return f"{moment.ToDatetime():%Y-%m-%dT%H:%M:%SZ}"


def describe_history(events: Iterable[pb.HistoryEvent], show_output: bool) -> list[dict[str, Any]]:
    """Return what happened to an instance: starts, results and failures, without the scheduling between them."""
    scheduled: dict[int, tuple[str, Timestamp]] = {}
    shown: list[dict[str, Any]] = []
    for event in events:
        kind = event.WhichOneof("eventType") or ""
        if kind in ("taskScheduled", "subOrchestrationInstanceCreated"):
            scheduled[event.eventId] = (getattr(event, kind).name, event.timestamp)
            continue
        if kind in ("orchestratorStarted", "orchestratorCompleted", "timerCreated"):
            continue
        entry: dict[str, Any] = {"EventType": kind[:1].upper() + kind[1:], "Timestamp": iso(event.timestamp)}
        entry |= _details(event, kind, scheduled, show_output)
        shown.append(entry)
    return shown


def _details(
    event: pb.HistoryEvent, kind: str, scheduled: dict[int, tuple[str, Timestamp]], show_output: bool
) -> dict[str, Any]:
    body = getattr(event, kind)
    found: dict[str, Any] = {}
    if kind == "executionStarted":
        found["FunctionName"] = body.name
    if kind == "executionCompleted":
        found["OrchestrationStatus"] = NAMES[body.orchestrationStatus]
    if kind == "timerFired":
        found["FireAt"] = iso(body.fireAt)
    if kind in ("eventRaised", "eventSent"):
        found["Name"] = body.name
        if show_output:
            found["Input"] = parsed(body.input.value)
    begun = scheduled.get(getattr(body, "taskScheduledId", 0)) if hasattr(body, "taskScheduledId") else None
    if begun is not None:
        found |= {"FunctionName": begun[0], "ScheduledTime": iso(begun[1])}
    if hasattr(body, "failureDetails") and body.HasField("failureDetails"):
        found["Reason"] = body.failureDetails.errorMessage
        found["Details"] = body.failureDetails.stackTrace.value
    if show_output and hasattr(body, "result"):
        found["Result"] = parsed(body.result.value)
    return found
