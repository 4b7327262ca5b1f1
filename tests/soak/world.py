"""A world for one schedule: models of the services, several processes of the real app, and the rules that they obey."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from azure.core.exceptions import AzureError

import shared.reconcile
from shared.embeddings.budget import Budget
from shared.embeddings.model import Embedder, EmbeddingModel
from shared.embeddings.store import EmbeddingStore
from shared.errors import Throttled, WarmlakeError
from shared.index.chunks import Chunks
from shared.index.writer import BulkWriter
from shared.lake.container import Lake
from shared.recovery.manifest import Entry
from shared.state import RegionalState
from shared.sync import Indexer, Outcome
from tests.soak import clock
from tests.soak.blobs import Blob, BlobStore, Container
from tests.soak.extraction import PIPELINE, extracted
from tests.soak.process import Network, Process
from tests.soak.schedule import Operation, Schedule
from tests.soak.search import DIMENSIONS, IndexStore, Model, Search
from tests.soak.watch import CONTAINER, Violation, Watch, document_of

GENERATION = "documents-20260101000000"
TRIES = 3  # of one delivery; then it is lost, as in a poison queue
REDELIVERED = 6.0  # seconds after a failure
SETTLED = 120.0  # seconds until every lease has lapsed


@dataclass(frozen=True, slots=True)
class Event:
    """What an event claims: written or deleted, and which version it was about. The app takes the path alone."""

    path: str
    blob: Blob | None


class Watched(Indexer):
    """The app's indexer; its documents are those of the schedules, and what it calls done is checked."""

    watch: Watch
    event: Event | None = None

    async def _converge_held(self, path: str, key: str, index: Chunks, retry_problems: bool, rewrite: bool) -> Outcome:
        outcome = await super()._converge_held(path, key, index, retry_problems, rewrite)
        if outcome.result in ("indexed", "unchanged") and _holds_its_lease(index):
            self.watch.whole(path)
        return outcome


@dataclass(frozen=True, slots=True)
class Variant:
    """An app to put under schedules: the real one, or one with a known bug in it."""

    name: str
    indexer: type[Watched] = Watched
    writer: type[BulkWriter] = BulkWriter
    state: type[RegionalState] = RegionalState


THE_APP = Variant("the app")


