"""The executions of orchestrations: Microsoft's in-memory backend, with what a function app needs beyond its tests.

What differs from the base class, and why:
- an instance has executions (it is continued as new, restarted, replaced): late answers to an earlier one are dropped;
- timers and waiting for sub-orchestrations take no thread, and a sub-orchestration may run for as long as it likes;
- a sub-orchestration knows its parent, and a parent gets its child's failure as it was;
- suspended instances rest, and termination may include children;
- every history event has its time.
"""

import itertools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask.internal import helpers
from durabletask.testing.in_memory_backend import ActivityWorkItem, OrchestrationInstance

from local.functions_host.durable.clock import Clock
from local.functions_host.durable.entity_locks import EntityBackend
from local.functions_host.durable.events import answers, date, execution_started, failure, moment, now, stamp

MAX_HISTORY = 10_000_000  # the base class would end an instance at 10,000 events


@dataclass(frozen=True, slots=True)
class Parent:
    """Who waits for a sub-orchestration, and as which task of which execution."""

    instance_id: str
    execution: int
    task_id: int
    name: str


@dataclass
class Activity(ActivityWorkItem):
    """An activity to run, and the execution that asked for it."""

    execution: int = 0
    trace: pb.TraceContext | None = None


class ExecutionBackend(EntityBackend):
    """Instances and their executions."""

    def __init__(self, clock: Clock, orchestrators: frozenset[str], version: str | None) -> None:
        super().__init__(clock, MAX_HISTORY)
        self._orchestrators = orchestrators  # names in lower case
        self._version = version
        self._counter = itertools.count(1)
        self._executions: dict[str, int] = {}
        self._parents: dict[str, Parent] = {}
        self._scheduled: dict[str, datetime] = {}  # instances that wait for their start
        self.on_work: Callable[[], None] = lambda: None

    def CompleteOrchestratorTask(
        self, request: pb.OrchestratorResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        """Commit a turn: its history, its actions, and what follows when the instance has ended."""
        with self._lock:
            before = self._instances.get(request.instanceId)
            known = len(before.history) if before is not None else 0
            response = super().CompleteOrchestratorTask(request, context)
            instance = self._instances.get(request.instanceId)
            if instance is None:
                return response
            if instance is not before:  # replaced while its last turn ran
                known = 0
            date(instance.history[known:] if len(instance.history) >= known else instance.history)
            if self._is_terminal_status(instance.status):
                self._ended(instance)
            elif instance.status == pb.ORCHESTRATION_STATUS_PENDING and self._continued(request):
                instance.status = pb.ORCHESTRATION_STATUS_RUNNING
            if instance.pending_events and request.instanceId not in self._orchestration_in_flight:
                self._enqueue_orchestration(request.instanceId)
        return response

    # ---- what the base class calls ---------------------------------------------------------------------------------

    def _enqueue_orchestration(self, instance_id: str) -> None:
        instance = self._instances.get(instance_id)
        if instance is None or not self._may_run_now(instance):
            return
        super()._enqueue_orchestration(instance_id)
        self.on_work()

    def _enqueue_entity(self, entity_id: str) -> None:
        super()._enqueue_entity(entity_id)
        self.on_work()

    def _create_instance_internal(
        self, instance_id: str, name: str, encoded_input: str | None = None, version: str | None = None
    ) -> None:
        super()._create_instance_internal(instance_id, name, encoded_input, version or self._version)
        self._begin(self._instances[instance_id], None, None)

    def _terminate_instance_internal(self, instance_id: str, output: str | None, recursive: bool = False) -> None:
        if recursive:
            for child in self._children(instance_id):
                self._terminate_instance_internal(child, output, recursive=True)
        self._scheduled.pop(instance_id, None)
        super()._terminate_instance_internal(instance_id, output, recursive=False)

    def _process_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        if action.HasField("terminateOrchestration"):
            wanted = action.terminateOrchestration
            self._terminate_instance_internal(wanted.instanceId, wanted.reason.value, wanted.recurse)
            return
        super()._process_action(instance, action)
        if action.HasField("sendEntityMessage") and action.sendEntityMessage.HasField("entityUnlockSent"):
            unlock = action.sendEntityMessage.entityUnlockSent
            self._unlocked(unlock.criticalSectionId, [unlock.targetInstanceId.value])

    def _process_complete_orchestration_action(
        self, instance: OrchestrationInstance, complete_action: pb.CompleteOrchestrationAction
    ) -> None:
        if complete_action.orchestrationStatus != pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            super()._process_complete_orchestration_action(instance, complete_action)
            return
        previous = execution_started(instance.history)
        instance.pending_events = [event for event in instance.pending_events if not answers(event)]
        super()._process_complete_orchestration_action(instance, complete_action)
        self._begin(instance, previous, None)

    def _process_schedule_task_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        asked = action.scheduleTask
        event = helpers.new_task_scheduled_event(
            action.id, asked.name, asked.input.value if asked.HasField("input") else None
        )
        instance.history.append(event)
        trace = asked.parentTraceContext if asked.HasField("parentTraceContext") else None
        if trace is None:
            started = execution_started(instance.history)
            trace = started.parentTraceContext if started and started.HasField("parentTraceContext") else None
        self._activity_queue.append(
            Activity(
                instance_id=instance.instance_id,
                name=asked.name,
                task_id=action.id,
                input=asked.input.value if asked.HasField("input") else None,
                completion_token=0,
                version=asked.version.value if asked.HasField("version") else None,
                execution=self._executions[instance.instance_id],
                trace=trace,
            )
        )
        self.on_work()

    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        fire_at = moment(action.createTimer.fireAt)
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        name, execution = instance.instance_id, self._executions[instance.instance_id]
        event = pb.HistoryEvent(eventId=-1, timerFired=pb.TimerFiredEvent(fireAt=stamp(fire_at), timerId=action.id))
        self.clock.at(fire_at, lambda: self._answer(name, execution, event))

    def _process_create_sub_orchestration_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        asked = action.createSubOrchestration
        child = asked.instanceId or uuid.uuid4().hex
        given = asked.input.value if asked.HasField("input") else None
        version = asked.version.value if asked.HasField("version") else None
        instance.history.append(
            helpers.new_sub_orchestration_created_event(action.id, asked.name, child, given, version=version)
        )
        execution = self._executions[instance.instance_id]
        problem = self._child_problem(asked.name, child)
        if problem is not None:
            self._answer(instance.instance_id, execution, _sub_failed(action.id, problem))
            return
        # The parent is known before the child begins: the child's first event names it.
        self._parents[child] = Parent(instance.instance_id, execution, action.id, instance.name)
        self._scheduled.pop(child, None)
        self._create_instance_internal(child, asked.name, given, version=version)
        if asked.tags:
            self._instances[child].tags = dict(asked.tags)

    def _watch_sub_orchestration(self, parent_instance_id: str, sub_instance_id: str, task_id: int) -> None:
        """Have a child report to its parent. The base class calls this for children of rewound instances."""
        parent = self._instances[parent_instance_id]
        link = Parent(parent_instance_id, self._executions[parent_instance_id], task_id, parent.name)
        self._parents[sub_instance_id] = link
        child = self._instances.get(sub_instance_id)
        if child is not None and self._is_terminal_status(child.status):
            self._report(child, link)

    def _build_instance_response(
        self, instance: OrchestrationInstance, include_payloads: bool
    ) -> pb.GetInstanceResponse:
        response = super()._build_instance_response(instance, include_payloads)
        self._complete_state(response.orchestrationState)
        return response

    # ---- helpers ---------------------------------------------------------------------------------------------------

    def _begin(
        self, instance: OrchestrationInstance, previous: pb.ExecutionStartedEvent | None, trace: pb.TraceContext | None
    ) -> None:
        """Make what is pending the first turn of a new execution."""
        name = instance.instance_id
        self._executions[name] = next(self._counter)
        started = execution_started(instance.pending_events)
        if started is None:
            return
        started.orchestrationInstance.executionId.value = uuid.uuid4().hex
        link = self._parents.get(name)
        if link is not None:
            started.parentInstance.taskScheduledId = link.task_id
            started.parentInstance.name.value = link.name
            started.parentInstance.orchestrationInstance.instanceId = link.instance_id
            above = self._instances.get(link.instance_id)
            inherited = execution_started([*above.history, *above.dispatched_events]) if above is not None else None
            if trace is None and inherited is not None and inherited.HasField("parentTraceContext"):
                trace = inherited.parentTraceContext
        if previous is not None:
            if trace is None and previous.HasField("parentTraceContext"):
                trace = previous.parentTraceContext
            for tag, value in previous.tags.items():
                started.tags[tag] = value
        if trace is not None:
            started.parentTraceContext.CopyFrom(trace)

    def _start_at(self, name: str, starts: datetime) -> None:
        execution = self._executions[name]

        def begin() -> None:
            with self._lock:
                if self._executions.get(name) == execution and self._scheduled.pop(name, None) is not None:
                    self._enqueue_orchestration(name)

        self.clock.at(starts, begin)

    def _may_run_now(self, instance: OrchestrationInstance) -> bool:
        if instance.instance_id in self._scheduled:
            return False
        if instance.status != pb.ORCHESTRATION_STATUS_SUSPENDED:
            return True
        return any(
            event.HasField("executionResumed") or event.HasField("executionTerminated")
            for event in instance.pending_events
        )

    def _answer(self, name: str, execution: int, event: pb.HistoryEvent) -> None:
        """Add an event to the execution that waits for it; when that has passed, it is not wanted any more."""
        with self._lock:
            instance = self._instances.get(name)
            if instance is None or self._executions.get(name) != execution:
                return
            if self._is_terminal_status(instance.status):
                return
            date([event])
            instance.pending_events.append(event)
            instance.last_updated_at = datetime.now(UTC)
            self._enqueue_orchestration(name)

    def _ended(self, instance: OrchestrationInstance) -> None:
        self.release_locks(instance.instance_id)
        link = self._parents.get(instance.instance_id)
        if link is not None:
            self._report(instance, link)

    def _report(self, child: OrchestrationInstance, link: Parent) -> None:
        if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
            event = helpers.new_sub_orchestration_completed_event(link.task_id, child.output)
        else:
            details = child.failure_details or failure(
                "OrchestrationTerminated",
                f"Sub-orchestration '{child.instance_id}' was terminated: {child.output or ''}",
            )
            event = _sub_failed(link.task_id, details)
        self._answer(link.instance_id, link.execution, event)

    def _child_problem(self, name: str, child: str) -> pb.TaskFailureDetails | None:
        if name.lower() not in self._orchestrators:
            message = f"The function '{name}' doesn't exist, is disabled, or is not an orchestrator function."
            return failure("InvalidOperationException", message, retriable=False)
        existing = self._instances.get(child)
        if existing is not None and not self._is_terminal_status(existing.status):
            return failure("InvalidOperationException", f"Orchestration instance '{child}' already exists")
        return None

    def _continued(self, response: pb.OrchestratorResponse) -> bool:
        return any(
            action.completeOrchestration.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW
            for action in response.actions
            if action.HasField("completeOrchestration")
        )

    def _children(self, name: str) -> list[str]:
        return [child for child, link in self._parents.items() if link.instance_id == name and child in self._instances]

    def _forget(self, name: str) -> None:
        for kept in (self._executions, self._parents, self._scheduled):
            kept.pop(name, None)

    def _complete_state(self, state: pb.OrchestrationState) -> None:
        """Add what the base class leaves out of an instance's state."""
        instance = self._instances.get(state.instanceId)
        if instance is None:
            return
        if instance.completed_at is not None:
            state.completedTimestamp.CopyFrom(stamp(instance.completed_at))
        if instance.version:
            state.version.value = instance.version
        if instance.instance_id in self._scheduled:
            state.scheduledStartTimestamp.CopyFrom(stamp(self._scheduled[instance.instance_id]))
        link = self._parents.get(instance.instance_id)
        if link is not None:
            state.parentInstanceId.value = link.instance_id
        tags: Mapping[str, str] = instance.tags or {}
        for tag, value in tags.items():
            state.tags[tag] = value


def _sub_failed(task_id: int, details: pb.TaskFailureDetails) -> pb.HistoryEvent:
    return pb.HistoryEvent(
        eventId=-1,
        timestamp=now(),
        subOrchestrationInstanceFailed=pb.SubOrchestrationInstanceFailedEvent(
            taskScheduledId=task_id, failureDetails=details
        ),
    )
