"""Puts the host together: settings, worker, triggers, HTTP server; and its life from start to SIGTERM."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

import local
from local.functions_host import logs
from local.functions_host.admin import PATH as ADMIN
from local.functions_host.admin import Admin
from local.functions_host.config import HostConfig, load_host_config, load_local_settings
from local.functions_host.cors import Cors, parse_cors
from local.functions_host.durable.extension import DurableExtension
from local.functions_host.http_server import HttpServer, methods_of
from local.functions_host.http_streaming import StreamRelay
from local.functions_host.invoker import Invoker
from local.functions_host.keys import Keys, load_keys
from local.functions_host.model import Function, HostError, is_disabled
from local.functions_host.storage.connections import Connections
from local.functions_host.storage_extension import StorageExtension, host_id
from local.functions_host.telemetry import start_telemetry
from local.functions_host.timers import TimerExtension
from local.functions_host.worker import AppFailed, Worker, detach_project

logger = logging.getLogger(__name__)

DEFAULT_PORT = 7071
STOP_SECONDS = 1.0  # open connections get this long when the host stops
PROJECT = Path(local.__file__).parent.parent


def run(folder: Path, port: int | None, cors: tuple[str, ...] = (), cors_credentials: bool = False) -> int:
    """Run the app in a folder until SIGTERM or SIGINT. Returns the exit code: 0, or 1 when it cannot run.

    What is given here goes before `Host` of local.settings.json, as options of Core Tools do.
    """
    try:
        own = load_local_settings(folder, os.environ)
        config = load_host_config(folder, os.environ)
        keys = load_keys(os.environ)
        given = any(cors)
        allowed = parse_cors(cors if given else own.cors, cors_credentials or (not given and own.cors_credentials))
        port = port if port is not None else own.port if own.port is not None else DEFAULT_PORT
        listening = listen(port)
    except HostError as fault:
        print(f"functions_host: {fault}", file=sys.stderr)
        return 1
    except OSError as fault:
        reason = fault.strerror or fault
        print(f"functions_host: port {port} cannot be used: {reason}; choose another with --port", file=sys.stderr)
        return 1
    actual = listening.getsockname()[1]
    os.environ.setdefault("WEBSITE_HOSTNAME", f"localhost:{actual}")
    os.environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
    os.environ.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
    logs.setup(config.log_levels)
    detach_project(PROJECT, folder)
    try:
        asyncio.run(_serve(folder, config, keys, allowed, listening))
    except AppFailed as failed:
        print(failed.trace or failed, file=sys.stderr)
        print(f"functions_host: the function app in {folder} did not load: {failed}", file=sys.stderr)
        return _exit(1)
    except HostError as fault:
        print(f"functions_host: {fault}", file=sys.stderr)
        return _exit(1)
    finally:
        listening.close()
    return _exit(0)


def listen(port: int) -> socket.socket:
    """Take the port before the app is loaded: a taken one is known at once. Raises OSError."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        # Not accepted yet, but queued: who connects while the app loads is answered when it has.
        listening.listen(1024)
    except OSError:
        listening.close()
        raise
    return listening


def _exit(code: int) -> int:
    """Leave at once: the app's worker threads may be in calls that nothing can interrupt."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def _serve(
    folder: Path, config: HostConfig, keys: Keys | None, cors: Cors | None, listening: socket.socket
) -> None:
    begun = time.monotonic()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with contextlib.AsyncExitStack() as stack:
        worker = Worker()
        stack.push_async_callback(worker.stop)
        loading = asyncio.ensure_future(worker.start(folder))
        stopped = asyncio.ensure_future(stop.wait())
        stack.callback(stopped.cancel)
        await asyncio.wait({loading, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not loading.done():
            loading.cancel()
            return
        loading.result()
        disabled = frozenset(function.name for function in worker.functions if is_disabled(function, os.environ))
        functions = [function for function in worker.functions if function.name not in disabled]
        telemetry = start_telemetry(config.telemetry_mode, os.environ)
        stack.callback(telemetry.stop)
        invoker = Invoker(worker, telemetry, config.function_timeout)
        server = HttpServer(functions, config.http, invoker, keys, cors)
        server.mount("/admin/host/status", lambda request: _status(worker, begun))
        stack.push_async_callback(server.stop)
        if worker.stream_address:
            server.stream_through(StreamRelay(worker.stream_address, config.http.body_bytes))
        connections = Connections(os.environ)
        stack.push_async_callback(connections.close)
        name = host_id(folder)
        storage = StorageExtension(functions, config, connections, invoker, server, keys, name)
        timers = TimerExtension(functions, invoker, connections, name)
        admin = Admin(worker.functions, disabled, {**storage.by_hand(), **timers.by_hand()}, origin)
        stack.push_async_callback(admin.stop)
        server.mount(ADMIN, admin.handle)
        durable = DurableExtension(functions, config.durable, invoker, server, keys, origin)
        for extension in (durable, storage, timers):
            stack.push_async_callback(extension.stop)
            await extension.start()
        # handler_cancellation: a client that goes away cancels the forwarding of its request.
        # auto_decompress: as in Azure, a compressed body reaches the function as it was sent.
        runner = web.AppRunner(
            server.application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=STOP_SECONDS,
            auto_decompress=False,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, listening, backlog=1024).start()
        announce(worker.functions, disabled, server, origin)
        logger.info("host started in %.1f s", time.monotonic() - begun)
        await stop.wait()


def announce(functions: Sequence[Function], disabled: frozenset[str], server: HttpServer, origin: str) -> None:
    """Print the functions with their URLs, then the line that says that the host is ready."""
    urls = {id(route.target): f"{origin}/{route.template}" for route in server.routes}
    print("\nFunctions:\n")
    for function in sorted(functions, key=lambda function: function.name.lower()):
        if function.name in disabled:
            print(f"  {function.name}: disabled")
        elif function.trigger.type == "httpTrigger":
            methods = ",".join(methods_of(function)) or "ALL"
            print(f"  {function.name}: [{methods}] {urls[id(function)]}")
        else:
            print(f"  {function.name}: {function.trigger.type}")
    print(f"\nready {origin}", flush=True)


async def _status(worker: Worker, begun: float) -> web.Response:
    uptime = int((time.monotonic() - begun) * 1000)
    return web.json_response({"state": "Running", "functions": len(worker.functions), "processUptime": uptime})
