"""Microsoft's worker library, run in a thread of its own.

The library indexes the app and invokes its functions. Its event loop is not the host's: a function that blocks the loop
it runs on holds up other functions, as it does in Azure, but never the host's HTTP server, queue leases or timers.
"""

import asyncio
import contextlib
import logging
import sys
import threading
import uuid
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime
import uvicorn.config
from azure_functions_runtime.handle_event import _functions
from azure_functions_runtime.http_v2 import http_coordinator

from local.functions_host import protos
from local.functions_host.logs import current_function, running
from local.functions_host.model import Function, HostError, RetryPolicy, parse_function
from local.functions_host.protos import InvocationRequest, ParameterBinding, RetryContext, TraceContext, TypedData

logger = logging.getLogger(__name__)

HOST_CAPABILITIES: Mapping[str, str] = {}


class AppFailed(Exception):
    """The function app did not load; `trace` is the app's own traceback."""

    def __init__(self, message: str, trace: str) -> None:
        super().__init__(message)
        self.trace = trace


class FunctionFailed(Exception):
    """An invocation raised; `trace` is the function's traceback."""

    def __init__(self, function: str, message: str, trace: str) -> None:
        super().__init__(message)
        self.function = function
        self.trace = trace


@dataclass(frozen=True, slots=True)
class Call:
    """What a trigger passes to a function.

    `inputs` are by binding name, `metadata` is what the function is told of its trigger, `values` what else binding
    expressions may name.
    """

    inputs: Mapping[str, TypedData]
    metadata: Mapping[str, TypedData] = field(default_factory=dict)
    values: Mapping[str, TypedData] = field(default_factory=dict)
    trace: TraceContext = field(default_factory=TraceContext)
    retry: RetryContext = field(default_factory=RetryContext)
    invocation_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class Result:
    """What a function gave back: its return value and its output bindings by name."""

    value: TypedData | None
    outputs: Mapping[str, TypedData]


