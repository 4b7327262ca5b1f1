"""Entity messages in an instance's history, in the form in which Azure's storage keeps them.

There an orchestration's message to an entity is an event that it sent, and the answer an event raised for it, each with
a JSON envelope. Programs that read histories look for these.
"""

import json
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb

from local.functions_host.durable.events import text


def as_stored(event: pb.HistoryEvent) -> pb.HistoryEvent:
    """Return an event as Azure's history shows it; other than entity messages are as they were."""
    kind = event.WhichOneof("eventType") or ""
    body: Any = getattr(event, kind, None)
    match kind:
        case "entityOperationCalled":
            envelope = {"parent": body.parentInstanceId.value, "signal": False, **_operation(body)}
            return _sent(event, body.targetInstanceId.value, envelope)
        case "entityOperationSignaled":
            return _sent(event, body.targetInstanceId.value, {"signal": True, **_operation(body)})
        case "entityLockRequested":
            envelope = {"id": body.criticalSectionId, "lockset": list(body.lockSet), "pos": body.position}
            return _sent(event, body.lockSet[0] if body.lockSet else "", envelope)
        case "entityUnlockSent":
            return _sent(event, body.targetInstanceId.value, {"id": body.criticalSectionId}, "release")
        case "entityOperationCompleted":
            return _raised(event, body.requestId, {"result": body.output.value or None})
        case "entityOperationFailed":
            details = body.failureDetails
            return _raised(event, body.requestId, {"result": details.errorMessage, "exceptionType": details.errorType})
        case "entityLockGranted":
            return _raised(event, body.criticalSectionId, {"result": "Lock Acquisition Completed"})
    return event


def _operation(body: Any) -> dict[str, Any]:
    given = body.input.value if body.HasField("input") else None
    return {"id": body.requestId, "op": body.operation, "input": given}


def _sent(event: pb.HistoryEvent, target: str, envelope: dict[str, Any], name: str = "op") -> pb.HistoryEvent:
    sent = pb.EventSentEvent(instanceId=target, name=name, input=text(json.dumps(envelope)))
    return pb.HistoryEvent(eventId=event.eventId, timestamp=event.timestamp, eventSent=sent)


def _raised(event: pb.HistoryEvent, name: str, envelope: dict[str, Any]) -> pb.HistoryEvent:
    raised = pb.EventRaisedEvent(name=name, input=text(json.dumps(envelope)))
    return pb.HistoryEvent(eventId=event.eventId, timestamp=event.timestamp, eventRaised=raised)
