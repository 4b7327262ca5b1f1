"""The model of region one refuses: every fifth call for a while, then every call, as a deployment without quota does.

Indexing waits as it is told and loses nothing; users get a right answer or are told to come again; the region stays
in routing, for it is not ill.
"""

import asyncio

from local.drill.checks import Check, at_most
from local.drill.drill import Drill
from local.drill.judge import Verdict
from local.drill.proofs import answers_check, failures_check, flaws_check, lake_check, problems_check
from local.drill.scenarios.common import (
    heal,
    inject,
    is_,
    settle,
    start_load,
)

SOME_SECONDS, ALL_SECONDS = 15.0, 12.0
CALLS = "/(embeddings|chat/completions)$"
RETRY_AFTER = {"Retry-After": "2"}


async def run(drill: Drill) -> list[Check]:
    """Run the scenario; returns what it must show."""
    users, writers = await drill.begin()
    record, one = drill.record, drill.estate.one
    await start_load(drill, users, writers)
    port = one.region.model_port
    record.mark("every fifth call is refused")
    with record.during("a fifth refused"):
        await inject(drill, port, method="POST", path=CALLS, every=5, status=429)
        await asyncio.sleep(SOME_SECONDS)
    refused = await heal(drill, port)
    record.mark("every call is refused")
    with record.during("all refused"):
        await inject(drill, port, method="POST", path=CALLS, status=429, headers=RETRY_AFTER)
        await asyncio.sleep(ALL_SECONDS)
    refused += await heal(drill, port)
    record.mark("the model answers again", f"{refused} calls were refused")
    await asyncio.sleep(drill.options.after)
    online = await is_(drill, "one", "Online")
    left = [event for event in record.events if event.name.startswith("traffic manager: one is ")][1:]
    await settle(drill, users, writers)
    return [
        Check("calls were refused", refused > 0, f"{refused} calls"),
        answers_check(drill),
        failures_check(drill, frozenset({Verdict.REFUSED})),
        Check("the region stays in routing", online and not left, at_most([one.name for one in left]) or "Online"),
        flaws_check(drill),
        await lake_check(drill, one, "every change is indexed: the index is the lake"),
        await problems_check(drill, one),
    ]