class World:
    """One run of one schedule."""

    def __init__(self, schedule: Schedule, variant: Variant = THE_APP) -> None:
        self.schedule = schedule
        self.variant = variant
        self.lake = BlobStore(CONTAINER, versioned=True)
        self.embeddings = BlobStore("embeddings", versioned=True)
        self.state = BlobStore("warmlake", versioned=False)
        self.index = IndexStore(refused=set(schedule.refused_actions))
        self.watch = Watch(self.lake, self.index)
        self.index.written = self.watch.written_chunk
        self.index.deleted = self.watch.deleted_chunk
        self.network = Network(
            random.Random(schedule.seed), dict(schedule.crashes), set(schedule.faults), set(schedule.stalls)
        )
        self.fault: Violation | None = None
        self.calls = 0  # to services, until every event was handled
        self._workers = asyncio.Semaphore(schedule.workers)
        self._deliveries: list[asyncio.Task[None]] = []

    def indexer(
        self, process: Process, embeddings: BlobStore | None = None, index: IndexStore | None = None
    ) -> Watched:
        """Return the app's indexer in a process."""
        search = cast(Any, Search(index or self.index, process))
        writer = self.variant.writer(search, 2)
        model = Embedder(cast(Any, Model(process)), EmbeddingModel("m", DIMENSIONS), len, 64, Budget(0, 4))
        listing = cast(Any, Container.list_blobs)
        stored = cast(Any, Container(embeddings or self.embeddings, process))
        made = self.variant.indexer(
            lake=Lake(cast(Any, Container(self.lake, process)), listing),
            store=EmbeddingStore(stored, PIPELINE, DIMENSIONS, listing=listing),
            embedder=model,
            state=self.variant.state(cast(Any, Container(self.state, process))),
            chunks_of=lambda generation: Chunks(search, writer),
            pipeline=PIPELINE,
            extract=extracted,
            max_bytes=10_000,
        )
        made.watch = self.watch
        return made

    # ---- what happens ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Let everything happen, then require that it ends well."""
        started = asyncio.get_running_loop().time()
        for operation in self.schedule.operations:
            await asyncio.sleep(started + operation.at - asyncio.get_running_loop().time())
            self.operate(operation)
        await self.end_well(self.schedule.calm)

    def operate(self, operation: Operation) -> None:
        """Change the lake now; its events are delivered when they are to be."""
        for event, deliveries in self._change(operation):
            self._deliveries += [asyncio.create_task(self._deliver(event, delay)) for delay in deliveries]

    async def end_well(self, calm: bool) -> None:
        """Let the dust settle, reconcile, and compare with a recomputation. Raises Violation.

        After a calm schedule the index must be true to the lake before the reconcile.
        """
        await asyncio.gather(*self._deliveries)
        if self.fault:
            raise self.fault
        self.calls = self.network.calls
        await asyncio.sleep(SETTLED)
        self.network.calm_down()
        self.index.refused = set()
        if calm:
            self._require_truth("every event arrived")
        await self._reconcile()
        self._require_truth("after one reconcile")
        again = await self._reconcile()
        if sum(again["found"].values()) or again["failed"]:
            raise Violation(f"a second reconcile found {again['found']} {again['failed']} {again['paths']}")
        await self._require_recomputation()

    def _change(self, operation: Operation) -> list[tuple[Event, tuple[float, ...]]]:
        """Change the lake; returns the events of it with their deliveries. What is impossible changes nothing."""
        path, deliveries = operation.path, operation.deliveries
        current = self.lake.blobs.get(path)
        if operation.act == "put":
            return [(self._put(path, operation.text.encode(), {}), deliveries)]
        if operation.act == "restore":
            older = self.lake.history.get(path, [])[-1 - operation.back :]
            return [(self._put(path, older[0].data, older[0].metadata), deliveries)] if older else []
        if current is None:
            return []
        if operation.act == "delete":
            return [(self._delete(path), deliveries)]
        if operation.act == "relabel":
            labels = {"allowed_groups": operation.group} if operation.group else {"owner": "Ada"}
            return [(self._put(path, current.data, labels), deliveries)]
        if operation.act == "again":
            return [(self._put(path, current.data, current.metadata), deliveries)]
        if operation.other == path:
            return []
        copied = self._put(operation.other, current.data, current.metadata)
        return [(copied, operation.deliveries_of_other), (self._delete(path), deliveries)]

    def _put(self, path: str, data: bytes, metadata: dict[str, str]) -> Event:
        existed = path in self.lake.blobs
        blob = self.lake.put(path, data, metadata, asyncio.get_running_loop().time())
        self.watch.wrote(blob, existed)
        return Event(path, blob)

    def _delete(self, path: str) -> Event:
        self.lake.delete(path)
        self.watch.deleted(path)
        return Event(path, None)

    async def _deliver(self, event: Event, delay: float) -> None:
        """Hand an event to a process of its own; after a crash or a fault it is delivered again, some times."""
        await asyncio.sleep(delay)
        for _ in range(TRIES):
            async with self._workers:
                process = Process(self.network)
                if await self._handled(process, event):
                    return
            await asyncio.sleep(REDELIVERED)

    async def _handled(self, process: Process, event: Event) -> bool:
        indexer = self.indexer(process)
        indexer.event = event
        task = asyncio.create_task(indexer.converge(event.path, GENERATION))
        process.main = task
        try:
            await task
        except asyncio.CancelledError:
            if not process.dead:
                raise
            return False
        except Violation as fault:
            self.fault = self.fault or fault
        except (AzureError, WarmlakeError):  # a fault of a service: the trigger is tried again
            return False
        return True

    # ---- what must be true -----------------------------------------------------------------------------------------

    async def _reconcile(self) -> dict[str, Any]:
        """Run the app's reconciler."""
        indexer = self.indexer(Process(self.network))
        services = SimpleNamespace(
            state=RegionalState(cast(Any, Container(self.state, Process(self.network)))),
            generations=SimpleNamespace(live=_live),
            indexer=indexer,
            lake=indexer.lake,
            pipeline=PIPELINE,
            settings=SimpleNamespace(converge_concurrency=2),
        )
        return await shared.reconcile.reconcile(cast(Any, services))

    def _require_truth(self, when: str) -> None:
        """Every readable document is in the index, field by field as it must be, and nothing that is gone; what is left
        of an unreadable one says so.
        """
        for path in {*self.lake.history, *(one["path"] for one in self.index.documents.values())}:
            held = {key: one for key, one in self.index.documents.items() if one["path"] == path}
            current = self.lake.blobs.get(path)
            want = self.watch.truth(current) if current else {}
            if current is not None and not want:
                if any(one != one | self.watch.labels(one, current) for one in held.values()):
                    raise Violation(f"{path}: an earlier version's chunks do not say that there is a newer one, {when}")
            elif held != want:
                raise Violation(f"{path}: not what the lake says, {when}: {len(held)} chunks, not {len(want)}")

    async def _require_recomputation(self) -> None:
        """The index equals one that is made anew from the lake, and so do the problems: without stored embeddings where
        the newest version can be read, with them where an earlier one has to stand in for it.
        """
        process = Process(self.network)
        readable, fresh = await self._recomputed(process, self.lake.blobs, BlobStore("embeddings", versioned=True))
        have = {key: one for key, one in self.index.documents.items() if one["path"] in readable}
        if have != fresh:
            raise Violation("the index is not what a recomputation makes of the lake")
        _, fresh = await self._recomputed(process, set(self.lake.blobs) - readable, self.embeddings)
        have = {key: one for key, one in self.index.documents.items() if one["path"] not in readable}
        if have != fresh:
            raise Violation("a recomputation does not fall back on the version that the index has fallen back on")
        problems = self.indexer(process).problems
        listed = {problem.path for problem in await problems.list()}
        if listed != set(self.lake.blobs) - readable:
            raise Violation(f"the list of problems is {sorted(listed)}; {sorted(readable)} can be read")

    async def _recomputed(
        self, process: Process, paths: Iterable[str], embeddings: BlobStore
    ) -> tuple[set[str], dict[str, Any]]:
        """Make an index of some documents as a rebuild does; returns the paths that could be read, and the index."""
        fresh = IndexStore()
        indexer = self.indexer(process, embeddings, fresh)
        indexer.problems = indexer.problems.__class__(_scratch(process))
        readable = set()
        for path in paths:
            key, document = indexer.document_id(path), document_of(self.lake.blobs[path])
            outcome = await Indexer.bring(indexer, document, key, (), indexer.chunks(GENERATION), None, False)
            if outcome.result == "indexed":
                readable.add(path)
        return readable, fresh.documents


