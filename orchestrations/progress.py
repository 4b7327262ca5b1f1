"""How far a rebuild is: what its custom status and its report show. Plain data, carried from one execution to the next.

An orchestrator's clock is its history's (`current_utc_datetime`), so a replay computes the same.
"""

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

SHOWN_FAILURES = 200  # failures listed by path; the count is complete


@dataclass(slots=True)
class Progress:
    """A rebuild so far. Times are ISO, in UTC; `seconds` has the time spent in each phase that is over."""

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
    chunks: dict[str, int] = field(default_factory=lambda: {"added": 0, "removed": 0, "embedded": 0})
    waited: float = 0.0
    failed: int = 0
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
        """Count what an activity converged."""
        self.results = dict(Counter(self.results) + Counter(result["results"]))
        for name in self.chunks:
            self.chunks[name] += result[name]
        self.waited = round(self.waited + result["waited"], 3)
        self.failed += len(result["failures"])
        for path, reason in result["failures"].items():
            if len(self.failures) < SHOWN_FAILURES:
                self.failures[path] = reason

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
            "pages": self.pages,
            "pages_done": self.pages_done,
            "failures": self.failed,
            "chunks_per_second": round(self.chunks["added"] / indexing, 1) if indexing else None,
            "eta_seconds": None if left is None else round(left, 1),
            "throttle_wait_seconds": self.waited,
            "seconds": self.seconds,
            "started": self.started,
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
            "started": self.started,
            "finished": now.isoformat(),
            "plan": self.plan,
            "documents": self.results,
            "chunks": self.chunks,
            "chunks_per_second": round(self.chunks["added"] / indexing, 1) if indexing else None,
            "throttle_wait_seconds": self.waited,
            "failures": {
                "count": self.failed,
                "reasons": dict(Counter(self.failures.values())),
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
