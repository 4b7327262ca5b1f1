"""Region one's search service is lost with its index, while the lake and everything else live.

The region must say that it is unhealthy and answer nothing. A new, empty search service takes the old one's place; the
index is rebuilt from the lake's primary while documents go on changing. Nothing is lost.
"""

import asyncio
import random

from local.drill.checks import Check
from local.drill.drill import Drill, completed
from local.drill.evidence import tokens_of, unstored
from local.drill.guard import Guard
from local.drill.judge import Verdict
from local.drill.proofs import (
    answers_check,
    detect_check,
    embedded_check,
    failures_check,
    flaws_check,
    guard_checks,
    lake_check,
    problems_check,
)
from local.drill.scenarios.common import (
    is_,
    settle,
    start_load,
    wait_served,
)
from shared.health import CACHE_SECONDS


async def run(drill: Drill) -> list[Check]:
    """Run the scenario; returns what it must show."""
    users, writers = await drill.begin()
    record, one = drill.record, drill.estate.one
    await start_load(drill, users, writers)
    await asyncio.sleep(random.Random(f"loss {drill.options.seed}").uniform(0, 4))
    died = one.lose("search")
    lost = record.mark("the search service is lost", f"{died} process killed").at
    one.wipe("search")
    await drill.until("traffic manager finds region one degraded", 120.0, lambda: is_(drill, "one", "Degraded"))
    detected = record.now
    record.phase("detect", lost, detected)
    await asyncio.sleep(drill.options.decide)
    record.phase("decide", detected, record.now)

    guard = Guard(drill.http, one)
    with record.during("deploy"):
        await one.start("search")
        drill.run("guard", guard.run())
    services = await drill.services(one)
    missing = await unstored(services.primary.store, drill.ledger.current().values())
    with record.during("rebuild"):
        report = await drill.rebuild(one, reason="drill: search service lost")
    completed(report, "the rebuild of region one")
    rebuilt = record.now
    # What was written since may have been embedded by the rebuild or by its own event.
    fresh = [*missing, *(write for write in drill.ledger.writes if write.sent > record.began + detected)]
    served = await wait_served(drill, "one", rebuilt, "users are served again")
    record.phase("route", rebuilt, served)
    await asyncio.sleep(drill.options.after)
    await settle(drill, users, writers)
    record.figures.update(
        rto_seconds=round(served - lost, 2), tokens_embedded=report["tokens_embedded"], rpo_seconds=0.0, lost_writes=[]
    )
    record.figures["rto_phases"] = {phase.name: round(phase.seconds, 2) for phase in record.phases}
    return [
        answers_check(drill),
        failures_check(drill, frozenset({Verdict.REFUSED})),
        detect_check(drill, told=CACHE_SECONDS),
        flaws_check(drill),
        *guard_checks(guard),
        await lake_check(drill, one, "nothing is lost: the index is the lake"),
        await problems_check(drill, one),
        embedded_check(report, fresh, tokens_of(services, fresh)),
    ]
