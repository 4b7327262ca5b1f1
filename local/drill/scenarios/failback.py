"""Region one is cut off with its storage intact; region two recovers and serves. Then region one comes back, with the
writes that seemed lost, and users go back to it, as the runbook says: rebuilt first, verified, then routed.
"""

import asyncio
import contextlib
import hashlib

from azure.core.exceptions import ResourceNotFoundError

from local.drill.checks import Check
from local.drill.drill import Drill, completed
from local.drill.evidence import tokens_of, tombstone, unstored
from local.drill.guard import Guard
from local.drill.ledger import ABSENT, Write
from local.drill.load import Writers
from local.drill.proofs import answers_check, embedded_check, lake_check, problems_check
from local.drill.scenarios.common import (
    is_,
    settle,
    wait_served,
)
from local.drill.scenarios.region_loss import checks, lose_one, recover, serve
from local.region import DOCUMENTS

BACK = "users are served by region one again"


async def run(drill: Drill) -> list[Check]:
    """Run the scenario; returns what it must show."""
    users, writers = await drill.begin()
    record, one = drill.record, drill.estate.one
    at = await lose_one(drill, users, writers, frozen=True)
    guard = Guard(drill.http, drill.estate.two)
    async with tombstone(one.region.lake_port):
        loss, recovery = await recover(drill, at, guard, None)
        await serve(drill, users, loss)
    found = checks(drill, loss, recovery, guard)

    returned = record.mark("region one is back").at
    one.thaw("blobs")
    drill.follow("two")
    await one.start("storage", "search", "model")
    await one.start("lake")
    await settle_doubts(drill, writers)
    await one.start("host")
    services = await drill.services(one)
    missing = await unstored(services.primary.store, drill.ledger.current().values())
    report = await drill.rebuild(one, reason="drill: failback")
    completed(report, "the rebuild of region one")
    record.event("region one is rebuilt", f"{report['documents']}, {report['tokens_embedded']} tokens embedded")
    early = [answer for answer in record.answers if answer.region == "one" and answer.at > returned]
    await drill.route("one", "Enabled")
    enabled = record.now
    served = await wait_served(drill, "one", enabled, BACK)
    record.phase("fail back", returned, served)
    drill.run("writers", writers.run())
    await asyncio.sleep(drill.options.after)
    online = await is_(drill, "one", "Online")
    await settle(drill, users, writers)
    record.figures["failback_seconds"] = round(served - returned, 2)
    return [
        *found,
        Check("nobody is sent to region one before it is verified", not early and online, f"{len(early)} questions"),
        answers_check(drill),
        await lake_check(drill, one, "what seemed lost is back: the index is the lake"),
        await problems_check(drill, one),
        embedded_check(report, missing, tokens_of(services, missing)),
    ]


async def settle_doubts(drill: Drill, writers: Writers) -> None:
    """Ask the lake about the writes that were under way when it was cut off: nobody was told what became of them."""
    for write in [one for one in drill.ledger.writes if one.acknowledged is None]:
        blob = writers.lake.get_blob_client(DOCUMENTS, write.path)
        with contextlib.suppress(ResourceNotFoundError):  # absent: it was a deletion that came through, or nothing did
            there = await (await blob.download_blob()).readall()
            if write.edition != ABSENT and _same(there, write):
                said = await blob.get_blob_properties()
                etag = (said.etag or "").strip('"')
                drill.ledger.acknowledge(write, write.sent, said.version_id or "", etag, said.last_modified)
            else:
                drill.ledger.drop(write)
            continue
        if write.edition == ABSENT:
            drill.ledger.acknowledge(write, write.sent)
        else:
            drill.ledger.drop(write)


def _same(content: bytes, write: Write) -> bool:
    expected = write.depot.text(write.edition).encode()
    return hashlib.sha256(content).digest() == hashlib.sha256(expected).digest()
