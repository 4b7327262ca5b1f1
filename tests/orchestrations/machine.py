"""A region in memory on which the real orchestrator, control and steps run, and whose processes die at a given call.

The services are the models that the soak tests hold to the real ones; added is what only a rebuild needs of the search
service. The durable backend is as forgetful as a local one: an orchestration dies with its process.
"""

import asyncio
import json
import random
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from durabletask import task
from durabletask.client import OrchestrationStatus

from orchestrations import control, names, rebuild
from shared.built import Built
from shared.clients import Services
from shared.embeddings.budget import Budget
from shared.embeddings.model import Embedder, EmbeddingModel
from shared.embeddings.store import EmbeddingStore
from shared.index.chunks import Chunks
from shared.index.generations import Generations
from shared.index.writer import BulkWriter
from shared.lake.container import Lake
from shared.recovery import steps
from shared.recovery.plan import RebuildRequest, plan_from
from shared.source import Source
from shared.state import RegionalState
from shared.sync import Indexer
from tests.soak.blobs import BlobStore, Container
from tests.soak.extraction import PIPELINE, extracted
from tests.soak.process import Network, Process, refused
from tests.soak.search import DIMENSIONS, Document, Found, IndexStore, Model, Search

SETTINGS = SimpleNamespace(
    chunk_target_tokens=150,
    rebuild_page_documents=2,
    rebuild_page_chunks=1_000,
    rebuild_window=2,
    rebuild_min_share=0.5,
    rebuild_max_failed_share=0.01,
    embedding_tokens_per_minute=0,
    embedding_price=0.0,
    embedding_dimensions=DIMENSIONS,
    converge_concurrency=2,
    generations_kept=2,
    region="north",
)
REQUEST = RebuildRequest("test", "primary", dry_run=False, force=False, resume=False)


@dataclass(slots=True)
class SearchService:
    """What the service keeps: its indexes by name, and the alias. `uploads` counts chunks that were written whole."""

    indexes: dict[str, IndexStore] = field(default_factory=dict)
    alias: str | None = None
    uploads: int = 0


class Admin:
    """The SDK's index client, for one process."""

    def __init__(self, service: SearchService, process: Process) -> None:
        self._service = service
        self._process = process

    async def get_alias(self, name: str) -> Any:
        """Return the alias."""

        def effect() -> Any:
            if self._service.alias is None:
                raise refused(404, "NotFound")
            return SimpleNamespace(indexes=[self._service.alias])

        return await self._process.call(effect)

    async def create_or_update_alias(self, alias: Any) -> None:
        """Move the alias."""

        def effect() -> None:
            self._service.alias = alias.indexes[0]

        await self._process.call(effect)

    async def list_index_names(self) -> Any:
        """Yield the names of the indexes."""
        for name in await self._process.call(lambda: sorted(self._service.indexes)):
            yield name

    async def create_or_update_index(self, index: Any) -> None:
        """Create an index; one that is there stays."""
        await self._process.call(lambda: self._service.indexes.setdefault(index.name, IndexStore()) and None)

    async def delete_index(self, name: str) -> None:
        """Delete an index."""
        await self._process.call(lambda: self._service.indexes.pop(name, None) and None)


class Index(Search):
    """One index of the service, with what a rebuild asks besides: counts, and what a vector query finds."""

    def __init__(self, service: SearchService, name: str, process: Process) -> None:
        super().__init__(service.indexes.setdefault(name, IndexStore()), process)
        self._service = service

    async def index_documents(self, batch: Any, **options: Any) -> list[Any]:
        """Apply a batch, and count what is uploaded when it is applied."""
        body = batch.read()
        store = self._store
        before, store.written = store.written, self._count(re.findall(rb'"@search.action":"upload"', body))
        try:
            return await super().index_documents(SimpleNamespace(read=lambda: body), **options)  # type: ignore[arg-type]
        finally:
            store.written = before

    def _count(self, uploads: list[bytes]) -> Callable[[Document], None]:
        left = iter(uploads)

        def written(_: Document) -> None:
            self._service.uploads += next(left, None) is not None

        return written

    async def search(self, search_text: str = "*", **options: Any) -> Found:  # type: ignore[override]
        """Search as the model of the schedules does; vector queries find what has a vector."""
        count, vectors = options.pop("include_total_count", False), options.pop("vector_queries", ())
        top = options.pop("top", 50)
        found = (await super().search(search_text, top=10**6, **options)).results
        if vectors:
            found = [one for one in found if self._store.documents[one["id"]].get("content_vector")]
        return Found(found[:top], len(found) if count else None)


