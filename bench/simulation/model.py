"""A rebuild as a discrete-event model: pages in a window, documents in reading slots, a bulk writer, a token budget.

It has the app's own structure (orchestrations/rebuild.py, shared/recovery/steps.py, shared/index/writer.py) and its own
settings. What things take is `Costs`, which is fitted; what services do is `Services`, which is known or asked about.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.simulation.kernel import Process, Resource, Signal, Simulation

MAX_ACTIONS = 1_000  # of a batch
MAX_BYTES = 15_000_000
BYTES_A_NUMBER = 11.0  # of a vector in JSON
BYTES_A_CHUNK = 1_600.0  # of everything else
MINUTE = 60.0
CALM = 8  # batches without a refusal after which one more is sent at once


@dataclass(frozen=True, slots=True)
class Lake:
    """What is rebuilt: documents with so many chunks each, of which a share has its vectors stored."""

    documents: int
    chunks: int
    dimensions: int
    stored: float = 1.0
    tokens: int = 150  # of a chunk

    @property
    def all_chunks(self) -> int:
        """Chunks of all documents."""
        return self.documents * self.chunks


@dataclass(frozen=True, slots=True)
class Settings:
    """The app's settings, with their defaults, and how many instances of it there are."""

    page_documents: int = 50
    page_chunks: int = 1_000
    window: int = 8
    reading: int = 8
    writing: int = 3
    embedding: int = 4
    batch: int = 64
    extracting: int = 2
    instances: int = 1


