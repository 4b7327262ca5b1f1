"""A task hub: the gRPC service for the app's durable clients, and the work for the dispatcher.

Beyond the base classes: starts may lie in the future; an id is free again once its instance has ended, as in Azure;
purging frees everything and takes entities and children; messages may be large; history looks as Azure's does.
"""

import uuid
from collections.abc import Iterator
from concurrent import futures
from datetime import UTC, datetime

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from google.protobuf import wrappers_pb2

from local.functions_host.durable.clock import Clock
from local.functions_host.durable.entity_history import as_stored
from local.functions_host.durable.events import date, moment, now, text
from local.functions_host.durable.executions import Activity, ExecutionBackend
from local.functions_host.durable.grpc_context import IN_PROCESS
from local.functions_host.durable.status import NAMES

MESSAGE_BYTES = 2**31 - 1
SERVER_THREADS = 64  # a client that waits for an instance holds one
ENDED = (
    pb.ORCHESTRATION_STATUS_COMPLETED,
    pb.ORCHESTRATION_STATUS_FAILED,
    pb.ORCHESTRATION_STATUS_TERMINATED,
    pb.ORCHESTRATION_STATUS_CANCELED,
)


class DurableBackend(ExecutionBackend):
    """All state of a task hub."""

    def __init__(self, clock: Clock, orchestrators: frozenset[str], reuse_any_state: bool, version: str | None) -> None:
        super().__init__(clock, orchestrators, version)
        self._reusable = list(NAMES) if reuse_any_state else list(ENDED)

    # ---- the gRPC service ------------------------------------------------------------------------------------------

    def start(self) -> str:
        """Serve on a free port of the loopback interface; returns the address."""
        options = [
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ]
        threads = futures.ThreadPoolExecutor(max_workers=SERVER_THREADS, thread_name_prefix="durable")
        server = grpc.server(threads, options=options)
        stubs.add_TaskHubSidecarServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]
        self._port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self._server = server
        return f"127.0.0.1:{self._port}"

    def StartInstance(
        self, request: pb.CreateInstanceRequest, context: grpc.ServicerContext
    ) -> pb.CreateInstanceResponse:
        """Create an instance, now or in the future."""
        if request.name.lower() not in self._orchestrators:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"The function '{request.name}' doesn't exist, is disabled, or is not an orchestrator function.",
            )
        wanted = pb.CreateInstanceRequest()
        wanted.CopyFrom(request)
        wanted.instanceId = request.instanceId or uuid.uuid4().hex
        if not wanted.orchestrationIdReusePolicy.replaceableStatus:
            wanted.orchestrationIdReusePolicy.replaceableStatus.extend(self._reusable)
        if self._version and not wanted.HasField("version"):
            wanted.version.value = self._version
        starts = moment(request.scheduledStartTimestamp) if request.HasField("scheduledStartTimestamp") else None
        with self._lock:
            existing = self._instances.get(wanted.instanceId)
            replaced = existing is None or existing.status in wanted.orchestrationIdReusePolicy.replaceableStatus
            delayed = starts is not None and starts > datetime.now(UTC)
            if replaced:
                self._forget(wanted.instanceId)
            if replaced and delayed and starts is not None:
                self._scheduled[wanted.instanceId] = starts
            response = super().StartInstance(wanted, context)
            trace = request.parentTraceContext if request.HasField("parentTraceContext") else None
            self._begin(self._instances[wanted.instanceId], None, trace)
            if delayed and starts is not None:
                self._start_at(wanted.instanceId, starts)
        return response

    def TerminateInstance(self, request: pb.TerminateRequest, context: grpc.ServicerContext) -> pb.TerminateResponse:
        """End an instance, and its children when that is asked for."""
        with self._lock:
            if request.instanceId not in self._instances:
                context.abort(grpc.StatusCode.NOT_FOUND, f"Orchestration instance '{request.instanceId}' not found")
            output = request.output.value if request.HasField("output") else None
            self._terminate_instance_internal(request.instanceId, output, request.recursive)
        return pb.TerminateResponse()

    def PurgeInstances(
        self, request: pb.PurgeInstancesRequest, context: grpc.ServicerContext
    ) -> pb.PurgeInstancesResponse:
        """Forget ended instances, one, several or by filter; and entities by their id."""
        with self._lock:
            names = [request.instanceId] if request.instanceId else list(request.instanceBatch.instanceIds)
            if not names:
                before = set(self._instances)
                response = super().PurgeInstances(request, context)
                for name in before - set(self._instances):
                    self._forget(name)
                return response
            count = sum(self._purge(name, request.recursive) for name in names)
        return pb.PurgeInstancesResponse(deletedInstanceCount=count, isComplete=wrappers_pb2.BoolValue(value=True))

    def RestartInstance(
        self, request: pb.RestartInstanceRequest, context: grpc.ServicerContext
    ) -> pb.RestartInstanceResponse:
        """Run an ended instance again, under its own id or a new one. It is nobody's child any more."""
        with self._lock:
            instance = self._instances.get(request.instanceId)
            if instance is not None and self._is_terminal_status(instance.status):
                self._parents.pop(request.instanceId, None)
            return super().RestartInstance(request, context)

    def QueryInstances(
        self, request: pb.QueryInstancesRequest, context: grpc.ServicerContext
    ) -> pb.QueryInstancesResponse:
        """List instances."""
        response = super().QueryInstances(request, context)
        with self._lock:
            for state in response.orchestrationState:
                self._complete_state(state)
        return response

    def StreamInstanceHistory(
        self, request: pb.StreamInstanceHistoryRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.HistoryChunk]:
        """Return an instance's history as Azure shows it."""
        for chunk in super().StreamInstanceHistory(request, context):
            yield pb.HistoryChunk(events=[as_stored(event) for event in chunk.events])

    # ---- work for the dispatcher -----------------------------------------------------------------------------------

    def take_orchestration(self) -> pb.WorkItem | None:
        """Return the next turn of an instance, or None. The instance has no other turn until that one is completed."""
        with self._lock:
            while self._orchestration_queue:
                name = self._orchestration_queue.popleft()
                self._orchestration_queue_set.discard(name)
                instance = self._instances.get(name)
                if instance is None or name in self._orchestration_in_flight or not instance.pending_events:
                    continue
                if self._is_terminal_status(instance.status):
                    instance.pending_events.clear()
                    continue
                if instance.history and not instance.pending_events[0].HasField("orchestratorStarted"):
                    instance.pending_events.insert(0, helpers.new_orchestrator_started_event(datetime.now(UTC)))
                date(instance.pending_events)
                instance.dispatched_events = list(instance.pending_events)
                instance.pending_events.clear()
                self._orchestration_in_flight.add(name)
                request = pb.OrchestratorRequest(
                    instanceId=name, pastEvents=instance.history, newEvents=instance.dispatched_events
                )
                return pb.WorkItem(completionToken=str(instance.completion_token), orchestratorRequest=request)
        return None

    def take_activity(self) -> Activity | None:
        """Return the next activity to run, or None."""
        with self._lock:
            while self._activity_queue:
                work = self._activity_queue.popleft()
                if isinstance(work, Activity) and self._executions.get(work.instance_id) == work.execution:
                    return work
        return None

    def complete_orchestration(self, response: pb.OrchestratorResponse) -> None:
        """Commit a turn."""
        self.CompleteOrchestratorTask(response, IN_PROCESS)

    def complete_activity(self, work: Activity, result: str | None, failed: pb.TaskFailureDetails | None) -> None:
        """Pass an activity's result or failure to the instance that asked for it."""
        if failed is not None:
            event = pb.HistoryEvent(
                eventId=-1,
                timestamp=now(),
                taskFailed=pb.TaskFailedEvent(taskScheduledId=work.task_id, failureDetails=failed),
            )
        else:
            event = pb.HistoryEvent(
                eventId=-1,
                timestamp=now(),
                taskCompleted=pb.TaskCompletedEvent(taskScheduledId=work.task_id, result=text(result)),
            )
        self._answer(work.instance_id, work.execution, event)

    # ---- helpers ---------------------------------------------------------------------------------------------------

    def _purge(self, name: str, recursive: bool) -> int:
        """Forget an ended instance or an entity; returns how many were forgotten."""
        if name.startswith("@") and name in self._entities:
            del self._entities[name]
            return 1
        instance = self._instances.get(name)
        if instance is None or not self._is_terminal_status(instance.status):
            return 0
        count = 1
        if recursive:
            count += sum(self._purge(child, recursive=True) for child in self._children(name))
        del self._instances[name]
        self._state_waiters.pop(name, None)
        self._forget(name)
        return count