class Machine:
    """A region, its lake, and the processes that run there one after the other."""

    def __init__(self, network: Network | None = None) -> None:
        self.network = network or Network(random.Random(0), quick=True)
        self.lake = BlobStore("documents", versioned=True)
        self.embeddings = BlobStore("embeddings", versioned=True)
        self.state = BlobStore("warmlake", versioned=False)
        self.search = SearchService()
        self.models: list[Model] = []
        self.reports: list[dict[str, Any]] = []

    @property
    def texts_embedded(self) -> int:
        """How many texts were sent to the embedding model."""
        return sum(model.texts for model in self.models)

    def services(self, process: Process) -> Services:
        """Return the app's services in a process."""
        writers: dict[str, BulkWriter] = {}

        def chunks(name: str) -> Chunks:
            index = cast(Any, Index(self.search, name, process))
            return Chunks(index, writers.setdefault(name, BulkWriter(index, 2)))

        model = Model(process)
        self.models.append(model)
        state = RegionalState(cast(Any, Container(self.state, process)))
        listing = cast(Any, Container.list_blobs)
        lake = Lake(cast(Any, Container(self.lake, process)), listing)
        embeddings = cast(Any, Container(self.embeddings, process))
        store = EmbeddingStore(embeddings, PIPELINE, DIMENSIONS, listing=listing)
        indexer = Indexer(
            lake=lake,
            store=store,
            embedder=Embedder(cast(Any, model), EmbeddingModel("m", DIMENSIONS), len, 64, Budget(0, 4)),
            state=state,
            chunks_of=chunks,
            pipeline=PIPELINE,
            extract=extracted,
            max_bytes=10_000,
        )
        generations = Generations(cast(Any, Admin(self.search, process)), "documents", DIMENSIONS)
        source = Source(cast(Any, None), lake, store, indexer, replica=False)
        return cast(
            Services,
            SimpleNamespace(
                settings=SETTINGS,
                source=lambda name: source,
                indexer=indexer,
                lake=lake,
                state=state,
                pipeline=PIPELINE,
                reading_slots=asyncio.Semaphore(SETTINGS.converge_concurrency),
                vectors="m",
                built=Built(PIPELINE, "m", generations, chunks, state),
                generations=generations,
            ),
        )


class Host:
    """One life of a functions host: the durable client that control uses, and the orchestration while it runs."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.process = Process(machine.network)
        self.services = machine.services(self.process)
        self.start: dict[str, Any] | None = None
        self.running = False

    # ---- the durable client ----------------------------------------------------------------------------------------

    async def get_orchestration_state(self, instance: str, **_: Any) -> Any:
        """Return the instance's state; nothing is known of what ran before this host."""
        if self.start is None:
            return None
        status = OrchestrationStatus.RUNNING if self.running else OrchestrationStatus.COMPLETED
        return SimpleNamespace(
            runtime_status=status, serialized_custom_status=None, serialized_input=json.dumps(self.start)
        )

    async def schedule_new_orchestration(self, name: str, *, input: dict[str, Any], instance_id: str) -> str:
        """Take an orchestration; it runs when the host is asked to."""
        self.start, self.running = input, True
        return instance_id

    async def purge_orchestration(self, instance: str, **_: Any) -> None:
        """Forget the instance."""
        self.start = None

    async def terminate_orchestration(self, instance: str, **_: Any) -> None:
        """End the orchestration; as in Azure, an activity that is under way is not ended with it."""
        self.running = False

    async def wait_for_orchestration_completion(self, instance: str, **_: Any) -> None:
        """Return at once: it has ended."""

    # ---- life --------------------------------------------------------------------------------------------------------

    async def request(self) -> None:
        """Take the operator's request for a rebuild, and run it to its end."""
        await control.start_rebuild(self.services, cast(Any, self), REQUEST, "operator")
        await self.run()

    async def resume(self) -> str | None:
        """Do what the timer does, and run what it has found to its end."""
        found = await control.resume_interrupted(self.services, cast(Any, self))
        if found is not None:
            await self.run()
        return found

    async def run(self) -> None:
        """Run the orchestration."""
        assert self.start is not None
        self.machine.reports.append(await Engine(self.activity).run(self.start))
        self.running = False

    async def activity(self, name: str, value: Any) -> Any:
        """Run an activity in this process, as `orchestrations.activities` does."""
        return await ACTIVITIES[name](self.services, value)


