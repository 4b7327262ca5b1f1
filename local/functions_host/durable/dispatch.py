"""Runs the backend's work items as function invocations, within the limits of host.json."""

import asyncio
import base64
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.internal import helpers

from local.functions_host.config import DurableConfig
from local.functions_host.durable.backend import DurableBackend
from local.functions_host.durable.events import execution_started, failure, text
from local.functions_host.durable.executions import Activity
from local.functions_host.durable.grpc_context import IN_PROCESS
from local.functions_host.invoker import Invoker
from local.functions_host.model import Function
from local.functions_host.protos import TraceContext, TypedData
from local.functions_host.worker import Call, FunctionFailed

logger = logging.getLogger(__name__)


class Dispatcher:
    """Takes work from the backend whenever there is some and a slot is free."""

    def __init__(
        self, backend: DurableBackend, invoker: Invoker, functions: Iterable[Function], config: DurableConfig
    ) -> None:
        self._backend = backend
        self._invoker = invoker
        self._config = config
        self._functions = {
            kind: {name_of(function).lower(): function for function in functions if function.trigger.type == kind}
            for kind in ("orchestrationTrigger", "activityTrigger", "entityTrigger")
        }
        self._running = dict.fromkeys(self._functions, 0)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin; must be called on the host's event loop."""
        loop = asyncio.get_running_loop()
        waiting = False

        def drain() -> None:
            nonlocal waiting
            waiting = False
            self._drain()

        def wake() -> None:
            nonlocal waiting
            if not waiting:
                waiting = True
                loop.call_soon_threadsafe(drain)

        self._backend.on_work = wake
        wake()

    async def stop(self) -> None:
        """Cancel what is running."""
        self._backend.on_work = lambda: None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _drain(self) -> None:
        while self._running["orchestrationTrigger"] < self._config.max_orchestrators:
            turn = self._backend.take_orchestration()
            if turn is None:
                break
            self._begin("orchestrationTrigger", self._orchestrate(turn))
        while self._running["activityTrigger"] < self._config.max_activities:
            work = self._backend.take_activity()
            if work is None:
                break
            self._begin("activityTrigger", self._act(work))
        while self._running["entityTrigger"] < self._config.max_entities:
            batch = self._backend.take_entity()
            if batch is None:
                break
            self._begin("entityTrigger", self._operate(batch))

    def _begin(self, kind: str, work: Coroutine[Any, Any, None]) -> None:
        self._running[kind] += 1
        task = asyncio.create_task(work)
        self._tasks.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            self._running[kind] -= 1
            if not done.cancelled() and done.exception() is not None:
                logger.error("durable work was lost in the host", exc_info=done.exception())
            if not done.cancelled():
                self._drain()

        task.add_done_callback(ended)

    async def _orchestrate(self, item: pb.WorkItem) -> None:
        request = item.orchestratorRequest
        started = execution_started([*request.pastEvents, *request.newEvents])
        name = started.name if started is not None else ""
        response = pb.OrchestratorResponse(instanceId=request.instanceId)
        function = self._functions["orchestrationTrigger"].get(name.lower())
        try:
            if function is None:
                raise FunctionFailed(name, f"InvalidOperationException: the orchestrator {name!r} does not exist", "")
            trace = started.parentTraceContext if started is not None else None
            given = await asyncio.to_thread(lambda: base64.b64encode(request.SerializeToString()).decode())
            result = await self._invoker.call(function, TypedData(string=given), Call({}, trace=trace_of(trace)))
            response.ParseFromString(base64.b64decode(str(result.value.value() if result.value else "")))
        except FunctionFailed as failed:
            action = helpers.new_complete_orchestration_action(
                -1, pb.ORCHESTRATION_STATUS_FAILED, "", details_of(failed)
            )
            response.actions.append(action)
        response.completionToken = item.completionToken
        self._backend.complete_orchestration(response)

    async def _act(self, work: Activity) -> None:
        function = self._functions["activityTrigger"].get(work.name.lower())
        if function is None:
            message = f"The function '{work.name}' doesn't exist, is disabled, or is not an activity function."
            self._backend.complete_activity(work, None, failure("InvalidOperationException", message, retriable=False))
            return
        trigger = TypedData(json=work.input if work.input is not None else "null")
        metadata = {"instanceId": TypedData(json=f'"{work.instance_id}"')}
        try:
            result = await self._invoker.call(function, trigger, Call({}, metadata, trace=trace_of(work.trace)))
        except FunctionFailed as failed:
            self._backend.complete_activity(work, None, details_of(failed))
            return
        value = result.value.value() if result.value else None
        self._backend.complete_activity(work, None if value is None else str(value), None)

    async def _operate(self, item: pb.WorkItem) -> None:
        batch, infos = helpers.convert_to_entity_batch_request(item.entityRequestV2)
        name = batch.instanceId.removeprefix("@").partition("@")[0]
        function = self._functions["entityTrigger"].get(name.lower())
        outcome = pb.EntityBatchResult()
        try:
            if function is None:
                raise FunctionFailed(name, f"EntityNotFoundException: the entity {name!r} does not exist", "")
            given = base64.b64encode(batch.SerializeToString()).decode()
            result = await self._invoker.call(function, TypedData(string=given))
            outcome.ParseFromString(base64.b64decode(str(result.value.value() if result.value else "")))
        except FunctionFailed as failed:
            outcome = _all_failed(batch, details_of(failed))
        outcome.completionToken = item.completionToken
        del outcome.operationInfos[:]
        outcome.operationInfos.extend(infos)
        self._backend.CompleteEntityTask(outcome, IN_PROCESS)


def name_of(function: Function) -> str:
    """Return the name under which orchestrations call a function."""
    for key in ("orchestration", "activity", "entityName", "entity_name"):
        name = function.trigger.text(key)
        if name:
            return name
    return function.name


def details_of(failed: FunctionFailed) -> pb.TaskFailureDetails:
    """Return what a function raised as failure details: `ValueError: no` is type and message."""
    kind, separator, message = str(failed).partition(": ")
    if not separator or " " in kind:
        kind, message = "Exception", str(failed)
    return failure(kind, message, failed.trace)


def trace_of(context: pb.TraceContext | None) -> TraceContext:
    """Return a trace context as the worker takes it."""
    if context is None:
        return TraceContext()
    return TraceContext(context.traceParent, context.traceState.value)


def _all_failed(batch: pb.EntityBatchRequest, details: pb.TaskFailureDetails) -> pb.EntityBatchResult:
    result = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=details))
    state = text(batch.entityState.value) if batch.HasField("entityState") else None
    return pb.EntityBatchResult(results=[result] * len(batch.operations), entityState=state)
