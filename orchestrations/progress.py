"""How far a rebuild is: what its custom status and its report show. Plain data, carried from one execution to the next.

An orchestrator's clock is its history's (`current_utc_datetime`), so a replay computes the same.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

SHOWN_FAILURES = 200  # failures listed by path; the counts are complete
NOTHING_DONE = frozenset({"unchanged", "absent"})


def _no_chunks() -> dict[str, int]:
    return {"added": 0, "removed": 0, "embedded": 0}


@dataclass(slots=True)
class Progress:
    """A rebuild so far. Times are ISO, in UTC; `seconds` has the time spent in each phase that is over.

    `results` and `chunks` count every planned document once; `later_results` and `later_chunks` count what was done
    again because documents changed meanwhile. Tokens and waits are those of all work.
    """

    id: str
    request: dict[str, Any]
    started: str
    since: str
    phase: str = "planning"
    plan: dict[str, Any] | None = None
    next_page: int = 0
    pages: int = 0
    pages_done: int = 0
    round: int = 0
    results: dict[str, int] = field(default_factory=dict)
    chunks: dict[str, int] = field(default_factory=_no_chunks)
    later_results: dict[str, int] = field(default_factory=dict)
    later_chunks: dict[str, int] = field(default_factory=_no_chunks)
    tokens: dict[str, int] = field(default_factory=lambda: {"tokens_embedded": 0, "tokens_reused": 0})
    waited: float = 0.0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    verification: dict[str, Any] | None = None
    failed_probes: list[dict[str, str]] | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def enter(self, phase: str, now: datetime) -> None:
        """Begin a phase: the clock of the one before stops."""
        self.stop_clock(now)
        self.phase = phase

    def stop_clock(self, now: datetime) -> None:
        """Add the time since the phase began, or since the last call, to the phase."""
        spent = (now - datetime.fromisoformat(self.since)).total_seconds()
        self.seconds[self.phase] = round(self.seconds.get(self.phase, 0.0) + spent, 3)
        self.since = now.isoformat()

    def start_pages(self, pages: int) -> None:
        """Begin a fan-out over a number of pages."""
        self.next_page, self.pages, self.pages_done = 0, pages, 0

    def add(self, result: dict[str, Any]) -> None:
        """Count what an activity converged of the plan."""
        self.results = dict(Counter(self.results) + Counter(result["results"]))
        self._add_work(result, self.chunks)

    def add_later(self, result: dict[str, Any]) -> None:
        """Count what an activity converged because documents had changed since the plan."""
        done = {kind: count for kind, count in result["results"].items() if kind not in NOTHING_DONE}
        self.later_results = dict(Counter(self.later_results) + Counter(done))
        self._add_work(result, self.later_chunks)

    def _add_work(self, result: dict[str, Any], chunks: dict[str, int]) -> None:
        for name in chunks:
            chunks[name] += result[name]
        for name in self.tokens:
            self.tokens[name] += result[name]
        self.waited = round(self.waited + result["waited"], 3)
        self.add_failures(result["failures"])

    def add_failures(self, failures: dict[str, str]) -> None:
        """Count documents that cannot be read, by path with the reason; one that is listed already is not another."""
        for path, reason in failures.items():
            before = self.failures.get(path)
            if before is None:
                self.failed += 1
            else:
                self.reasons[before] -= 1
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
            if before is not None or len(self.failures) < SHOWN_FAILURES:
                self.failures[path] = reason

    def forget_failures(self) -> None:
        """Count failures anew: whoever looks at every document once more finds them all."""
        self.failed, self.reasons, self.failures = 0, {}, {}

    def status(self, now: datetime) -> dict[str, Any]:
        """Return the custom status: phase, what is done of how much, rate, and the seconds that are probably left."""
        plan = self.plan or {}
        estimate = plan.get("estimate") or {}
        spent = self.seconds.get(self.phase, 0.0) + (now - datetime.fromisoformat(self.since)).total_seconds()
        share = self.pages_done / self.pages if self.pages else 0.0
        left = spent * (1 - share) / share if share else None
        indexing = self.seconds.get("indexing", 0.0) + (spent if self.phase == "indexing" else 0.0)
        return {
            "id": self.id,
            "phase": self.phase,
            "reason": self.request["reason"],
            "source": self.request["source"],
            "generation": plan.get("generation"),
            "documents": plan.get("documents"),
            "documents_done": sum(self.results.values()),
            "chunks": estimate.get("chunks"),
            "chunks_done": self.chunks["added"],
            "embedded": self.chunks["embedded"],
            **self.tokens,
            "pages": self.pages,
            "pages_done": self.pages_done,
            "failures": self.failed,
            "chunks_per_second": round(self.chunks["added"] / indexing, 1) if indexing else None,
            "eta_seconds": None if left is None else round(left, 1),
            "throttle_wait_seconds": self.waited,
            "seconds": self.seconds,
            "started": _in_utc(datetime.fromisoformat(self.started)),
        }

    def report(self, status: str, now: datetime, error: str | None = None) -> dict[str, Any]:
        """Return the report as it stands."""
        self.stop_clock(now)
        indexing = self.seconds.get("indexing", 0.0)
        plan = self.plan or {}
        return {
            "id": self.id,
            "status": status,
            "error": error,
            "reason": self.request["reason"],
            "source": self.request["source"],
            "started": _in_utc(datetime.fromisoformat(self.started)),
            "finished": _in_utc(now),
            "plan": self.plan,
            "documents": self.results,
            "chunks": self.chunks,
            "changed_meanwhile": {"documents": self.later_results, "chunks": self.later_chunks},
            **self.tokens,
            "chunks_per_second": round(self.chunks["added"] / indexing, 1) if indexing else None,
            "throttle_wait_seconds": self.waited,
            "failures": {
                "count": self.failed,
                "reasons": {reason: count for reason, count in self.reasons.items() if count},
                "paths": self.failures,
            },
            "verification": self.verification,
            "failed_probes": self.failed_probes,
            "rpo": {
                "last_sync_time": plan.get("last_sync_time"),
                "newer_versions": plan.get("newer_count", 0),
                "newer": plan.get("newer", []),
            },
            "seconds": self.seconds,
        }


def carried(progress: Progress) -> dict[str, Any]:
    """Return the progress as data for the next execution."""
    return asdict(progress)


def _in_utc(moment: datetime) -> str:
    """Return a time of an orchestrator's clock, which is in UTC and does not say so, for readers who are elsewhere."""
    return moment.replace(tzinfo=UTC).isoformat()
