"""`python -m shared.documents.worker`: reads and chunks documents for the process that started it, one after another.

A process of its own, so that a hostile file cannot take the app down: its memory and processor time are limited, and
the app ends it when it takes too long. Requests come on standard input and answers go to standard output, each a frame:
eight bytes of length, then the bytes. A request is a frame of JSON and a frame with the document. The first answer,
before any request, says that the process is ready.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import IO, Any

import orjson

from shared.documents import (
    ChunkLimits,
    ReadLimits,
    chunk_document,
    count_tokens,
    read_document,
    title_from_path,
)
from shared.documents.markdown import Page
from shared.documents.markdown import document as document_of_pages
from shared.errors import UnreadableDocument

LENGTH = struct.Struct(">Q")
MEGABYTE = 1 << 20
PR_SET_PDEATHSIG = 1
RSS_UNIT = 1024 if sys.platform == "linux" else 1  # bytes, of getrusage's ru_maxrss


def main() -> int:
    """Serve until standard input ends."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up among the answers
    count_tokens("")  # loads the tokenizer: that is not to take of the first document's time
    write_frame(answers, orjson.dumps({"peak": peak_memory()}))
    while (head := read_frame(requests)) is not None:
        request = orjson.loads(head)
        content = read_frame(requests)
        if content is None:
            return 1
        write_frame(answers, orjson.dumps(answer(request, content)))
    return 0


def answer(request: dict[str, Any], content: bytes) -> dict[str, Any]:
    """Return the document's title and chunks, or why it cannot be read."""
    limits = ReadLimits(**request["read"])
    limit_resources(limits)
    path = request["path"]
    try:
        document = (
            document_of_pages(path, _pages(orjson.loads(content)), authored=True)
            if request.get("paged")
            else read_document(path, content, limits, _pages(request.get("recognised", [])))
        )
        chunks = chunk_document(document, ChunkLimits(**request["chunk"]), count_tokens)
        if not chunks:
            raise UnreadableDocument("empty", "the document has no text")
    except UnreadableDocument as fault:
        return {"unreadable": [fault.reason, str(fault)], "memory": memory()}
    except MemoryError:
        return {"unreadable": ["memory", f"it takes more than {limits.megabytes} MB to read"], "memory": sys.maxsize}
    # A title that only echoes the file's name stays out of what is stored: a renamed document has another.
    title = None if document.title == title_from_path(path) else document.title
    return {
        "title": title,
        "chunks": [[chunk.heading, chunk.text, chunk.page, chunk.start, chunk.end] for chunk in chunks],
        "pictures": document.pictures,
        "memory": memory(),
    }


def _pages(listed: list[tuple[int | None, str]]) -> list[Page]:
    """Return pages that something else has read."""
    return [Page(number, markdown) for number, markdown in listed]


def limit_resources(limits: ReadLimits) -> None:
    """Bound the memory of this process, and the processor time from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + limits.seconds
    for what, value in ((resource.RLIMIT_DATA, limits.megabytes * MEGABYTE), (resource.RLIMIT_CPU, seconds)):
        _, most = resource.getrlimit(what)
        resource.setrlimit(what, (value if most == resource.RLIM_INFINITY else min(value, most), most))


def memory() -> int:
    """Return the memory that this process holds now, in bytes; where the kernel does not say, the most it has held."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        return peak_memory()


def peak_memory() -> int:
    """Return the most memory that this process has held, in bytes.

    On Linux this begins with what the parent held: a new process is the parent's copy until it runs its own program.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def end_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, also in the middle of a document."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next frame, or None where the stream ends."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None


def write_frame(stream: IO[bytes], *bodies: bytes) -> None:
    """Write frames, and see them on their way."""
    for body in bodies:
        stream.write(LENGTH.pack(len(body)))
        stream.write(body)
    stream.flush()


PROJECT = Path(__file__).parents[2]

if __name__ == "__main__":
    sys.exit(main())
