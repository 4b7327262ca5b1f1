"""Run an aiohttp application as one of the local services: the same ready line, the same shutdown, the same errors."""

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn

from aiohttp import web

from local.processes import die_with_parent

STOP_SECONDS = 2.0  # open connections get this long when the service stops
BACKLOG = 1024
READ_BYTES = 1 << 20  # of a request's body that wait to be taken: a batch of 16 MB then comes without many a pause


def log_to_stderr(level: int = logging.INFO) -> None:
    """Log one line an event, time first."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for noisy in ("azure", "aiohttp.access", "httpx", "httpx2", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class Arguments(argparse.ArgumentParser):
    """Command-line arguments whose errors are one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        self.exit(2, f"{self.prog}: {message}; --help shows what there is\n")


class CannotStart(Exception):
    """Something that the service needs is not there; the message says what, in one line."""


def serve(make: Callable[[], Awaitable[web.Application]], port: int, name: str) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code: 0, or 1 when it cannot start, with one line that says why.

    Prints `ready http://127.0.0.1:PORT` once requests are accepted; port 0 picks a free one.
    """
    die_with_parent()
    if not 0 <= port <= 65535:
        print(f"{name}: --port must be between 0 and 65535, not {port}", file=sys.stderr)
        return 2
    try:
        asyncio.run(_serve(make, port))
    except (CannotStart, OSError) as fault:
        print(f"{name}: {fault}", file=sys.stderr)
        return 1
    return 0


async def _serve(make: Callable[[], Awaitable[web.Application]], port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Taken before the work of starting up: who picked a port that is in use learns it at once.
    with _listen(port) as listening:
        # handler_cancellation: a client that goes away cancels the work done for it
        runner = web.AppRunner(
            await make(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=STOP_SECONDS,
            read_bufsize=READ_BYTES,
        )
        try:
            await runner.setup()
            await web.SockSite(runner, listening, backlog=BACKLOG).start()
            print(f"ready http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
            await stop.wait()
        finally:
            await runner.cleanup()


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as fault:
        listening.close()
        raise CannotStart(f"port {port} cannot be used: {fault.strerror}; choose another with --port") from fault
    return listening
