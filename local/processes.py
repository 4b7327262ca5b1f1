"""Small facts about processes that every local service needs."""

import contextlib
import ctypes
import itertools
import os
import signal
import socket
import sys
import threading
import time

PR_SET_PDEATHSIG = 1  # linux/prctl.h
WATCH_SECONDS = 0.5
PORTS = (20_000, 32_000)
PORTS_OF_A_PROCESS = 16

_places = itertools.count(os.getpid() * PORTS_OF_A_PROCESS)


def die_with_parent() -> None:
    """End this process, as SIGTERM does, soon after its parent has died.

    A supervisor that is killed outright cannot stop its children. They watch for it: the kernel's own signal would also
    fire when only the thread that started the child ends.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="die-with-parent", daemon=True).start()


def end_with_parent_thread() -> None:
    """Ask the kernel to send SIGTERM when the thread that started this process ends; for `preexec_fn`.

    For programs that cannot watch for themselves. They must be started by a thread that lives as long as they shall.
    Linux only: elsewhere this does nothing.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """Return a TCP port on the loopback interface that was free a moment ago.

    It lies below the range from which systems take the ports of outgoing connections, so that none of those takes it
    before it is used. Processes that start together have neighbouring pids: each looks in a place of its own, so that
    two of them do not find the same port free.
    """
    while True:
        port = PORTS[0] + next(_places) % (PORTS[1] - PORTS[0])
        with socket.socket() as probe, contextlib.suppress(OSError):  # taken: the next one
            probe.bind(("127.0.0.1", port))
            return port
