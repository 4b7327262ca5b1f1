"""A discrete-event kernel: processes are generators that yield what they wait for. Time is in seconds.

def worker(sim: Simulation, desk: Resource) -> Process:
    yield from desk.use(2.0)   # waits for its turn, then keeps the desk for two seconds
    yield 1.0                  # waits one second

sim = Simulation(); sim.start(worker(sim, desk)); sim.run(); sim.now
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

type Process = Generator[float | "Signal"]


class Signal:
    """Something that processes wait for; once it is set, nobody waits any more."""

    __slots__ = ("_simulation", "_waiting", "is_set")

    def __init__(self, simulation: "Simulation") -> None:
        self.is_set = False
        self._simulation = simulation
        self._waiting: list[Process] = []

    def set(self) -> None:
        """Let everybody go on who waits."""
        self.is_set = True
        for process in self._waiting:
            self._simulation.schedule(0.0, process)
        self._waiting.clear()

    def add(self, process: Process) -> None:
        """Let a process wait."""
        self._waiting.append(process)


@dataclass(slots=True)
class Simulation:
    """The clock and what is to happen."""

    now: float = 0.0
    _heap: list[tuple[float, int, Process]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def schedule(self, delay: float, process: Process) -> None:
        """Let a process go on after a delay; what is due at once goes on in the order it was scheduled."""
        heapq.heappush(self._heap, (self.now + delay, next(self._numbers), process))

    def start(self, process: Process) -> Signal:
        """Start a process now; returns what is set when it ends."""
        done = Signal(self)
        self.schedule(0.0, _ending(process, done.set))
        return done

    def run(self) -> None:
        """Let everything happen until nothing is left."""
        while self._heap:
            self.now, _, process = heapq.heappop(self._heap)
            self._advance(process)

    def _advance(self, process: Process) -> None:
        for wanted in process:  # until it waits, or ends
            if isinstance(wanted, Signal):
                if wanted.is_set:
                    continue
                wanted.add(process)
            else:
                self.schedule(wanted, process)
            return


def _ending(process: Process, then: Callable[[], None]) -> Process:
    yield from process
    then()


class Resource:
    """Something that so many can have at once; the others wait in the order they came."""

    __slots__ = ("_free", "_simulation", "_waiting", "busy_seconds")

    def __init__(self, simulation: Simulation, places: int) -> None:
        self.busy_seconds = 0.0
        self._simulation = simulation
        self._free = places
        self._waiting: deque[Signal] = deque()

    def acquire(self) -> Process:
        """Wait for a place, and take it."""
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn = Signal(self._simulation)
        self._waiting.append(turn)
        yield turn

    def release(self) -> None:
        """Give a place back: whoever has waited longest has it."""
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._free += 1

    def use(self, seconds: float) -> Process:
        """Take a place for some time."""
        yield from self.acquire()
        yield seconds
        self.busy_seconds += seconds
        self.release()
