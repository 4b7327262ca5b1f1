"""Checks that several scenarios share: what was seen, against what must be."""

from typing import Any

from local.drill.checks import Check, at_most
from local.drill.drill import Drill
from local.drill.evidence import Tombstone, compare_index
from local.drill.guard import Guard
from local.drill.judge import Verdict
from local.drill.ledger import Write
from local.drill.stamps import Stamp
from local.traffic_manager import Rules

GRACE_SECONDS = 5.0  # for a machine that is busy, beyond what Traffic Manager's rules allow


def detect_check(drill: Drill, told: float = 0.0) -> Check:
    """Traffic Manager finds out within interval x (tolerated failures + 1) + timeout.

    `told` is how many seconds longer a host that lives may go on telling of an earlier check of its health.
    """
    (phase,) = [one for one in drill.record.phases if one.name == "detect"]
    rules = Rules(scale=drill.options.scale)
    most = rules.worst_case - rules.ttl * rules.scale + told
    says = f"{phase.seconds:.1f} s, {most:.0f} s at most"
    return Check("the loss is detected in time", phase.seconds <= most + GRACE_SECONDS, says)


def answers_check(drill: Drill, start: float = 0.0) -> Check:
    """Return the check that no answer was ever wrong, mixed or missing."""
    found = drill.record.false_answers(start)
    counts = drill.record.verdicts(start)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    wrong = f": {found[0].why}" if found else ""
    return Check("no false answer", not found and bool(counts[Verdict.RIGHT]), f"{said}{wrong}")


def flaws_check(drill: Drill) -> Check:
    """A reader always finds one edition of a document whole while it changes."""
    flaws, looks = drill.record.flaws, drill.record.looks
    shown = f": {flaws[0].path}: {flaws[0].what}" if flaws else ""
    return Check(
        "no document is missing while it changes", not flaws and looks > 0, f"{looks} looks, {len(flaws)} flaws{shown}"
    )


def guard_checks(guard: Guard) -> list[Check]:
    """Nothing answers, and health says so, until the index is verified."""
    looked = f"{guard.looks} looks"
    return [
        Check(
            "no region is healthy before it is verified",
            not guard.healthy_early and guard.looks > 0,
            at_most(guard.healthy_early) or looked,
        ),
        Check(
            "nothing answers before it is verified",
            not guard.alias_early and guard.looks > 0,
            at_most(guard.alias_early) or looked,
        ),
    ]


def stone_check(stone: Tombstone) -> Check:
    """The lake that is gone is not asked for anything."""
    asked = stone.requests
    return Check("the lost primary is not asked", not asked, at_most(asked) or "no request came")


def failures_check(drill: Drill, allowed: frozenset[Verdict], start: float = 0.0) -> Check:
    """Whoever got no answer was told so in a way that is intended."""
    bad = [
        answer
        for answer in drill.record.answers
        if answer.at >= start and answer.verdict not in allowed | {Verdict.RIGHT}
    ]
    counts = drill.record.verdicts(start)
    says = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    shown = f": {bad[0].why}" if bad else ""
    return Check("who gets no answer is told why", not bad, f"{says}{shown}")


# ---- faults on purpose ---------------------------------------------------------------------------------------------


async def lake_check(drill: Drill, stamp: Stamp, name: str = "the index is the lake") -> Check:
    """Compare a region's index with everything that was written."""
    compared = await compare_index(await drill.services(stamp), drill.ledger.current())
    drill.record.figures.update(documents_verified=compared.documents, chunks_verified=compared.chunks)
    says = f"{compared.documents} documents, {compared.chunks} chunks compared with what was written"
    return Check(name, not compared.differences, f"{says}. {at_most(list(compared.differences))}".strip(". "))


async def problems_check(drill: Drill, stamp: Stamp) -> Check:
    """No document is left as one that could not be indexed."""
    listed = (await drill.app(stamp, "/api/documents/problems"))["problems"]
    names = [f"{one['path']}: {one['reason']}" for one in listed]
    return Check("no document is left with a problem", not names, at_most(names) or "none")


def embedded_check(report: dict[str, Any], changed: list[Write], tokens: int) -> Check:
    """A rebuild embeds nothing but what had never been embedded."""
    embedded, reused = report["tokens_embedded"], report["tokens_reused"]
    says = f"{embedded} tokens embedded, {reused} reused; not stored before: {len(changed)} documents"
    return Check("nothing is embedded again", embedded <= tokens and reused > 0, says)
