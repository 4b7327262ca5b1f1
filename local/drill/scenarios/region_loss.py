"""Region one is lost with everything in it, the lake's primary included, at a random moment of indexing.

Detect (Traffic Manager) -> decide (an operator reads how far the replica is, and takes region one out of routing) ->
deploy region two from the same settings -> rebuild its index from the replica, verified before it answers -> route.
"""

import asyncio
import contextlib
import random
import time
from typing import Any

from local.drill.checks import Check
from local.drill.drill import Drill, DrillFailed, completed
from local.drill.evidence import Tombstone, compare_index, tokens_of, tombstone, unstored
from local.drill.guard import Guard
from local.drill.judge import Verdict
from local.drill.ledger import Cut, Write
from local.drill.load import Users, Writers
from local.drill.proofs import answers_check, detect_check, flaws_check, guard_checks, stone_check
from local.drill.scenarios.region_proofs import (
    Loss,
    Recovery,
    figures,
    index_check,
    lost_check,
    phases_check,
    recovery_embedded_check,
    rpo_check,
)

BEFORE_LOSS = (4.0, 14.0)  # seconds of load, at least and at most, before the region is lost
INDEXING = 0.4  # seconds after the beginning of a change within which the region is lost
ASKED_LAKE = "the lost primary was asked"


async def run(drill: Drill) -> list[Check]:
    """Run the scenario; returns what it must show."""
    users, writers = await drill.begin()
    async with contextlib.AsyncExitStack() as stack:
        at = await lose_one(drill, users, writers, frozen=False)
        stone = await stack.enter_async_context(tombstone(drill.estate.one.region.lake_port))
        guard = Guard(drill.http, drill.estate.two)
        try:
            loss, recovery = await recover(drill, at, guard, stone)
            await serve(drill, users, loss)
        except DrillFailed as fault:
            drill.record.event("the drill cannot go on", str(fault))
            ended = Check("the scenario runs to its end", False, str(fault))
            return [ended, stone_check(stone), *guard_checks(guard), answers_check(drill), flaws_check(drill)]
        await drill.halt("users")
    return [*checks(drill, loss, recovery, guard), stone_check(stone)]


async def lose_one(drill: Drill, users: Users, writers: Writers, frozen: bool) -> float:
    """Put load on region one, then lose it; returns when that was. `frozen`: its storage stops, and keeps its data."""
    one = drill.estate.one
    await drill.until("region one is online", 60.0, lambda: _is(drill, "one", "Online"))
    drill.sample()
    drill.run("users", users.run())
    drill.run("writers", writers.run())
    await drill.replicated(time.time())  # the corpus with its vectors, and the first changes, are in the replica
    draw = random.Random(f"loss {drill.options.seed}")
    await asyncio.sleep(draw.uniform(*BEFORE_LOSS))
    writers.begun.clear()
    await writers.begun.wait()
    await asyncio.sleep(draw.uniform(0, INDEXING))
    drill.check_beside()
    at = time.time()
    if frozen:
        one.freeze("blobs")
        died = one.lose("host", "search", "model", "storage", "lake")
    else:
        died = one.lose()
    drill.record.mark("region one is lost", f"{died} processes killed", drill.record.since(at))
    await drill.halt("writers")
    writers.abandon()
    return at


async def _is(drill: Drill, name: str, status: str) -> bool:
    return await drill.endpoint(name) == status