class Worker:
    """The app, loaded once, and its invocations."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="functions-worker", daemon=True)
        self.functions: tuple[Function, ...] = ()
        self.stream_address: str | None = None  # where streaming requests are forwarded, when the app streams

    async def start(self, folder: Path) -> None:
        """Load the app. Raises AppFailed when it does not load, HostError when this host cannot run it."""
        self._thread.start()
        await self._await(self._load(folder))

    async def invoke(self, function: Function, call: Call) -> Result:
        """Invoke a function once. Raises FunctionFailed when it raises."""
        return await self._await(self._invoke(function, call))

    async def stop(self) -> None:
        """End what is running; nothing is invoked after that."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._end)
        await asyncio.to_thread(self._thread.join, 2.0)

    async def _await[T](self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _end(self) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it takes the end of its own task for a fault
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_later(0.05, self._loop.stop)  # one round for the cancelled tasks to finish

    async def _load(self, folder: Path) -> None:
        quiet_uvicorn()
        runtime.start_threadpool_executor()
        init = SimpleNamespace(capabilities=HOST_CAPABILITIES, function_app_directory=str(folder))
        request = SimpleNamespace(
            request=SimpleNamespace(worker_init_request=init), properties={"host": "127.0.0.1", "protos": protos}
        )
        answer = await runtime.worker_init_request(request)
        if answer.result.status != protos.StatusResult.Success:
            raise AppFailed(answer.result.exception.message, answer.result.exception.stack_trace)
        indexed = await runtime.functions_metadata_request(SimpleNamespace(request=SimpleNamespace()))
        if not indexed.function_metadata_results:
            raise HostError(f"no functions found: {folder / 'function_app.py'} is missing or declares none")
        self.functions = tuple(_function(found) for found in indexed.function_metadata_results)
        _check_names(self.functions)
        address = answer.capabilities.get("HttpUri")
        if address:
            await _accepting(address)
        self.stream_address = address

    async def _invoke(self, function: Function, call: Call) -> Result:
        request = InvocationRequest(
            invocation_id=call.invocation_id,
            function_id=function.id,
            input_data=[ParameterBinding(name, data) for name, data in call.inputs.items()],
            trigger_metadata=dict(call.metadata),
            trace_context=call.trace,
            retry_context=call.retry,
        )
        running[call.invocation_id] = function.name
        token = current_function.set(function.name)
        try:
            answer = await runtime.invocation_request(
                SimpleNamespace(request=SimpleNamespace(invocation_request=request))
            )
        finally:
            current_function.reset(token)
            running.pop(call.invocation_id, None)
            if self.stream_address:
                self._loop.call_later(1.0, forget_stream, call.invocation_id)
        if answer.result.status != protos.StatusResult.Success:
            raise FunctionFailed(function.name, answer.result.exception.message, answer.result.exception.stack_trace)
        return Result(answer.return_value, {output.name: output.data for output in answer.output_data})


def forget_stream(invocation_id: str) -> None:
    """Drop the worker library's note of a finished request: it keeps one for ever."""
    http_coordinator._context_references.pop(invocation_id, None)


def quiet_uvicorn() -> None:
    """Leave request logging to the host; the worker's own server sits behind it."""
    for name, level in (("uvicorn", "WARNING"), ("uvicorn.access", "WARNING")):
        uvicorn.config.LOGGING_CONFIG["loggers"][name]["level"] = level
    uvicorn.config.LOGGING_CONFIG["loggers"]["uvicorn"]["handlers"] = []
    uvicorn.config.LOGGING_CONFIG["loggers"]["uvicorn"]["propagate"] = True
    logging.getLogger("uvicorn.error").addFilter(lambda record: not _reported(record))


def _reported(record: logging.LogRecord) -> bool:
    """Tell whether a traceback is that of a failed invocation, which the host logs itself."""
    trace = record.exc_info[2] if isinstance(record.exc_info, tuple) else None
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "catch_all" and "http_v2" in trace.tb_frame.f_code.co_filename:
            return True
        trace = trace.tb_next
    return False


async def _accepting(address: str) -> None:
    """Wait until the worker's streaming server accepts connections."""
    host, port = address.removeprefix("http://").split(":")
    for _ in range(500):
        with contextlib.suppress(OSError):  # not there yet
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            with contextlib.suppress(OSError):  # only the accepting counts
                await writer.wait_closed()
            return
        await asyncio.sleep(0.01)
    raise HostError(f"the worker's streaming server does not accept connections at {address}")


def _function(found: Any) -> Function:
    known = _functions.get_function(found.function_id)  # a binding does not tell the type of its parameter
    texts = {name for name, info in known.input_types.items() if info.pytype is str} if known is not None else set()
    return parse_function(found.name, found.function_id, found.raw_bindings, _retry(found.retry_options), texts)


def _retry(options: Any) -> RetryPolicy | None:
    if options is None:
        return None
    if options.retry_strategy == "fixed_delay":
        delay = options.delay_interval.total_seconds()
        return RetryPolicy(options.max_retry_count, delay, delay)
    minimum = options.minimum_interval.total_seconds() or 1.0
    return RetryPolicy(options.max_retry_count, minimum, options.maximum_interval.total_seconds())


def _check_names(functions: Iterable[Function]) -> None:
    seen: dict[str, str] = {}
    for function in functions:
        other = seen.setdefault(function.name.lower(), function.name)
        if other is not function.name:
            raise HostError(f"two functions have the name {function.name!r}; names do not differ by case alone")


def detach_project(root: Path, folder: Path) -> None:
    """Put the app's folder first on `sys.path` and, for an app elsewhere, keep the host's project out of its sight.

    The host's own modules are loaded by then, so an app may have a package `local`, `shared` or whatever else.
    """
    if root.resolve() != folder.resolve():
        sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != root.resolve()]
        for name in [name for name in sys.modules if name == "local" or name.startswith("local.")]:
            del sys.modules[name]
    sys.path[:] = [str(folder), *[entry for entry in sys.path if entry and Path(entry).resolve() != folder.resolve()]]
