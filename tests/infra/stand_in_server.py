"""Runs the stand-ins of az, azd and curl for scripts that call them a thousand times: each call is a fork of a process
that has loaded all they need, in place of a Python that starts anew.

`python stand_in_server.py` prints the port where it listens on the loopback interface. A request is strings that end in
NUL: program, folder (STAND_IN), number of arguments, arguments, standard input. The reply is exit code, output, errors.
"""

import io
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import CodeType
from typing import BinaryIO
from urllib.parse import urlsplit  # noqa: F401  # loaded for the stand-ins

import jmespath  # type: ignore[import-untyped]  # noqa: F401

STAND_IN = Path(__file__).parent / "stand_in"
PROGRAMS = ("az", "azd", "curl")


def main() -> None:
    """Serve for ever."""
    known = {name: compile((STAND_IN / name).read_text(), str(STAND_IN / name), "exec") for name in PROGRAMS}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                with connection, connection.makefile("rb") as stream:
                    connection.sendall(b"".join(part.encode() + b"\0" for part in answer(stream, known)))
                os._exit(0)
            connection.close()


def answer(stream: BinaryIO, known: dict[str, CodeType]) -> tuple[str, str, str]:
    """Read a request and be that program; returns exit code, output and errors."""
    words = strings(stream)
    program, folder, count = next(words), next(words), int(next(words))
    arguments = [next(words) for _ in range(count)]
    sys.argv, sys.stdin = [program, *arguments], io.StringIO(next(words))
    os.environ["STAND_IN"] = folder
    code: str | int | None = 0
    with redirect_stdout(io.StringIO()) as output, redirect_stderr(io.StringIO()) as errors:
        try:
            exec(known[program], {"__name__": "__main__", "__file__": str(STAND_IN / program)})
        except SystemExit as ended:
            code = ended.code
            if isinstance(code, str):
                print(code, file=sys.stderr)
                code = 1
    return str(code or 0), output.getvalue(), errors.getvalue()


def strings(stream: BinaryIO) -> Iterator[str]:
    """Read one string after the other."""
    while True:
        found = bytearray()
        while (byte := stream.read(1)) != b"\0":
            found += byte
        yield found.decode()


if __name__ == "__main__":
    main()
