"""What operators can measure: one record in the log and a few metrics for every document, rebuild and answer.

Metrics go through OpenTelemetry's API; without a provider they cost next to nothing and go nowhere.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics

if TYPE_CHECKING:
    from shared.sync import Outcome

logger = logging.getLogger(__name__)
# The SDKs and HTTP clients log each request at INFO: many lines for one of the app's, all collected and paid for.
for chatter in (
    "azure.core.pipeline.policies.http_logging_policy",
    "azure.identity",
    "azure.monitor",
    "httpx",
    "httpx2",
):
    logging.getLogger(chatter).setLevel(logging.WARNING)

_meter = metrics.get_meter("warmlake")
_documents = _meter.create_counter("warmlake.converge.documents", "{document}", "Documents converged, by result.")
_chunks = _meter.create_counter("warmlake.converge.chunks", "{chunk}", "Chunks added, kept and removed.")
_tokens = _meter.create_counter("warmlake.converge.tokens", "{token}", "Tokens embedded, and reused from the store.")
_seconds = _meter.create_histogram("warmlake.converge.duration", "s", "Time of converging one document, by stage.")
_waited = _meter.create_counter("warmlake.converge.throttled", "s", "Time that services made the indexer wait.")
_rebuilds = _meter.create_counter("warmlake.recovery.rebuilds", "{rebuild}", "Rebuilds that ended, by status.")
_rebuild_seconds = _meter.create_histogram("warmlake.recovery.duration", "s", "Time of a rebuild, by phase.")
_answers = _meter.create_counter("warmlake.chat.answers", "{answer}", "Answers, by whether they cite a passage.")
_answer_seconds = _meter.create_histogram("warmlake.chat.duration", "s", "Time of an answer, by stage.")
_lag = _meter.create_histogram("warmlake.index.lag", "s", "Time from a change in the lake until it can be found.")


@dataclass(slots=True)
class Stages:
    """Seconds by the name of a stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started

    def __add__(self, other: "Stages") -> "Stages":
        names = self.seconds | other.seconds
        return Stages({name: self.seconds.get(name, 0.0) + other.seconds.get(name, 0.0) for name in names})


def converged(outcome: "Outcome", generation: str, seconds: float) -> None:
    """Record that one document was brought up to date, or could not be."""
    facts = {
        "document": outcome.path,
        "version": outcome.version_id or "-",
        "result": outcome.result,
        "generation": generation,
        "added": outcome.added,
        "kept": outcome.kept,
        "removed": outcome.removed,
        "embedded": outcome.embedded,
        "tokens_embedded": outcome.tokens_embedded,
        "tokens_reused": outcome.tokens_reused,
        "ms": round(seconds * 1000),
        **{f"{stage}_ms": round(spent * 1000) for stage, spent in outcome.stages.seconds.items()},
        "waited_ms": round(outcome.waited * 1000),
        "reason": outcome.reason or "-",
    }
    record(logger, "converge", facts)
    _documents.add(1, {"result": outcome.result})
    for action in ("added", "kept", "removed"):
        _chunks.add(getattr(outcome, action), {"action": action})
    _tokens.add(outcome.tokens_embedded, {"source": "embedded"})
    _tokens.add(outcome.tokens_reused, {"source": "reused"})
    _waited.add(outcome.waited)
    _seconds.record(seconds, {"stage": "all"})
    for stage, spent in outcome.stages.seconds.items():
        _seconds.record(spent, {"stage": stage})


def record(to: logging.Logger, event: str, facts: Mapping[str, object]) -> None:
    """Log one event: as text for people and queries, and with its facts as attributes for whatever collects logs.

    A value with a blank, a quotation mark or an equals sign in it is quoted, as `parse-kv` reads it: paths have them.
    """
    text = " ".join(f"{name}={_quoted(str(value))}" for name, value in facts.items())
    to.info("%s %s", event, text, extra={f"warmlake.{name}": value for name, value in facts.items()})


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(sign in value for sign in ' ="\\\n') else value


def rebuilt(report: Mapping[str, Any]) -> None:
    """Record that a rebuild ended: how, and what it did. A cancelled one ends with its progress, not with counts."""
    seconds: Mapping[str, float] = report.get("seconds") or {}
    if "documents_done" in report:
        documents, chunks = report["documents_done"], report["chunks_done"]
    else:
        documents, chunks = sum((report.get("documents") or {}).values()), (report.get("chunks") or {}).get("added", 0)
    facts = {
        **{name: report.get(name) or "-" for name in ("id", "status", "source")},
        "documents": documents,
        "chunks": chunks,
        "seconds": round(sum(seconds.values()), 1),
    }
    record(logger, "rebuild", facts)
    _rebuilds.add(1, {"status": facts["status"]})
    for phase, spent in seconds.items():
        _rebuild_seconds.record(spent, {"phase": phase})


def given_up(rebuild_id: str, resumes: int) -> None:
    """Record that nobody goes on with a rebuild by itself any more; it is said again as long as that is so."""
    record(logger, "rebuild", {"id": rebuild_id, "status": "given_up", "resumes": resumes})


def answered(generation: str, passages: int, cited: int, retrieval: float, answer: float) -> None:
    """Record one answer: its passages, how many it cites, and the seconds of finding them and of writing it."""
    facts = {
        "generation": generation,
        "passages": passages,
        "cited": cited,
        "retrieval_ms": round(retrieval * 1000),
        "answer_ms": round(answer * 1000),
    }
    record(logger, "chat", facts)
    _answers.add(1, {"cited": cited > 0})
    _answer_seconds.record(retrieval, {"stage": "retrieval"})
    _answer_seconds.record(answer, {"stage": "answer"})


def lag(changed: datetime) -> float:
    """Record that a change made at `changed` can be found now; returns how long that took, in seconds.

    The service rounds times of writing down to the second, so this is up to one second too long.
    """
    seconds = max(0.0, (datetime.now(UTC) - changed).total_seconds())
    _lag.record(seconds)
    return seconds