def _holds_its_lease(index: Chunks) -> bool:
    """Whether nobody else can have changed the document since the worker looked."""
    try:
        cast(Any, index)._check()
    except Throttled:
        return False
    return True


def _scratch(process: Process) -> RegionalState:
    return RegionalState(cast(Any, Container(BlobStore("scratch", versioned=False), process)))


async def _live() -> str:
    return GENERATION


async def sorted_in_memory(documents: Any, id_of: Callable[[str], str]) -> Any:
    """As `manifest.sorted_entries`, which sorts in files because lakes are larger than memory."""
    entries = [Entry(id_of(document.path), document) async for document in documents]
    for entry in sorted(entries, key=lambda entry: entry.id):
        yield entry


def fault_of(schedule: Schedule, variant: Variant = THE_APP) -> Violation | None:
    """Run a schedule; returns what it has shown to be wrong, if anything."""
    return run(World(schedule, variant).run(), schedule.seed)


def run(main: Coroutine[Any, Any, None], seed: int) -> Violation | None:
    """Run a coroutine in virtual time; returns the violation that it ended with, if any."""
    random.seed(seed)  # the app's own jitter
    with patch("shared.reconcile.sorted_entries", sorted_in_memory):
        try:
            clock.run(main)
        except Violation as fault:
            return fault
    return None
