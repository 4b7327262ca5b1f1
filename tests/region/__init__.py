"""A whole region under test: `python -m local run` as a child process, and its app over HTTP."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any

from local.processes import free_port
from tests.conftest import ROOT

DEADLINE_SECONDS = 240.0  # a guard against hanging, also on a machine with much else to do
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Region:
    """A running region over a folder of documents. Its log is kept beside its data."""

    def __init__(self, lake: Path, data: Path, *options: str) -> None:
        self.lake = lake
        self.data = data
        self.options = options  # further ones of the command line
        self.port = free_port()
        self.log = data / "test.log"
        self._output: IO[bytes]
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        self.data.mkdir(parents=True, exist_ok=True)
        self._output = self.log.open("wb")
        arguments = ["run", "--port", str(self.port), "--lake", str(self.lake), "--data", str(self.data), "--verbose"]
        arguments += self.options
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local", *arguments], cwd=ROOT, stdout=self._output, stderr=subprocess.STDOUT
        )
        try:
            eventually(self._is_ready, "the region is ready", self.log)
        except AssertionError:
            self.stop()
            raise

    def stop(self) -> int:
        """Stop it as Ctrl-C does; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self._output.close()
        return code

    def kill(self) -> None:
        """End the supervisor at once."""
        self.process.kill()
        self.process.wait(60)
        self._output.close()

    def kill_host(self) -> None:
        """End the functions host at once, as a crash would; the supervisor starts it again."""
        (host,) = [pid for pid, command in processes() if f"functions_host start --port {self.port}" in command]
        subprocess.run(["kill", "-9", str(host)], check=True)

    def children(self) -> list[int]:
        """Return the processes that belong to this region."""
        return [pid for pid, command in processes() if str(self.data) in command or f"--port {self.port}" in command]

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request to the app."""
        address = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(address, data=body, headers=dict(headers or {}), method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as reply:
                return Reply(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())

    def get(self, path: str) -> Any:
        """Return the JSON at a path that answers 200."""
        reply = self.request("GET", path)
        assert reply.status == 200, reply.body
        return reply.json()

    def ask(self, question: str) -> Any:
        """Return the chat's answer to one question."""
        body = json.dumps({"messages": [{"role": "user", "content": question}]}).encode()
        reply = self.request("POST", "/api/chat", body)
        assert reply.status == 200, reply.body
        return reply.json()

    def answers(self, question: str, expected: str) -> bool:
        """Return whether the answer to a question contains a text."""
        return expected in self.ask(question)["message"]["content"]

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return "warmlake ready: " in self.log.read_text()


def eventually(holds: Callable[[], bool], what: str, log: Path | None = None) -> None:
    """Wait until something holds; fail with what it was when it does not come true."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        tail = log.read_text()[-3000:] if log else ""
        assert time.monotonic() < deadline, f"did not come true in {DEADLINE_SECONDS:g} s: {what}\n{tail}"
        time.sleep(POLL_SECONDS)


def processes() -> list[tuple[int, str]]:
    """Return pid and command line of every process."""
    listed = subprocess.run(["ps", "-eww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    pairs = [line.strip().partition(" ") for line in listed.splitlines()]
    return [(int(pid), command) for pid, _, command in pairs]
