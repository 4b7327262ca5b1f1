"""The steps that scenarios are made of, and what they share."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from azure.storage.blob.aio import BlobServiceClient

from local.drill.corpus import Depot, depots
from local.drill.guard import Sampler, get
from local.drill.judge import MayAnswer, Verdict
from local.drill.ledger import Cut, Ledger, Write
from local.drill.load import Reader, Users, Writers
from local.drill.record import Record
from local.drill.releases import prepare
from local.drill.stamps import Estate, Stamp, new_estate
from local.region import DOCUMENTS
from shared.clients import Services
from shared.lake.replica import last_sync_time
from shared.recovery.probes import PROBES

POLL_SECONDS = 0.1
SPARE_SHARE = 0.2  # of the documents are added only while the drill runs
LOADS_AT_ONCE = 8
PROBE_QUESTIONS = 3


class DrillFailed(Exception):
    """The drill cannot go on; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. Durations are in seconds; `sabotage` names what is wrong with the app, "" for nothing."""

    scenario: str = "region-loss"
    documents: int = 60
    lag: float = 8.0
    seed: int = 1
    decide: float = 0.0
    questions_per_second: float = 1.0
    change_seconds: float = 1.5
    after: float = 12.0
    scale: float = 1.0
    sabotage: str = ""
    folder: Path = field(default_factory=Path)


@dataclass(slots=True)
class Drill:
    """A drill under way."""

    options: Options
    estate: Estate
    record: Record
    http: aiohttp.ClientSession
    ledger: Ledger = field(default_factory=Ledger)
    cuts: dict[str, Cut] = field(default_factory=dict)  # what regions hold that were rebuilt from the replica
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def oracle(self, region: str, asked: float) -> MayAnswer:
        """Return which editions a region may answer from, for a question asked at a time."""
        cut = self.cuts.get(region)
        if cut is not None:
            return cut.may_have
        return lambda path: self.ledger.may_answer(region, path, asked)

    def follow(self, region: str) -> None:
        """Let a region that was rebuilt at a cut answer from anything newer too: the lake that it follows is back."""
        cut = self.cuts.pop(region)
        for path, edition in cut.documents.items():
            self.ledger.saw(region, path, edition, time.time())

    # ---- beginning ---------------------------------------------------------------------------------------------------

    async def begin(self) -> tuple[Users, Writers]:
        """Start region one, fill and index its lake; returns the load, which is not running yet."""
        self.record.event("start", f"seed {self.options.seed}, {self.options.documents} documents")
        await self.estate.start()
        self.record.event("region one is up")
        spare = max(1, round(self.options.documents * SPARE_SHARE))
        made = depots(self.options.seed, self.options.documents + spare)
        services = await self.services(self.estate.one)
        await self._fill(services.lake_account, made[: self.options.documents])
        report = await self.rebuild(self.estate.one, reason="first", force=True)
        completed(report, "the first rebuild")
        chunks = (await self.app(self.estate.one, "/api/status"))["chunks"]
        self.record.event("corpus indexed", f"{self.options.documents} documents, {chunks} chunks")
        users = Users(
            self.http,
            self.estate.traffic_url,
            self.ledger,
            self.record,
            self.oracle,
            random.Random(f"users {self.options.seed}"),
            self.options.questions_per_second,
            known=list(made[: self.options.documents]),
        )
        reader = Reader(services, "one", self.ledger, self.record)
        lake = BlobServiceClient.from_connection_string(self.estate.one.region.lake_connection, retry_total=0)
        await self._stack.enter_async_context(lake)
        writers = Writers(
            lake,
            users,
            reader,
            list(made[self.options.documents :]),
            random.Random(f"writers {self.options.seed}"),
            self.options.change_seconds,
        )
        self._stack.callback(writers.abandon)
        return users, writers

    async def _fill(self, lake: BlobServiceClient, made: Iterable[Depot]) -> None:
        slots = asyncio.Semaphore(LOADS_AT_ONCE)

        async def put(depot: Depot) -> None:
            async with slots:
                write = self.ledger.begin(Write(depot, 1, time.time()))
                said = await lake.get_blob_client(DOCUMENTS, depot.path).upload_blob(depot.text(1).encode())
                etag = said["etag"].strip('"')
                self.ledger.acknowledge(write, time.time(), said["version_id"], etag, said["last_modified"])

        chosen = list(made)
        await asyncio.gather(*map(put, chosen))
        probes = [{"question": one.question, "path": one.path} for one in chosen[:PROBE_QUESTIONS]]
        await lake.get_blob_client(DOCUMENTS, PROBES).upload_blob(json.dumps(probes).encode(), overwrite=True)

    # ---- what runs beside --------------------------------------------------------------------------------------------

    def run(self, name: str, work: Any) -> None:
        """Run something beside the scenario until `halt` or the end; what it raises ends the drill."""
        self._tasks[name] = asyncio.create_task(work, name=name)

    async def halt(self, name: str) -> None:
        """End something that runs beside."""
        task = self._tasks.pop(name)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def check_beside(self) -> None:
        """Raise what something beside has raised."""
        for task in self._tasks.values():
            if task.done() and not task.cancelled() and (fault := task.exception()):
                raise DrillFailed(f"{task.get_name()}: {fault!r}") from fault

    def sample(self) -> None:
        """Begin to sample for the plot."""
        self.run("sampler", Sampler(self.http, self.estate, self.ledger, self.record).run())

    async def services(self, stamp: Stamp) -> Services:
        """Return clients of a region, closed at the end."""
        made = stamp.services()
        self._stack.push_async_callback(made.close)
        return made

    async def end(self) -> None:
        """Stop everything."""
        for name in list(self._tasks):
            await self.halt(name)
        await self._stack.aclose()
        await self.estate.stop()

    # ---- waiting -----------------------------------------------------------------------------------------------------

    async def until(self, what: str, seconds: float, holds: Callable[[], Any]) -> None:
        """Wait until something holds; `holds` may be a coroutine function. Raises DrillFailed when it does not."""
        deadline = time.monotonic() + seconds
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            self.check_beside()
            if time.monotonic() > deadline:
                raise DrillFailed(f"not within {seconds:g} s: {what}")
            await asyncio.sleep(POLL_SECONDS)

    async def endpoint(self, name: str) -> str:
        """Return the state of a region in Traffic Manager."""
        status, profile = await get(self.http, f"{self.estate.traffic_url}/profile")
        if status != 200:
            raise DrillFailed("traffic manager does not answer")
        return next(str(one["status"]) for one in profile["endpoints"] if one["name"] == name)

    async def route(self, name: str, status: str) -> None:
        """Take a region out of routing ("Disabled"), or put it in again ("Enabled")."""
        url = f"{self.estate.traffic_url}/endpoints/{name}"
        async with self.http.post(url, json={"status": status}) as reply:
            reply.raise_for_status()

    # ---- the app -----------------------------------------------------------------------------------------------------

    async def app(self, stamp: Stamp, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the JSON that a region's app answers; with a body it is a POST. Raises DrillFailed."""
        method = "GET" if body is None else "POST"
        try:
            async with self.http.request(method, stamp.url + path, json=body) as reply:
                found: dict[str, Any] = await reply.json(content_type=None)
                if reply.status >= 300:
                    raise DrillFailed(f"{stamp.name} {method} {path}: {reply.status} {found}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as fault:
            raise DrillFailed(f"{stamp.name} {method} {path}: {fault!r}") from fault
        return found

    async def rebuild(
        self, stamp: Stamp, watch: Callable[[dict[str, Any]], None] | None = None, **body: Any
    ) -> dict[str, Any]:
        """Rebuild a region's index and return the report, whatever it says. Raises DrillFailed when it takes too long.

        `watch` is called with what the app says on the way; what it raises ends the waiting.
        """
        started = await self.app(stamp, "/api/recovery/rebuild", body)
        deadline = time.monotonic() + 180.0
        while True:
            status, said = await get(self.http, stamp.url + started["url"])
            if status == 200 and said["status"] not in ("running", "interrupted"):
                return dict(said)
            if watch is not None:
                watch(said if status == 200 else {})
            self.check_beside()
            if time.monotonic() > deadline:
                raise DrillFailed(f"{stamp.name}: the rebuild does not end: {said}")
            await asyncio.sleep(POLL_SECONDS)

    async def ask_all(self, users: Users, stamp: Stamp, made: Iterable[Depot]) -> None:
        """Ask a region about every document, three at a time; the answers are noted like all others."""
        slots = asyncio.Semaphore(3)

        async def one(depot: Depot) -> None:
            async with slots:
                self.record.answers.append(await users.ask(stamp.name, stamp.url, depot, user=False))

        await asyncio.gather(*map(one, made))

    async def replica_state(self) -> tuple[datetime, float]:
        """Return Last Sync Time as the storage tells it, and up to when everything has really arrived."""
        services = await self.services(self.estate.two)
        moment = await last_sync_time(services.lake_replica_account)
        status, health = await get(self.http, f"{self.estate.replica_url}/-/health")
        if status != 200:
            raise DrillFailed("the lake's replica does not answer")
        return moment, float(health["last_sync_time"])

    async def replicated(self, moment: float) -> None:
        """Wait until the replica has everything up to a time in seconds since 1970."""

        async def arrived() -> bool:
            status, health = await get(self.http, f"{self.estate.replica_url}/-/health")
            return status == 200 and health["last_sync_time"] > moment

        await self.until("the replica has the corpus", 60.0 + self.options.lag, arrived)

    def served_by(self, region: str, since: float) -> bool:
        """Tell whether a region has rightly answered a user's question asked since a time."""
        return any(
            answer.region == region and answer.verdict is Verdict.RIGHT and answer.at >= since
            for answer in self.record.answers
        )


def completed(report: dict[str, Any], what: str) -> None:
    """Raise DrillFailed where a rebuild has not come to a verified end."""
    if report["status"] != "completed":
        raise DrillFailed(f"{what}: {report['status']}: {report.get('error')}")


@contextlib.asynccontextmanager
async def drilling(options: Options, say: Callable[[str], None]) -> AsyncIterator[Drill]:
    """Have a drill's services for the length of the block; nothing of it is left running."""
    estate = new_estate(options.folder, options.lag, ["--scale", str(options.scale)])
    if options.sabotage:
        for stamp in (estate.one, estate.two):
            stamp.app = prepare(options.sabotage, stamp.region.folder / "app")
    async with aiohttp.ClientSession() as http:
        drill = Drill(options, estate, Record(say), http)
        try:
            yield drill
        finally:
            await drill.end()
