"""Calls of functions as every trigger makes them: input bindings added, outputs written, retries, one log line each."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from azure.core.exceptions import AzureError

from local.functions_host.model import Binding, Function, HostError
from local.functions_host.protos import RetryContext, RpcException, TraceContext, TypedData
from local.functions_host.telemetry import Telemetry
from local.functions_host.worker import Call, FunctionFailed, Result, Worker

logger = logging.getLogger(__name__)

type InputSource = Callable[[Binding, Mapping[str, TypedData]], Awaitable[TypedData]]
type OutputSink = Callable[[Binding, TypedData, Mapping[str, TypedData]], Awaitable[None]]


class Invoker:
    """Invokes the app's functions with what their bindings need, each for at most `limit` seconds (None: no limit)."""

    def __init__(self, worker: Worker, telemetry: Telemetry, limit: float | None = None) -> None:
        self._worker = worker
        self._limit = limit
        self._telemetry = telemetry
        self._inputs: dict[str, InputSource] = {}
        self._outputs: dict[str, OutputSink] = {}

    def provide(self, binding_type: str, source: InputSource) -> None:
        """Register where input bindings of a type get their values."""
        self._inputs[binding_type] = source

    def accept(self, binding_type: str, sink: OutputSink) -> None:
        """Register where output bindings of a type put their values."""
        self._outputs[binding_type] = sink

    async def call(self, function: Function, trigger: TypedData, call: Call | None = None) -> Result:
        """Invoke a function until its retry policy is exhausted. Raises FunctionFailed."""
        base = call or Call({})
        # As in Azure, HTTP functions are not retried: their caller does that.
        policy = function.retry if function.trigger.type != "httpTrigger" else None
        tried = 0
        while True:
            try:
                return await self._once(function, trigger, base)
            except FunctionFailed as failed:
                tried += 1
                if policy is None or 0 <= policy.max_retries < tried:
                    raise
                error = RpcException(message=str(failed), stack_trace=failed.trace, source="")
                base = replace(
                    base, invocation_id=str(uuid.uuid4()), retry=RetryContext(tried, policy.max_retries, error)
                )
            await asyncio.sleep(policy.delay(tried))

    async def _once(self, function: Function, trigger: TypedData, call: Call) -> Result:
        values = {**call.values, **call.metadata}
        inputs = {function.trigger.name: trigger, **call.inputs}
        started = time.monotonic()
        with self._telemetry.span(function.name, call.trace) as trace:
            outcome = "failed"
            try:
                for binding in function.inputs:
                    inputs[binding.name] = await self._inputs[binding.type](binding, values)
                context = TraceContext(*trace) if trace else call.trace
                result = await self._invoke(function, replace(call, inputs=inputs, trace=context))
                await self._put(function, result, values)
                outcome = "succeeded"
            except FunctionFailed as failed:
                logger.error("function %s raised\n%s", function.name, failed.trace.rstrip() or failed)
                raise
            except (HostError, AzureError, OSError) as fault:  # a binding could not be read or written
                logger.error("function %s: %s", function.name, fault)
                raise FunctionFailed(function.name, f"{type(fault).__name__}: {fault}", "") from fault
            except asyncio.CancelledError:
                outcome = "cancelled"
                raise
            finally:
                spent = (time.monotonic() - started) * 1000
                logger.info("function=%s result=%s ms=%.0f id=%s", function.name, outcome, spent, call.invocation_id)
        return result

    async def _invoke(self, function: Function, call: Call) -> Result:
        """Invoke within the time limit. A coroutine that takes longer is cancelled; a thread cannot be, and runs on."""
        try:
            async with asyncio.timeout(self._limit) as limit:
                return await self._worker.invoke(function, call)
        except TimeoutError:
            if not limit.expired():
                raise
            message = f"FunctionTimeoutException: it took longer than functionTimeout, {self._limit:g} s"
            raise FunctionFailed(function.name, message, "") from None

    async def _put(self, function: Function, result: Result, values: Mapping[str, TypedData]) -> None:
        for binding in function.outputs:
            value = result.value if binding.name == "$return" else result.outputs.get(binding.name)
            if binding.type in self._outputs and value is not None and value.value() is not None:
                await self._outputs[binding.type](binding, value, values)
