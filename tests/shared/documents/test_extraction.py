"""Reading in worker processes: limits hold, a hostile file harms no other, and nothing is left behind."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.documents import ChunkLimits, ReadLimits, chunk_document, count_tokens, read_document
from shared.documents.extraction import Extraction, WorkerLost
from shared.documents.worker import MEGABYTE
from shared.errors import UnreadableDocument
from tests.conftest import ROOT
from tests.shared.documents.files import docx

CHUNK = ChunkLimits(40, 80)
MANUAL = ROOT / "sample-lake" / "products" / "boreal-l2-manual.pdf"
HUGE = b"# Words\n\n" + b"some words in a row, again and again\n\n" * 700_000


@contextmanager
def extraction(processes: int = 1, **limits: int) -> Iterator[Extraction]:
    made = Extraction(processes, ReadLimits(**limits), CHUNK)
    try:
        yield made
    finally:
        made.close()


def reason_of(reading: Extraction, path: str, content: bytes) -> str:
    with pytest.raises(UnreadableDocument) as caught:
        asyncio.run(reading.extract(path, content))
    return caught.value.reason


def text_of(entry: Path) -> str:
    """Return a file of /proc; nothing where its thread or process has ended since it was listed."""
    try:
        return entry.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children() -> set[int]:
    """Return the worker processes of this process."""
    found = {pid for task in Path("/proc/self/task").iterdir() for pid in text_of(task / "children").split()}
    return {int(pid) for pid in found if "shared.documents.worker" in text_of(Path("/proc", pid, "cmdline"))}


def test_a_worker_reads_as_the_process_itself_would() -> None:
    """Title and chunks are those of the readers and the chunker; the file's name is not stored as a title."""
    with extraction() as reading:
        made = asyncio.run(reading.extract("a.pdf", MANUAL.read_bytes()))
        document = read_document("a.pdf", MANUAL.read_bytes())
        assert made.title == document.title
        assert made.chunks == chunk_document(document, CHUNK, count_tokens)
        assert asyncio.run(reading.extract("some-notes.txt", b"words")).title is None
        assert reading.started == 1


def test_live_documents_are_read_before_a_rebuilds() -> None:
    """A document that was just stored waits for the one being read, not for all that a rebuild has asked for; those
    keep their order.
    """

    async def scenario(reading: Extraction) -> list[str]:
        ended: list[str] = []

        async def one(name: str, live: bool) -> None:
            await reading.extract(f"{name}.md", b"# Words", live=live)
            ended.append(name)

        async with asyncio.TaskGroup() as group:
            for n in range(4):
                group.create_task(one(f"rebuild-{n}", live=False))
            group.create_task(one("live", live=True))
        return ended

    with extraction() as reading:
        ended = asyncio.run(scenario(reading))
    assert ended.index("live") <= 1
    assert [name for name in ended if name != "live"] == [f"rebuild-{n}" for n in range(4)]


def test_reasons_come_through() -> None:
    """What a reader refuses is refused with the same reason, and the worker reads on."""
    with extraction() as reading:
        assert reason_of(reading, "a.exe", b"x") == "unknown_type"
        assert reason_of(reading, "a.pdf", b"%PDF-1.7 broken") == "corrupt"
        assert reason_of(reading, "a.md", b" ") == "empty"
        assert reading.started == 1


def test_the_size_of_the_app_is_not_the_workers() -> None:
    """An app that holds more than a document may take keeps its worker: the kernel counts the two as one at first."""
    ballast = b"x" * (256 * MEGABYTE)
    with extraction(megabytes=300) as reading:
        for name in ("a.md", "b.md"):
            asyncio.run(reading.extract(name, b"words"))
        assert reading.started == 1
    assert len(ballast) == 256 * MEGABYTE


def test_what_takes_too_long_is_stopped() -> None:
    """A document beyond its time is unreadable, and the next one is read by another process."""
    with extraction(seconds=1) as reading:
        assert reason_of(reading, "a.md", HUGE) == "timeout"
        assert len(asyncio.run(reading.extract("a.md", b"words")).chunks) == 1
        assert reading.started == 2


@pytest.mark.parametrize("name", ["a.md", "a.docx"])
def test_what_takes_too_much_memory_is_stopped(name: str) -> None:
    """Memory is bounded in Python and in native libraries alike; the next document is read."""
    content = HUGE if name == "a.md" else docx("<w:p><w:r><w:t>words</w:t></w:r></w:p>" * 1_500_000)
    with extraction(megabytes=110) as reading:
        assert reason_of(reading, name, content) == "memory"
        assert len(asyncio.run(reading.extract("a.md", b"words")).chunks) == 1


def test_pages_are_bounded() -> None:
    """A document with more pages than the limit is refused before they are read."""
    with extraction(pages=2) as reading:
        assert reason_of(reading, "a.pdf", MANUAL.read_bytes()) == "too_many_pages"


def test_a_process_that_somebody_ended_says_nothing_of_the_document() -> None:
    """A killed worker is no fault of the document: the caller sees it, and may try again."""
    before = children()
    with extraction() as reading:
        asyncio.run(reading.extract("a.md", b"words"))
        (worker,) = children() - before
        killer = threading.Timer(0.3, os.kill, (worker, signal.SIGKILL))
        killer.start()
        with pytest.raises(WorkerLost):
            asyncio.run(reading.extract("a.md", HUGE))
        assert len(asyncio.run(reading.extract("a.md", b"words")).chunks) == 1
        assert reading.started == 2


def test_a_crash_is_the_documents() -> None:
    """A library that crashes makes the document corrupt."""
    before = children()
    with extraction() as reading:
        asyncio.run(reading.extract("a.md", b"words"))
        (worker,) = children() - before
        killer = threading.Timer(0.3, os.kill, (worker, signal.SIGSEGV))
        killer.start()
        assert reason_of(reading, "a.md", HUGE) == "corrupt"


def test_documents_are_read_side_by_side_and_no_process_stays() -> None:
    """There are never more processes than asked for, and none after the end."""

    async def all_at_once(reading: Extraction) -> list[int]:
        made = await asyncio.gather(*(reading.extract(f"{n}.md", f"words {n}".encode()) for n in range(20)))
        return [len(one.chunks) for one in made]

    with extraction(processes=2) as reading:
        before = children()
        assert asyncio.run(all_at_once(reading)) == [1] * 20
        assert 1 <= reading.started <= 2
        mine = children() - before
        assert len(mine) == reading.started
    assert not children() & mine


def test_a_caller_that_goes_away_does_no_harm() -> None:
    """What nobody waits for any more is not read, and the next caller is served."""

    async def scenario(reading: Extraction) -> int:
        first = asyncio.create_task(reading.extract("a.md", HUGE[:4_000_000]))
        second = asyncio.create_task(reading.extract("b.md", b"words"))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        return len((await reading.extract("c.md", b"words")).chunks)

    with extraction() as reading:
        assert asyncio.run(scenario(reading)) == 1
