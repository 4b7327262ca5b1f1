"""What the loss of a region must show beside what every scenario must: RPO, RTO, the cut, the losses, the price."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from local.drill.checks import Check, at_most
from local.drill.drill import Drill
from local.drill.evidence import Comparison
from local.drill.ledger import ABSENT, Cut, Write
from shared.recovery.compare import faults

CLOCK_SECONDS = 1.0  # resolution of Last Sync Time


@dataclass(frozen=True, slots=True)
class Loss:
    """What was lost, and when: `at` in seconds since 1970; `cut` is what the replica has."""

    at: float
    cut: Cut
    arrived: float

    @property
    def rpo(self) -> float:
        """Seconds of writes that are lost at most: from Last Sync Time to the loss."""
        return self.at - self.cut.moment.timestamp()

    @property
    def lag(self) -> float:
        """Seconds that the replica was behind when the primary was lost, measured at the replica."""
        return self.at - self.arrived


@dataclass(frozen=True, slots=True)
class Recovery:
    """What recovery did: the app's report, and what was seen beside it."""

    report: dict[str, Any]
    unstored: Sequence[str]  # paths whose vectors the replica could not have
    unstored_tokens: int
    comparison: Comparison


def rpo_check(loss: Loss, report: dict[str, Any]) -> Check:
    """RPO is the replication lag, and the app's own report names the same moment."""
    same = report["rpo"]["last_sync_time"] == loss.cut.moment.isoformat()
    difference = loss.rpo - loss.lag
    passed = same and -0.001 <= difference <= CLOCK_SECONDS
    says = f"RPO {loss.rpo:.1f} s; the replica was {loss.lag:.1f} s behind, Last Sync Time is told in whole seconds"
    return Check("RPO is the replication lag", passed, says)


def index_check(recovery: Recovery, report: dict[str, Any]) -> Check:
    """No version at or before Last Sync Time is missing: the index is the cut, field by field."""
    compared, wrong = recovery.comparison, faults(report["verification"] or {})
    says = f"{compared.documents} documents, {compared.chunks} chunks compared with what was written"
    differences = [*compared.differences, *([f"the app's own verification: {wrong}"] if wrong else [])]
    return Check(
        "the index is the lake at Last Sync Time", not differences, f"{says}. {at_most(differences)}".strip(". ")
    )


def lost_check(loss: Loss, report: dict[str, Any]) -> Check:
    """Every lost write is newer than Last Sync Time, and what the app names as newer is lost indeed."""
    lost = loss.cut.lost
    early = [write.path for write in lost if write.sent <= loss.cut.moment.timestamp() and write.edition != ABSENT]
    known = {(write.path, write.version_id) for write in lost}
    strange = [one["path"] for one in report["rpo"]["newer"] if (one["path"], one["version_id"]) not in known]
    says = f"{len(lost)} lost, all newer than Last Sync Time: {at_most([named(write) for write in lost], 20) or 'none'}"
    return Check("what is lost is named", not strange and not early, says)


def named(write: Write) -> str:
    """Return a lost write in words."""
    if write.edition == ABSENT:
        return f"deletion of {write.path}"
    return f"{write.path} edition {write.edition} ({write.version_id})"


def recovery_embedded_check(recovery: Recovery) -> Check:
    """Recovery embeds nothing but what nobody can have stored."""
    embedded, reused = recovery.report["tokens_embedded"], recovery.report["tokens_reused"]
    says = f"{embedded} tokens embedded, {reused} reused"
    if recovery.unstored:
        says += f"; written so shortly before the cut that their vectors were not: {at_most(list(recovery.unstored))}"
    return Check("nothing is embedded again", embedded <= recovery.unstored_tokens and reused > 0, says)


def phases_check(drill: Drill) -> Check:
    """RTO in its parts."""
    names = ("detect", "decide", "deploy", "rebuild", "route")
    seconds = {one.name: one.seconds for one in drill.record.phases}
    says = ", ".join(f"{name} {seconds.get(name, float('nan')):.1f}" for name in names)
    return Check("RTO is accounted for", all(name in seconds for name in names), f"{says} s")


def figures(drill: Drill, loss: Loss, recovery: Recovery, cut: Cut) -> dict[str, Any]:
    """Return the figures of the report."""
    seconds = {one.name: round(one.seconds, 2) for one in drill.record.phases if ":" not in one.name}
    report = recovery.report
    return {
        "rto_seconds": round(sum(seconds[name] for name in ("detect", "decide", "deploy", "rebuild", "route")), 2),
        "rto_phases": seconds,
        "rebuild_phases": report["seconds"],
        "rpo_seconds": round(loss.rpo, 2),
        "replication_lag_seconds": round(loss.lag, 2),
        "last_sync_time": cut.moment.isoformat(),
        "lost_writes": [named(write) for write in cut.lost],
        "tokens_embedded": report["tokens_embedded"],
        "tokens_reused": report["tokens_reused"],
        "documents_verified": recovery.comparison.documents,
        "chunks_verified": recovery.comparison.chunks,
    }