async def recover(drill: Drill, at: float, guard: Guard, stone: Tombstone | None) -> tuple[Loss, Recovery]:
    """Detect, decide, deploy and rebuild; the index that results is compared with what was written."""
    record, two = drill.record, drill.estate.two
    lost = record.since(at)
    await drill.until("traffic manager finds region one degraded", 180.0, lambda: _is(drill, "one", "Degraded"))
    detected = record.now
    record.phase("detect", lost, detected)

    await asyncio.sleep(drill.options.decide)
    moment, arrived = await drill.replica_state()
    cut = drill.ledger.cut(moment, arrived)
    loss = Loss(at, cut, arrived)
    drill.cuts["two"] = cut
    await drill.route("one", "Disabled")
    decided = record.now
    record.phase("decide", detected, decided)
    record.event("decided", f"Last Sync Time {moment:%H:%M:%S} UTC, {len(cut.lost)} writes are newer")

    drill.run("guard", guard.run())
    await two.deploy()
    deployed = record.now
    record.phase("deploy", decided, deployed)
    record.event("region two is deployed")

    services = await drill.services(two)
    written = expected(drill, cut)
    missing = await unstored(services.secondary.store, written.values())
    report = await drill.rebuild(
        two, lambda said: _untouched(said, stone), reason="drill: region one lost", source="secondary"
    )
    rebuilt = record.now
    record.phase("rebuild", deployed, rebuilt)
    _phases(drill, report, deployed)
    record.event("rebuild ended", f"{report['status']}, {report.get('tokens_embedded')} tokens embedded")
    completed(report, "the rebuild of region two")
    comparison = await compare_index(services, written)
    tokens = tokens_of(services, missing)
    return loss, Recovery(report, [write.path for write in missing], tokens, comparison)


def _untouched(said: dict[str, Any], stone: Tombstone | None) -> None:
    """Stop waiting for a rebuild that cannot come to an end: it asks the lake that is gone."""
    if stone is not None and stone.requests and said.get("phase") == "planning":
        raise DrillFailed(f"{ASKED_LAKE} by the rebuild: {stone.requests[0]}")


def _phases(drill: Drill, report: dict[str, Any], started: float) -> None:
    """Note the rebuild's own phases inside of it."""
    at = started
    for name, seconds in (report.get("seconds") or {}).items():
        drill.record.phase(f"rebuild: {name.replace('_', ' ')}", at, at + seconds)
        at += seconds


def expected(drill: Drill, cut: Cut) -> dict[str, Write]:
    """Return the writes that a region rebuilt at a cut must hold, by path."""
    found: dict[str, Write] = {}
    for path, edition in cut.documents.items():
        found[path] = next(write for write in drill.ledger.of(path) if write.edition == edition)
    return found


async def serve(drill: Drill, users: Users, loss: Loss) -> None:
    """Wait until users are served by region two; then ask it about every document there ever was."""
    record = drill.record
    lost = record.since(loss.at)
    rebuilt = next(phase.end for phase in record.phases if phase.name == "rebuild")
    await drill.until("users are served by region two", 120.0, lambda: drill.served_by("two", lost))
    first = next(answer for answer in record.answers if answer.region == "two" and answer.verdict is Verdict.RIGHT)
    served = first.at + first.seconds
    record.phase("route", min(rebuilt, served), served)
    record.mark("users are served by region two", f"{served - lost:.1f} s after the loss", served)
    await asyncio.sleep(drill.options.after)
    made = {write.path: write.depot for write in drill.ledger.writes}
    await drill.ask_all(users, drill.estate.two, made.values())
    record.event("asked about every document", f"{len(made)} documents")


def checks(drill: Drill, loss: Loss, recovery: Recovery, guard: Guard) -> list[Check]:
    """Return what must be shown."""
    record, report, cut = drill.record, recovery.report, loss.cut
    routed = record.at("users are served by region two")
    after = record.verdicts(routed)
    found = [
        rpo_check(loss, report),
        index_check(recovery, report),
        lost_check(loss, report),
        answers_check(drill),
        Check(
            "every answer after routing is right",
            set(after) == {Verdict.RIGHT},
            ", ".join(f"{count} {verdict}" for verdict, count in after.items()),
        ),
        flaws_check(drill),
        recovery_embedded_check(recovery),
        *guard_checks(guard),
        detect_check(drill),
        phases_check(drill),
    ]
    record.figures.update(figures(drill, loss, recovery, cut))
    return found
