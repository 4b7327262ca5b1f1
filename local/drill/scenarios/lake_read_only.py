"""The lake's account can be read and no longer be written, as before a failover and while one is under way.

Region one goes on answering. With LAKE_READ_ONLY it rebuilds its index, embeds nothing that had been stored, and tries
to write nothing. When the lake can be written again, changes are indexed as before.
"""

import asyncio

from local.drill.checks import Check
from local.drill.drill import Drill, completed
from local.drill.evidence import compare_index, tokens_of, unstored
from local.drill.proofs import answers_check, embedded_check, flaws_check, lake_check, problems_check
from local.drill.scenarios.common import (
    fired,
    heal,
    inject,
    is_,
    settle,
    start_load,
    wait_served,
)

REFUSED_SECONDS = 8.0
WRITES = ("PUT", "POST", "DELETE", "PATCH")


async def run(drill: Drill) -> list[Check]:
    """Run the scenario; returns what it must show."""
    users, writers = await drill.begin()
    record, one = drill.record, drill.estate.one
    await start_load(drill, users, writers)
    await writers.settled()
    port = one.region.lake_port
    record.mark("the lake is read-only")
    for method in WRITES:
        await inject(drill, port, method=method, status=403)
    await asyncio.sleep(REFUSED_SECONDS)
    await drill.halt("writers")
    refused = writers.refused
    # A host without the setting tries to store what a last change needed: only what follows is the app's fault.
    await one.stop("host")
    before_restart = await fired(drill, port)
    await _start(drill, read_only=True)
    services = await drill.services(one)
    missing = await unstored(services.primary.store, drill.ledger.current().values())
    with record.during("rebuild"):
        report = await drill.rebuild(one, reason="drill: lake read-only")
    completed(report, "the rebuild of region one")
    record.event("rebuild ended", f"{report['status']}, {report['tokens_embedded']} tokens embedded")
    compared = await compare_index(services, drill.ledger.current())
    by_app = await heal(drill, port) - before_restart

    record.mark("the lake can be written again")
    await one.stop("host")
    await _start(drill, read_only=False)
    before = len(writers.lags)
    drill.run("writers", writers.run())
    await asyncio.sleep(drill.options.after)
    await settle(drill, users, writers)
    record.figures.update(tokens_embedded=report["tokens_embedded"])
    return [
        Check("writes were refused", refused > 0, f"{refused} changes by users"),
        Check(
            "a rebuild from a lake that cannot be written is whole",
            not compared.differences,
            f"{compared.documents} documents, {compared.chunks} chunks compared with what was written",
        ),
        Check("the app tries to write nothing", by_app == 0, f"{by_app} writes"),
        embedded_check(report, missing, tokens_of(services, missing)),
        answers_check(drill),
        flaws_check(drill),
        Check("changes are indexed again", len(writers.lags) > before, f"{len(writers.lags) - before} changes"),
        await lake_check(drill, one),
        await problems_check(drill, one),
    ]


async def _start(drill: Drill, read_only: bool) -> None:
    """Start the app with the setting, as a change of settings does on Azure."""
    one = drill.estate.one
    one.environ["LAKE_READ_ONLY"] = str(read_only).lower()
    since = drill.record.now
    await one.start("host")
    await drill.until("region one is online", 60.0, lambda: is_(drill, "one", "Online"))
    await wait_served(drill, "one", since, f"served with LAKE_READ_ONLY={one.environ['LAKE_READ_ONLY']}")