async def _plan(services: Services, start: dict[str, Any]) -> dict[str, Any]:
    return {"plan": asdict(await steps.plan_rebuild(services, RebuildRequest(**start["request"]), start["id"]))}


async def _index(services: Services, page: dict[str, Any]) -> dict[str, Any]:
    plan, number = plan_from(page["plan"]), page["number"]
    if page["round"] is not None:
        number = await steps.changed_page(services, plan.id, page["round"], number)
    return asdict(await steps.index_page(services, plan, number))


async def _swap(services: Services, plan: dict[str, Any]) -> dict[str, Any]:
    await steps.swap_alias(services, plan_from(plan))
    return {}


async def _join(services: Services, plan: dict[str, Any]) -> dict[str, Any]:
    return asdict(await steps.join_live(services, plan_from(plan)))


async def _follow(services: Services, plan: dict[str, Any]) -> dict[str, Any]:
    return asdict(await steps.follow_live(services, plan_from(plan)))


ACTIVITIES: dict[str, Callable[[Services, Any], Any]] = {
    names.PLAN_REBUILD: _plan,
    names.CREATE_GENERATION: lambda services, plan: steps.create_generation(services, plan_from(plan)),
    names.INDEX_PAGE: _index,
    names.CATCH_UP: lambda services, round_: steps.catch_up(services, plan_from(round_["plan"]), round_["round"]),
    names.VERIFY_PAGE: lambda services, page: steps.verify_page(services, plan_from(page["plan"]), page["number"]),
    names.PROBE: lambda services, plan: steps.probe(services, plan_from(plan)),
    names.JOIN_LIVE: _join,
    names.SWAP_ALIAS: _swap,
    names.FOLLOW_LIVE: _follow,
    names.RETIRE_GENERATIONS: lambda services, _: steps.retire_generations(services),
    names.WRITE_REPORT: lambda services, report: steps.write_report(services, report),
}


class Engine:
    """Runs the orchestrator's generator: every call it makes becomes an asyncio task at once, several side by side."""

    def __init__(self, activity: Callable[[str, Any], Any]) -> None:
        self._activity = activity
        self._under_way: dict[asyncio.Task[Any], task.CompletableTask[Any]] = {}
        self._again: dict[str, Any] | None = None
        self.current_utc_datetime = datetime(2026, 1, 1, tzinfo=UTC)

    async def run(self, start: dict[str, Any]) -> dict[str, Any]:
        """Run an orchestration to its end; returns its report."""
        try:
            while True:
                self._again = None
                report = await self._execution(start)
                if report is not None:
                    return report
                assert self._again is not None
                start = self._again
        finally:
            for one in self._under_way:
                one.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _execution(self, start: dict[str, Any]) -> dict[str, Any] | None:
        steps_ = rebuild.run(cast(Any, self), start)
        try:
            waited = next(steps_)
            while True:
                while not waited.is_complete:
                    done, _ = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
                    for one in sorted(done, key=lambda one: one.get_name()):
                        self._under_way.pop(one).complete(one.result())
                waited = steps_.send(waited.get_result())
        except StopIteration as end:
            result: dict[str, Any] | None = end.value
            return result

    # ---- the orchestrator's context ----------------------------------------------------------------------------------

    def call_activity(self, name: str, *, input: Any, retry_policy: Any) -> task.CompletableTask[Any]:
        """Begin an activity."""
        promise: task.CompletableTask[Any] = task.CompletableTask()
        label = f"{len(self._under_way):04d}"
        self._under_way[asyncio.create_task(self._activity(name, input), name=label)] = promise
        return promise

    def call_sub_orchestrator(self, name: str, *, input: Any, instance_id: str) -> task.CompletableTask[Any]:
        """Begin a page: its sub-orchestration has one activity."""
        return self.call_activity(input["activity"], input=input, retry_policy=rebuild.RETRY)

    def set_custom_status(self, status: dict[str, Any]) -> None:
        """Take the status, which nobody looks at here."""

    def continue_as_new(self, start: dict[str, Any]) -> None:
        """Go on with a fresh history."""
        self._again = start
