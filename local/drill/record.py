"""What happened in a drill: events, phases, answers, looks into the index, samples. Times count from its start."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from local.drill.judge import FALSE, Verdict


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a moment."""

    at: float
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the recovery, from `start` to `end`."""

    name: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Answer:
    """A question that was asked at `at`, and what became of it after `seconds`.

    `region` is the one that was asked, "" where there was no address; `user` is False for questions of the drill's own.
    """

    at: float
    seconds: float
    region: str
    path: str
    verdict: Verdict
    why: str = ""
    edition: int = 0
    user: bool = True


@dataclass(frozen=True, slots=True)
class Flaw:
    """What a reader must never find in an index, found at a moment."""

    at: float
    region: str
    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Sample:
    """How things were at a moment: region -> share of documents that answer, region -> state in Traffic Manager."""

    at: float
    complete: dict[str, float]
    endpoints: dict[str, str]


@dataclass(slots=True)
class Record:
    """Everything that is noted in a drill, as it happens. `say` shows an event to whoever watches."""

    say: Callable[[str], None]
    began: float = field(default_factory=time.time)
    events: list[Event] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    marks: list[tuple[str, float]] = field(default_factory=list)  # events that the plot shows as lines
    looks: int = 0
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.time() - self.began

    def since(self, moment: float) -> float:
        """Return a time in seconds since 1970 as seconds since the start."""
        return moment - self.began

    def mark(self, name: str, detail: str = "", at: float | None = None) -> Event:
        """Note an event that the plot shows as a line."""
        found = self.event(name, detail, at)
        self.marks.append((name, found.at))
        return found

    def event(self, name: str, detail: str = "", at: float | None = None) -> Event:
        """Note an event, now or at a time in seconds since the start."""
        found = Event(self.now if at is None else at, name, detail)
        self.events.append(found)
        self.say(f"{found.at:7.1f} s  {name}{f': {detail}' if detail else ''}")
        return found

    def phase(self, name: str, start: float, end: float) -> None:
        """Note a phase that is over."""
        self.phases.append(Phase(name, start, end))

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """Note a phase that lasts as long as the block."""
        start = self.now
        yield
        self.phase(name, start, self.now)

    def at(self, name: str) -> float:
        """Return when an event happened first. Raises LookupError when it did not."""
        found = next((event.at for event in self.events if event.name == name), None)
        if found is None:
            raise LookupError(f"nothing called {name!r} has happened")
        return found

    def verdicts(self, start: float = 0.0, end: float = float("inf")) -> Counter[Verdict]:
        """Count the answers to questions asked between two times."""
        return Counter(answer.verdict for answer in self.answers if start <= answer.at < end)

    def false_answers(self, start: float = 0.0, end: float = float("inf")) -> list[Answer]:
        """Return the answers, to questions asked between two times, that nobody should have got."""
        return [answer for answer in self.answers if answer.verdict in FALSE and start <= answer.at < end]
