"""`make bench-chat`: the app's own time for an answer, and how many answers a second one process gives.

Own time is everything but model and search: both are stood in for by a recorder (bench.chat_recorder) that answers at
once with what the real services said to the same request. So a figure here is an upper bound: the loopback and the
recorder are in it. Each caller asks its next question when its last one is answered.

Two ways: `app` is the app's code for one streamed answer, from the request's bytes to the last line, on one event loop;
`host` is the same over HTTP through the local functions host, which stands in for Azure's.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from bench.rebuild_region import MeasuredRegion
from bench.report import ROOT, Mark, Table, at_most, finish, note, percentile
from shared.chat.service import ChatService
from shared.clients import Services
from shared.settings import Settings

LAKE = ROOT / "sample-lake"
DIMENSIONS = 384
CALLERS = (1, 8, 32)
WARM_UP = 2  # rounds over all questions before anything is measured: the recorder and the connections need one
LIMIT_MS = 15.0  # what the app's own p50 at one caller may be

Answering = Callable[[bytes], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds from the request to the passages, to the first piece of the answer, and to the last line."""

    passages: float
    first_delta: float
    whole: float


async def timed(answering: Answering, body: bytes) -> Timed:
    """Ask one question and read the answer to its end. Raises RuntimeError when it is not a whole one."""
    started = time.perf_counter()
    passages = delta = 0.0
    line = b""
    async for line in answering(body):
        now = time.perf_counter() - started
        passages = passages or now
        if not delta and line.startswith(b'{"delta"'):
            delta = now
    if b'"done":true' not in line:
        raise RuntimeError(f"not a whole answer: {line[:300]!r}")
    return Timed(passages, delta, time.perf_counter() - started)


async def load(answering: Answering, bodies: Sequence[bytes], callers: int, requests: int) -> dict[str, Any]:
    """Have so many callers ask so many questions in all; returns the figures, times in milliseconds."""
    numbers = count()
    taken: list[Timed] = []

    async def caller() -> None:
        while (number := next(numbers)) < requests:
            taken.append(await timed(answering, bodies[number % len(bodies)]))

    started, worked = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds = time.perf_counter() - started
    figures: dict[str, Any] = {"callers": callers, "requests": requests, "requests_per_second": requests / seconds}
    figures["processor_ms"] = (time.process_time() - worked) / requests * 1000
    for name in ("whole", "passages", "first_delta"):
        values = [getattr(one, name) * 1000 for one in taken]
        figures |= {f"{name}_p50_ms": percentile(values, 0.5), f"{name}_p95_ms": percentile(values, 0.95)}
    return figures


def in_process(services: Services) -> Answering:
    """Return how the app answers, from the request's bytes to the reply's lines."""
    chat = ChatService(services)

    async def answering(body: bytes) -> AsyncIterator[bytes]:
        async for line in await chat.stream(body, {}, "127.0.0.1"):
            yield line

    return answering


def over_http(session: aiohttp.ClientSession, url: str) -> Answering:
    """Return how a client of the app sees it."""

    async def answering(body: bytes) -> AsyncIterator[bytes]:
        async with session.post(f"{url}/api/chat/stream", data=body) as reply:
            async for line in reply.content:
                yield line

    return answering


@contextmanager
def recorder(environ: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield the settings with a recorder before search and model."""
    model = environ["OPENAI_ENDPOINT"].removesuffix("/openai/v1")
    command = [sys.executable, "-m", "bench.chat_recorder", "--search", environ["SEARCH_ENDPOINT"], "--model", model]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        _, search, model = process.stdout.readline().split()
        yield {**environ, "SEARCH_ENDPOINT": search, "OPENAI_ENDPOINT": f"{model}/openai/v1"}
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


async def fill(services: Services) -> None:
    """Put the sample lake into a generation of its own, and let it answer."""
    generation = services.generations.name_at(datetime.now(UTC))
    await services.generations.create(generation)
    container = services.lake_account.get_container_client(services.settings.lake_container)
    for file in sorted(path for path in LAKE.rglob("*") if path.is_file() and not path.name.startswith(".")):
        path = file.relative_to(LAKE).as_posix()
        await container.upload_blob(path, file.read_bytes())
        await services.indexer.converge(path, generation)
    await services.generations.go_live(generation)


async def rows(
    way: str, answering: Answering, bodies: Sequence[bytes], requests: int, at_once: Sequence[int] = CALLERS
) -> list[dict[str, Any]]:
    """Measure one way at several numbers of callers."""
    for body in list(bodies) * WARM_UP:
        await timed(answering, body)
    found = []
    for callers in at_once:
        note(f"{way}, {callers} callers")
        found.append({"way": way, **await load(answering, bodies, callers, requests)})
    return found


async def measure(folder: Path, requests: int) -> list[dict[str, Any]]:
    """Return the rows of all ways. Processor time is this process's: the app's where it runs in it."""
    questions = json.loads((LAKE / ".questions.json").read_text(encoding="utf-8"))
    bodies = [json.dumps({"messages": [{"role": "user", "content": one["question"]}]}).encode() for one in questions]
    overrides = {"CHAT_REQUESTS_PER_MINUTE": "0"}
    region = MeasuredRegion(folder, DIMENSIONS, overrides)
    async with region.running():
        note("indexing the sample lake")
        real = region.services()
        await fill(real)
        found = await rows("app, local model and search", in_process(real), bodies, 4 * len(bodies), (1,))
        await real.close()
        with recorder(region.environ) as environ:
            services = Services(Settings.from_env(environ))
            found += await rows("app", in_process(services), bodies, requests)
            await services.close()
            region.environ = environ
            async with region.host(), aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                seen = await rows("host", over_http(session, region.region.url), bodies, requests)
                found += [{name: value for name, value in row.items() if name != "processor_ms"} for row in seen]
    return found


def tables(found: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the table."""
    columns = {
        "callers": "callers",
        "answers/s": "requests_per_second",
        "CPU ms": "processor_ms",
        "p50 ms": "whole_p50_ms",
        "p95 ms": "whole_p95_ms",
        "first delta p50": "first_delta_p50_ms",
        "first delta p95": "first_delta_p95_ms",
    }
    yield Table(
        "One streamed answer; model and search answer at once, but in the first row",
        ("", *columns),
        [(row["way"], *(row.get(name) for name in columns.values())) for row in found["rows"]],
    )


def marks(found: Mapping[str, Any]) -> Iterator[Mark]:
    """Yield what is asked of the app."""
    own = next(row["whole_p50_ms"] for row in found["rows"] if (row["way"], row["callers"]) == ("app", 1))
    yield at_most("the app's own p50 at one caller, ms", own, found["limit_ms"])


def main() -> int:
    """Measure, print, write; returns 1 when the app's own time at one caller is over the limit."""
    parser = argparse.ArgumentParser(prog="bench.chat", description="measure the app's own time for an answer")
    parser.add_argument("--requests", type=int, default=400, help="questions asked at each number of callers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-chat-") as folder:
        found = asyncio.run(measure(Path(folder), options.requests))
    figures = {"requests": options.requests, "rows": found, "limit_ms": LIMIT_MS}
    packages = ("openai", "azure-search-documents", "aiohttp")
    return finish("chat", figures, tables(figures), packages, marks(figures))


if __name__ == "__main__":
    sys.exit(main())
