"""`make run`: everything for one region on one machine, under one supervisor, until Ctrl-C.

1. Start storage, search, lake, model and the functions host; each is started again if it ends.
2. Create the containers; on the first start build the first generation, empty.
3. Upload the documents of a folder and wait until they are indexed; then follow the folder.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob.aio import BlobServiceClient

from local.children import Child, StartFailed
from local.mirror import Changes, Mirror
from local.region import DOCUMENTS, EMBEDDINGS, ROOT, STATE, ModelChoice, Region, new_region
from shared.lake.model import PROBES

FOLLOW_SECONDS = 1.0
POLL_SECONDS = 0.3
STALLED_SECONDS = 120.0  # without any progress the wait for indexing ends, with a word about it
QUESTIONS = ".questions.json"
_SHOWN = re.compile(r"WARNING|ERROR|CRITICAL|Traceback|converge document=|Exception")
_COLOURS = {"host": 36, "lake": 34, "search": 35, "model": 33, "storage": 90, "blobs": 90, "warmlake": 32}


class CannotRun(Exception):
    """Why it cannot start, in one line."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    port: int
    lake: Path
    data: Path
    model: ModelChoice
    verbose: bool
    faults: bool = False


class Console:
    """The combined log: what matters goes to the terminal, everything to a file."""

    def __init__(self, file: Path, verbose: bool) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file.open("a", encoding="utf-8")
        self._verbose = verbose
        self._colour = sys.stdout.isatty()

    def line(self, name: str, text: str) -> None:
        """Take one line of a service."""
        stamp = time.strftime("%H:%M:%S")
        self._file.write(f"{stamp} {name:8} {text}\n")
        self._file.flush()
        if self._verbose or _SHOWN.search(text):
            self._print(stamp, name, text)

    def say(self, text: str) -> None:
        """Say something of the supervisor's own."""
        stamp = time.strftime("%H:%M:%S")
        self._file.write(f"{stamp} warmlake {text}\n")
        self._file.flush()
        self._print(stamp, "warmlake", text)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _print(self, stamp: str, name: str, text: str) -> None:
        shown = f"\033[{_COLOURS.get(name, 37)}m{name:8}\033[0m" if self._colour else f"{name:8}"
        print(f"{stamp} {shown} {text}", flush=True)


def run(options: Options) -> int:
    """Run until SIGINT or SIGTERM; returns the exit code."""
    try:
        folder = _data_folder(options)
        _check(options)
        console = Console(folder / "run.log", options.verbose)
        region = new_region("local", folder, options.port, options.model, json.dumps(_questions(options.lake)))
        region = dataclasses.replace(region, faults=options.faults)
        with contextlib.closing(console):
            asyncio.run(_run(region, options, console))
    except (CannotRun, StartFailed, TimeoutError, AzureError) as fault:
        print(f"warmlake: {str(fault).splitlines()[0]}", file=sys.stderr)
        return 1
    return 0


def _check(options: Options) -> None:
    if not options.lake.is_dir():
        raise CannotRun(f"LAKE {str(options.lake)!r} is not a folder; give the folder that holds your documents")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", options.port))
        except OSError as taken:
            raise CannotRun(
                f"port {options.port} is taken; stop what listens there, or choose another: make run PORT=7072"
            ) from taken


def _data_folder(options: Options) -> Path:
    """Return the folder that keeps this lake's data: another folder of documents is another lake."""
    lake = options.lake.resolve()
    return options.data / f"{lake.name}-{hashlib.sha256(str(lake).encode()).hexdigest()[:8]}"


def _questions(lake: Path) -> list[str]:
    file = lake / QUESTIONS
    return [item["question"] for item in json.loads(file.read_text(encoding="utf-8"))][:3] if file.exists() else []


async def _run(region: Region, options: Options, console: Console) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    children = region.children(console.line)
    work = asyncio.create_task(_serve(region, options, console, children))
    stop = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()  # it ends only by an error, which is raised here
    finally:
        work.cancel()
        stop.cancel()
        await asyncio.gather(work, stop, return_exceptions=True)
        console.say("stopping")
        for child in reversed(children):
            await child.stop()


