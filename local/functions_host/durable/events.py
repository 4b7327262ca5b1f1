"""History events as the backend adds them, each with the time at which it happened."""

from collections.abc import Iterable
from datetime import UTC, datetime

import durabletask.internal.orchestrator_service_pb2 as pb
from google.protobuf import wrappers_pb2
from google.protobuf.timestamp_pb2 import Timestamp

# What answers an action of one execution; the execution that follows it by continue-as-new must not see it.
ANSWERS = frozenset(
    {
        "taskCompleted",
        "taskFailed",
        "timerFired",
        "subOrchestrationInstanceCompleted",
        "subOrchestrationInstanceFailed",
        "entityOperationCompleted",
        "entityOperationFailed",
        "entityLockGranted",
    }
)


def now() -> Timestamp:
    """Return the current time."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> Timestamp:
    """Return a moment as protobuf has it."""
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def moment(value: Timestamp) -> datetime:
    """Return a protobuf time in UTC."""
    return value.ToDatetime(tzinfo=UTC)


def text(value: str | None) -> wrappers_pb2.StringValue | None:
    """Return an optional text as protobuf has it."""
    return None if value is None else wrappers_pb2.StringValue(value=value)


def answers(event: pb.HistoryEvent) -> bool:
    """Tell whether an event answers an action of the current execution."""
    return event.WhichOneof("eventType") in ANSWERS


def date(events: Iterable[pb.HistoryEvent]) -> None:
    """Give the current time to events that have none."""
    current = now()
    for event in events:
        if not event.timestamp.seconds:
            event.timestamp.CopyFrom(current)


def execution_started(events: Iterable[pb.HistoryEvent]) -> pb.ExecutionStartedEvent | None:
    """Return the last start among events."""
    found = [event.executionStarted for event in events if event.HasField("executionStarted")]
    return found[-1] if found else None


def failure(kind: str, message: str, trace: str = "", retriable: bool = True) -> pb.TaskFailureDetails:
    """Return failure details. The message is never empty: the backend takes an empty one for success."""
    return pb.TaskFailureDetails(
        errorType=kind, errorMessage=message or kind, stackTrace=text(trace), isNonRetriable=not retriable
    )