@dataclass(frozen=True, slots=True)
class Services:
    """What the services do beside what they cost. Seconds; `quota` in tokens a minute, 0 for none.

    `search_delay` and `read_delay` are added to every batch and every read and occupy nobody. Of every `refuse_every`
    batches one is refused, and asks to wait `retry_after`. `search_units` work side by side.
    """

    search_delay: float = 0.0
    read_delay: float = 0.0
    refuse_every: int = 0
    retry_after: float = 1.0
    quota: int = 0
    search_units: int = 1
    model_units: int = 1


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that things take on the machine that was measured; `host` is what occupies the app, `search` the service.

    `start` is before the first listing; `cold` is what a fresh host's first pages cost beside: connections to be
    opened, code that is loaded when it is first needed; `fixed` is what is left after verifying, beside one more
    listing: swap, retiring, report. A document occupies the host with `document`, each of its chunks with `chunk`; a
    batch occupies search with `batch`, each action with `action`. `number` is what each number of a chunk's vector adds
    for the host, and `kept` for search. `text` and `token` are an unstored document's: reading it, embedding it.
    """

    start: float = 0.2
    cold: float = 0.2
    fixed: float = 0.2
    listing: float = 0.002
    page: float = 0.05
    document: float = 0.004
    latency: float = 0.01
    chunk: float = 0.0003
    batch: float = 0.01
    action: float = 0.0006
    number: float = 0.000_000_1
    kept: float = 0.000_000_2
    verify: float = 0.0002
    text: float = 0.02
    token: float = 0.0001


@dataclass(frozen=True, slots=True)
class Predicted:
    """Seconds by phase; `busy` is the share of the whole time that host and search are at work."""

    phases: dict[str, float]
    refused: int
    busy: dict[str, float]

    @property
    def seconds(self) -> float:
        """The whole rebuild."""
        return sum(self.phases.values())


@dataclass(slots=True)
class _Budget:
    """The token budget: a bucket that fills continuously, full at first; calls are let in one after the other."""

    quota: int
    level: float = 0.0
    at: float = 0.0

    def __post_init__(self) -> None:
        self.level = float(self.quota)

    def wait(self, now: float, tokens: float) -> float:
        """Take tokens, and return the seconds until that is allowed."""
        if not self.quota:
            return 0.0
        self.level = min(float(self.quota), self.level + (now - self.at) * self.quota / MINUTE)
        self.at = now
        wait = max(0.0, (min(tokens, self.quota) - self.level) * MINUTE / self.quota)
        self.level -= tokens
        return wait


@dataclass(slots=True)
class _Writer:
    """The bulk writer: batches of what documents have handed in, several under way, fewer after a refusal."""

    model: "_Model"
    most: int
    allowed: int
    size: int  # actions of a full batch
    queue: deque[tuple[int, Signal]] = field(default_factory=deque)
    queued: int = 0
    under_way: int = 0
    calm: int = 0
    sent: int = 0
    refused: int = 0

    def add(self, actions: int, done: Signal) -> None:
        """Take a document's chunks."""
        self.queue.append((actions, done))
        self.queued += actions
        self.pump()

    def pump(self) -> None:
        """Send what can be sent: full batches while places are free, a smaller one only when none is under way."""
        while self.queue and self.under_way < self.allowed and (self.queued >= self.size or not self.under_way):
            batch: list[tuple[int, Signal]] = []
            actions = 0
            while self.queue and (not batch or actions + self.queue[0][0] <= self.size):
                batch.append(self.queue.popleft())
                actions += batch[-1][0]
            self.queued -= actions
            self.under_way += 1
            self.model.simulation.start(self._send(actions, batch))

    def _send(self, actions: int, batch: list[tuple[int, Signal]]) -> Process:
        model, services = self.model, self.model.services
        costs, numbers = model.costs, model.lake.dimensions
        yield from model.host.use(actions * (costs.chunk + numbers * costs.number))
        while True:
            self.sent += 1
            yield services.search_delay
            if not (services.refuse_every and self.sent % services.refuse_every == 0):
                break
            self.refused += 1
            self.allowed, self.calm = max(1, self.allowed // 2), 0
            yield services.retry_after
        yield from model.search.use(costs.batch + actions * (costs.action + numbers * costs.kept))
        self.calm += 1
        if self.calm >= CALM and self.allowed < self.most:
            self.allowed, self.calm = self.allowed + 1, 0
        for _, done in batch:
            done.set()
        self.under_way -= 1
        self.pump()


class _Model:
    """One rebuild. Documents of large lakes are taken `grain` at a time, as one of so many times the work."""

    def __init__(self, lake: Lake, settings: Settings, services: Services, costs: Costs, grain: int) -> None:
        self.simulation = Simulation()
        self.lake, self.settings, self.services, self.costs = lake, settings, services, costs
        self.host = Resource(self.simulation, settings.instances)
        self.search = Resource(self.simulation, services.search_units)
        self.slots = Resource(self.simulation, settings.reading * settings.instances)
        self.window = Resource(self.simulation, settings.window)
        self.calls = Resource(self.simulation, settings.embedding * settings.instances)
        self.gate = Resource(self.simulation, 1)
        self.extracting = Resource(self.simulation, settings.extracting * settings.instances)
        self.embedder = Resource(self.simulation, services.model_units)
        self.budget = _Budget(services.quota)
        bytes_each = lake.dimensions * BYTES_A_NUMBER + BYTES_A_CHUNK
        size = min(MAX_ACTIONS, int(MAX_BYTES / bytes_each))
        places = settings.writing * settings.instances
        self.writer = _Writer(self, places, places, size)
        self.grain = grain
        in_page = max(1, min(settings.page_documents, settings.page_chunks // max(1, lake.chunks)))
        self.page_sizes = _split(lake.documents, in_page)

    def run(self) -> Predicted:
        """Run phase after phase."""
        phases: dict[str, float] = {}
        listing = self.lake.documents * self.costs.listing
        pages = len(self.page_sizes) * self.costs.page
        for name, process in (
            ("planning", self._for(self.costs.start + listing + pages)),
            ("indexing", self._in_window(self._index_page, self.costs.cold)),
            ("catching_up", self._for(self.costs.start / 2 + listing / 2 + pages / 2)),
            ("verifying", self._in_window(self._verify_page)),
            ("rest", self._for(self.costs.fixed + listing / 2 + pages / 2)),
        ):
            started = self.simulation.now
            self.simulation.start(process)
            self.simulation.run()
            phases[name] = self.simulation.now - started
        whole = self.simulation.now or 1.0
        busy = {
            "host": self.host.busy_seconds / whole / self.settings.instances,
            "search": self.search.busy_seconds / whole / self.services.search_units,
        }
        return Predicted(phases, self.writer.refused, busy)

    def _for(self, seconds: float) -> Process:
        yield seconds

    def _in_window(self, page: Callable[[int], Process], before: float = 0.0) -> Process:
        yield before
        ended: list[Signal] = []
        for documents in self.page_sizes:
            yield from self.window.acquire()
            ended.append(self.simulation.start(self._then_free(page(documents))))
        yield from ended

    def _then_free(self, page: Process) -> Process:
        yield from page
        self.window.release()

    def _index_page(self, documents: int) -> Process:
        yield from self.host.use(self.costs.page)
        stored = round(documents * self.lake.stored)
        ended = [self.simulation.start(self._document(part, True)) for part in _split(stored, self.grain)]
        ended += [self.simulation.start(self._document(part, False)) for part in _split(documents - stored, self.grain)]
        yield from ended

    def _document(self, documents: int, stored: bool) -> Process:
        """Read a document, or `documents` of them one after the other, and hand its chunks to the writer."""
        costs, chunks = self.costs, self.lake.chunks * documents
        yield from self.slots.acquire()
        yield documents * (costs.latency + self.services.read_delay)
        yield from self.host.use(documents * costs.document)
        if not stored:
            yield from self.extracting.use(documents * costs.text)
            for part in _split(chunks, self.settings.batch):
                yield from self._embed(part * self.lake.tokens)
        self.slots.release()
        done = [Signal(self.simulation) for _ in _split(chunks, self.writer.size)]
        for part, signal in zip(_split(chunks, self.writer.size), done, strict=True):
            self.writer.add(part, signal)
        yield from done

    def _embed(self, tokens: float) -> Process:
        yield from self.calls.acquire()
        yield from self.gate.acquire()  # calls are let in one at a time, in their order
        yield self.budget.wait(self.simulation.now, tokens)
        self.gate.release()
        yield from self.embedder.use(tokens * self.costs.token)
        self.calls.release()

    def _verify_page(self, documents: int) -> Process:
        yield from self.host.use(self.costs.page)
        yield from self.search.use(self.costs.batch)
        yield from self.host.use(documents * self.lake.chunks * self.costs.verify)


def predict(lake: Lake, settings: Settings, services: Services, costs: Costs, grain: int = 1) -> Predicted:
    """Return how long a rebuild takes."""
    return _Model(lake, settings, services, costs, grain).run()


def _split(whole: int, most: int) -> list[int]:
    """Split a number into parts of `most` and a rest."""
    return [most] * (whole // most) + ([whole % most] if whole % most else [])