async def _serve(region: Region, options: Options, console: Console, children: list[Child]) -> None:
    console.say(f"starting; data and the whole log are in {region.folder}")
    for child in children:
        if child.name == "host":
            await _create_containers(region)
        await child.start(ROOT)
        console.say(f"{child.name} is ready")
    async with (
        aiohttp.ClientSession(region.url) as http,
        BlobServiceClient.from_connection_string(region.lake_connection) as lake,
    ):
        await _first_generation(http, console)
        memory = region.folder / "mirror.json"
        mirror = Mirror(options.lake, lake.get_container_client(DOCUMENTS), memory)
        changes = await mirror.sync()
        await _upload_probes(options.lake, lake)
        console.say(f"{options.lake}: {len(changes.uploaded)} documents uploaded, {mirror.documents} in the lake")
        await _wait_until_indexed(http, mirror, console)
        await _welcome(region, http, console)
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            with contextlib.suppress(FileNotFoundError):  # a file that was there a moment ago; the next pass sees
                _tell(await mirror.sync(), console)


def _tell(changes: Changes, console: Console) -> None:
    for path in changes.uploaded:
        console.say(f"{path} changed in the folder: uploaded")
    for path in changes.deleted:
        console.say(f"{path} is gone from the folder: deleted in the lake")


async def _create_containers(region: Region) -> None:
    for connection, names in (
        (region.lake_connection, (DOCUMENTS, EMBEDDINGS)),
        (region.storage_connection, (STATE,)),
    ):
        async with BlobServiceClient.from_connection_string(connection) as service:
            for name in names:
                with contextlib.suppress(ResourceExistsError):
                    await service.create_container(name)


async def _upload_probes(folder: Path, lake: BlobServiceClient) -> None:
    """Give the lake the folder's questions as probes: a rebuild asks them before it lets a generation answer."""
    file = folder / QUESTIONS
    if file.exists():
        probes = [{"question": item["question"], "path": item["path"]} for item in json.loads(file.read_text("utf-8"))]
        blob = lake.get_blob_client(DOCUMENTS, PROBES)
        await blob.upload_blob(json.dumps(probes, ensure_ascii=False).encode(), overwrite=True)


async def _first_generation(http: aiohttp.ClientSession, console: Console) -> None:
    """Build the first generation where there is none: from then on events keep the index true to the lake."""
    if (await _get(http, "/api/status"))["ready"]:
        return
    console.say("first start: building the first generation")
    body = {"reason": "first start", "force": True}
    async with http.post("/api/recovery/rebuild", json=body) as reply:
        started = await reply.json()
        if reply.status != 202:
            raise CannotRun(f"the first generation could not be started: {started}")
    phase = ""
    async for report in _poll(http, started["url"]):
        if report.get("phase", phase) != phase:
            phase = report["phase"]
            console.say(f"first generation: {phase}")
        if report["status"] != "running":
            if report["status"] != "completed":
                raise CannotRun(f"the first generation failed: {report}")
            return


async def _wait_until_indexed(http: aiohttp.ClientSession, mirror: Mirror, console: Console) -> None:
    last, since = (-1, -1), time.monotonic()
    async for status in _poll(http, "/api/status"):
        now = (status["documents"], status["problems"])
        if now != last:
            last, since = now, time.monotonic()
            console.say(f"indexed {now[0]} of {mirror.documents} documents ({status['chunks']} chunks)")
        if sum(now) >= mirror.documents:
            break
        if time.monotonic() - since > STALLED_SECONDS:
            console.say("WARNING indexing does not go on; the log says why")
            return
    if last[1]:
        console.say(f"{last[1]} documents could not be read: see /api/documents/problems")


async def _welcome(region: Region, http: aiohttp.ClientSession, console: Console) -> None:
    status = await _get(http, "/api/status")
    questions = json.loads(region.questions)
    console.say(f"ready: {region.url}  ({status['documents']} documents, model {status['model']})")
    for question in questions:
        console.say(f'  try: "{question}"')
    console.say(f"the lake, for Azure's own tools: {region.lake_connection}")
    for name, address in region.fault_addresses().items():
        console.say(f"{name} takes rules for failing on purpose at {address}")
    console.say("edit the folder and the answers follow; Ctrl-C stops everything")


async def _poll(http: aiohttp.ClientSession, path: str) -> AsyncIterator[dict[str, Any]]:
    while True:
        yield await _get(http, path)
        await asyncio.sleep(POLL_SECONDS)


async def _get(http: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    """Return a JSON answer; a host that is being started again is waited for."""
    for _ in range(100):
        try:
            async with http.get(path) as reply:
                value: dict[str, Any] = await reply.json(content_type=None)
                if reply.status == 200:
                    return value
                fault = f"{path} answers {reply.status}: {value}"
        except aiohttp.ClientConnectionError as error:
            fault = f"{path}: {error}"
        await asyncio.sleep(POLL_SECONDS)
    raise CannotRun(fault)
