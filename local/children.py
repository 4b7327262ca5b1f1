"""Child processes of the supervisor: start, wait until ready, start again after a crash, stop."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local.processes import end_with_parent_thread

READY_SECONDS = 60.0
STOP_SECONDS = 8.0
RESTART_SECONDS = 1.0

logger = logging.getLogger(__name__)
Line = Callable[[str, str], None]


class StartFailed(Exception):
    """A child ended before it was ready; the message has its last words."""


class Child:
    """One service as a child process. Its output goes, line by line, to `line(name, text)`."""

    def __init__(
        self, name: str, module: str, arguments: Sequence[str], line: Line, environ: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-m", module, *arguments]
        self._line = line
        self._environ = {**os.environ, **(environ or {}), "PYTHONUNBUFFERED": "1"}
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._stopping = False
        self._last: list[str] = []
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now, or ran last; None before the first start."""
        return self._process.pid if self._process else None

    async def start(self, root: Path) -> None:
        """Start the child and wait until it is ready. Raises StartFailed."""
        await self._spawn(root)
        ready = asyncio.create_task(self._ready.wait())
        assert self._process is not None
        ended = asyncio.create_task(self._process.wait())
        done, _ = await asyncio.wait({ready, ended}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if ready not in done:
            ready.cancel()
            await asyncio.sleep(0.1)  # let its last words arrive
            words = " / ".join(self._last[-3:]) or "it said nothing"
            raise StartFailed(f"{self.name} did not start: {words}")
        ended.cancel()
        self._watch = asyncio.create_task(self._keep_running(root))

    async def stop(self) -> None:
        """Stop the child; kill it when it does not end by itself."""
        self._stopping = True
        if self._watch:
            self._watch.cancel()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    def give_up(self) -> None:
        """Let the child stay dead when it ends, however it does."""
        self._stopping = True

    async def _spawn(self, root: Path) -> None:
        self._ready.clear()
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=root,
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 20,
            preexec_fn=end_with_parent_thread,
        )
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            task = asyncio.create_task(self._read(stream))
            _READERS.add(task)
            task.add_done_callback(_READERS.discard)

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while raw := await stream.readline():
            text = raw.decode(errors="replace").rstrip()
            if text.startswith("ready "):
                self._ready.set()
                continue
            self._last = [*self._last[-9:], text]
            self._line(self.name, text)

    async def _keep_running(self, root: Path) -> None:
        """Start the child again whenever it ends unasked."""
        while True:
            assert self._process is not None
            code = await self._process.wait()
            if self._stopping:
                return
            self._line(self.name, f"WARNING ended with code {code}; starting again")
            await asyncio.sleep(RESTART_SECONDS)
            await self._spawn(root)


_READERS: set[asyncio.Task[None]] = set()  # the loop keeps only weak references to tasks
