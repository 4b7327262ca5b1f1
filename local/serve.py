"""Run an aiohttp application as one of the local services: the same ready line, the same shutdown, the same errors."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

from aiohttp import web

from local.processes import die_with_parent

STOP_SECONDS = 2.0  # open connections get this long when the service stops


def log_to_stderr(level: int = logging.INFO) -> None:
    """Log one line an event, time first."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for noisy in ("azure", "aiohttp.access", "httpx", "httpx2", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def serve(make: Callable[[], Awaitable[web.Application]], port: int, name: str) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code: 0, or 1 when the port is taken.

    Prints `ready http://127.0.0.1:PORT` once requests are accepted; port 0 picks a free one.
    """
    die_with_parent()
    try:
        asyncio.run(_serve(make, port))
    except OSError as fault:
        print(
            f"{name}: port {port} cannot be used: {fault.strerror or fault}; choose another with --port",
            file=sys.stderr,
        )
        return 1
    return 0


async def _serve(make: Callable[[], Awaitable[web.Application]], port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # handler_cancellation: a client that goes away cancels the work done for it
    runner = web.AppRunner(await make(), access_log=None, handler_cancellation=True, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
        await site.start()
        print(f"ready http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
