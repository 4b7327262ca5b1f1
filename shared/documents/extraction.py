"""Reading documents in worker processes: a few that stay warm, each replaced when a document has been too much for it.

The worker bounds its own memory and processor time; what it cannot bound, such as a library that waits or crashes, ends
with the process. Either way the document is unreadable with a reason, and the next one is read.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import IO, Any

import orjson

from shared.documents.limits import ReadLimits
from shared.documents.markdown import Page
from shared.documents.model import Chunk, ChunkLimits, Extracted
from shared.documents.worker import MEGABYTE, PROJECT, RSS_UNIT, read_frame, write_frame
from shared.errors import UnreadableDocument

logger = logging.getLogger(__name__)

NEARLY = 0.75  # of the memory limit: a worker that died holding more died of it
STAYS_BELOW = 0.5  # of the memory limit: a worker that has grown further is replaced
START_SECONDS = 60  # for a worker to start; its document's time begins after that
LAST_WORDS = 2_000  # characters of a dead worker's error output that are looked at


class WorkerLost(Exception):
    """A worker did not start, or was ended by somebody else. Nothing is known of the document."""


class _Turn(IntEnum):
    """Who goes first: what a person has just stored, then what a rebuild reads; the end comes after both."""

    LIVE = 0
    REBUILD = 1
    END = 2


@dataclass(frozen=True, slots=True)
class _Job:
    request: dict[str, Any]
    content: bytes
    done: "Future[Extracted]"


class Extraction:
    """Reads documents, `processes` at once at most. Belongs to no event loop; processes start when they are needed.

    Documents of one kind are read in the order they came; those that are `live` go before a rebuild's.

    Each process has a thread of its own, which lasts: the kernel ends a process together with the thread that started
    it. The threads are daemons, so that a document under way does not hold up the end of the app.
    """

    def __init__(self, processes: int, read: ReadLimits, chunk: ChunkLimits) -> None:
        self._read = read
        self._request = {"read": asdict(read), "chunk": asdict(chunk)}
        self._jobs: queue.PriorityQueue[tuple[_Turn, int, _Job | None]] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._serve, name="extraction", daemon=True) for _ in range(processes)]
        self._begun = threading.Lock()
        self.started = 0  # processes, over all time

    async def extract(self, path: str, content: bytes, recognised: Sequence[Page] = (), live: bool = True) -> Extracted:
        """Return the document's title and chunks; `recognised` are pages of it that something else has read.

        Raises UnreadableDocument with the true reason, among them timeout and memory, and WorkerLost.
        """
        return await self._ask({"path": path, "recognised": _listed(recognised)}, content, live)

    async def chunk(self, path: str, pages: Sequence[Page], live: bool = True) -> Extracted:
        """Return the title and chunks of a document that something else has read. Raises as `extract` does."""
        return await self._ask({"path": path, "paged": True}, orjson.dumps(_listed(pages)), live)

    async def _ask(self, request: dict[str, Any], content: bytes, live: bool) -> Extracted:
        with self._begun:
            for thread in self._threads:
                if thread.ident is None:
                    thread.start()
        job = _Job(self._request | request, content, Future())
        self._put(_Turn.LIVE if live else _Turn.REBUILD, job)
        return await asyncio.wrap_future(job.done)

    def _put(self, turn: _Turn, job: _Job | None) -> None:
        self._jobs.put((turn, next(self._numbers), job))

    def close(self) -> None:
        """End every process, after what was asked for before."""
        for _ in self._threads:
            self._put(_Turn.END, None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _serve(self) -> None:
        worker: _Worker | None = None
        while job := self._jobs.get()[2]:
            if not job.done.set_running_or_notify_cancel():
                continue
            try:
                if worker is None or not worker.lives:
                    worker = self._replaced(worker)
                answer = worker.ask(job.request, job.content, self._read.seconds)
                if answer is None:
                    raise self._fault(job.request["path"], worker)
                if answer["memory"] > STAYS_BELOW * self._read.megabytes * MEGABYTE:
                    worker.end()
                job.done.set_result(_extracted(answer))
            except BaseException as error:  # it goes to the caller, who waits for it
                job.done.set_exception(error)
        if worker is not None:
            worker.end()

    def _replaced(self, worker: "_Worker | None") -> "_Worker":
        if worker is not None:
            worker.end()
        self.started += 1
        return _Worker()

    def _fault(self, path: str, worker: "_Worker") -> Exception:
        """Return what the death of a worker says of the document it was reading."""
        death = worker.end()
        logger.warning("extraction document=%s death=%s", path, death)
        if worker.timed_out or death.signal == signal.SIGXCPU:
            return UnreadableDocument(
                "timeout", f"it takes longer than DOCUMENT_TIMEOUT_SECONDS ({self._read.seconds}) to read"
            )
        if death.memory > NEARLY * self._read.megabytes * MEGABYTE or death.speaks_of_memory:
            return UnreadableDocument(
                "memory", f"it takes more than DOCUMENT_MEMORY_MB ({self._read.megabytes}) to read"
            )
        if death.signal in (None, signal.SIGKILL, signal.SIGTERM):
            return WorkerLost(f"the process that read {path!r} ended: {death}")
        return UnreadableDocument("corrupt", f"reading it crashed with {signal.Signals(death.signal).name}")


def _listed(pages: Sequence[Page]) -> list[tuple[int | None, str]]:
    return [(page.number, page.markdown) for page in pages]


def _extracted(answer: dict[str, Any]) -> Extracted:
    if "unreadable" in answer:
        raise UnreadableDocument(*answer["unreadable"])
    chunks = (Chunk(ordinal, *fields) for ordinal, fields in enumerate(answer["chunks"]))
    return Extracted(answer["title"], tuple(chunks), tuple(answer["pictures"]))


@dataclass(frozen=True, slots=True)
class _Death:
    """How a worker ended: by which signal if any, the most bytes it held (0: unknown), and what it said last."""

    signal: int | None
    memory: int
    last_words: str

    @property
    def speaks_of_memory(self) -> bool:
        """Whether its last words are those of a native library that was refused memory."""
        return "memory" in self.last_words or "bad_alloc" in self.last_words


class _Worker:
    """One worker process."""

    def __init__(self) -> None:
        self.timed_out = False
        self._death: _Death | None = None
        self._inherited_peak = 0  # bytes, of this process when it started the worker
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the process has ended)
        # It finds what this process finds: the host may have put the packages' folder on the path by itself.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "shared.documents.worker"],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        ready = self._within(START_SECONDS, self._answer)
        if ready is None:
            raise WorkerLost(f"no process to read documents started: {self.end()}")
        self._inherited_peak = ready["peak"]

    @property
    def lives(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], content: bytes, seconds: float) -> dict[str, Any] | None:
        """Return the answer, or None when the process died over it; it is killed after these seconds."""
        return self._within(seconds, lambda: self._exchange(request, content))

    def _exchange(self, request: dict[str, Any], content: bytes) -> dict[str, Any] | None:
        assert self._process.stdin
        try:
            write_frame(self._process.stdin, orjson.dumps(request), content)
        except BrokenPipeError:
            return None
        return self._answer()

    def _answer(self) -> dict[str, Any] | None:
        assert self._process.stdout
        frame = read_frame(self._process.stdout)
        return None if frame is None else orjson.loads(frame)

    def _within[T](self, seconds: float, act: Callable[[], T]) -> T:
        """Do something with the process, which is killed after these seconds."""
        timer = threading.Timer(seconds, self._too_late)
        timer.start()
        try:
            return act()
        finally:
            timer.cancel()

    def end(self) -> _Death:
        """End the process, if it has not ended, and return how it ended."""
        if self._death is not None:
            return self._death
        assert self._process.stdin and self._process.stdout
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):  # what was left to write has no reader any more
                pipe.close()
        memory = 0
        if self._process.returncode is None:
            _, status, used = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            peak = used.ru_maxrss * RSS_UNIT
            memory = peak if peak > self._inherited_peak else 0
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace")[-LAST_WORDS:]
        self._errors.close()
        code = self._process.returncode
        self._death = _Death(-code if code < 0 else None, memory, words)
        return self._death

    def _too_late(self) -> None:
        self.timed_out = True
        self._process.kill()
