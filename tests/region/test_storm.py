"""A rebuild in a storm: a third of all calls to the search service and to the model fail in one way or another."""

import asyncio
import json
import re
import urllib.request
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench.rebuild_region import MeasuredRegion
from tests.region.test_killed_rebuilds import finished

DOCUMENTS = 40
SETTINGS = {
    "REBUILD_PAGE_DOCUMENTS": "4",
    "REBUILD_WINDOW": "3",
    "INDEX_WRITE_CONCURRENCY": "2",
    "EMBEDDING_BATCH": "4",
}
# A fifth of the calls is refused; of the rest an eighth finds the service out of order, and a fifteenth is done but its
# reply is lost after a while, as by a time-out.
REFUSED = {"every": 5, "status": 429}
OUT_OF_ORDER = {"every": 8, "status": 503}
TIMED_OUT = {"every": 15, "delay_ms": 300, "drop": "after"}
PARTIAL = {"every": 3, "extra": {"fail_every": 3, "fail_status": 503}}
STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) INFO (.*)")
TOLERANCE = timedelta(milliseconds=20)  # between the clock that tells and the one that waits


def rule(url: str, **given: Any) -> None:
    """Add a rule of faults to a service."""
    request = urllib.request.Request(f"{url}/-/faults", json.dumps(given).encode(), method="POST")
    with urllib.request.urlopen(request) as reply:
        assert reply.status == 201


def text(number: int) -> str:
    """Return a document of three sections."""
    parts = [
        f"## Part {part}\n\nBox {number} has part {part}, which weighs {number * part} kilograms." for part in range(3)
    ]
    return "\n\n".join([f"# Box {number}", *parts])


async def stormy(folder: Path) -> tuple[dict[str, Any], set[str], Path]:
    """Rebuild a lake that has no embeddings stored, with faults; returns the report, the index's paths and the log."""
    region = MeasuredRegion(folder, 384, SETTINGS, faults=True)
    async with region.running():
        services = region.services()
        container = services.lake_account.get_container_client(services.settings.lake_container)
        for number in range(DOCUMENTS):
            await container.upload_blob(f"box-{number}.md", text(number).encode())
        search, model = (f"http://127.0.0.1:{port}" for port in (region.region.search_port, region.region.model_port))
        async with region.host():
            for service in (search, model):
                rule(service, **REFUSED)
                rule(service, **OUT_OF_ORDER)
                rule(service, **TIMED_OUT)
            rule(search, method="POST", path=r"docs/search\.index", **PARTIAL)
            begun = await asyncio.to_thread(region.request, "/api/recovery/rebuild", {"reason": "storm", "force": True})
            report = await finished(region, begun["url"])
        live = await services.generations.require_live()
        found = await services.search_client(live).search("*", select=["path"], top=1_000)
        paths = {hit["path"] async for hit in found}
        await services.close()
    return report, paths, region.log


def call_of(service: str, facts: dict[str, str], said: str) -> str:
    """Return what all tries of one call have in common, and no other call.

    Batches of chunks and calls of the model are told by their bodies: the app itself sends them again. Anything else
    the client sends again, under one id; its body may be empty, or that of somebody else's call.
    """
    by_body = facts["client"] == "-" or "search.index" in said
    return f"{service} {facts['body' if by_body else 'client']}"


def too_early(log: Path) -> tuple[list[str], Counter[str]]:
    """Return the requests that came again before their Retry-After was over, and counts of what the services logged."""
    until: dict[str, datetime] = {}
    early: list[str] = []
    counts: Counter[str] = Counter()
    for line in log.read_text(encoding="utf-8").splitlines():
        service, _, rest = line.partition(" ")
        stamped = STAMP.search(rest)
        if not stamped:
            continue
        at, said = datetime.strptime(stamped[1], "%Y-%m-%d %H:%M:%S,%f"), stamped[2]
        facts = dict(re.findall(r"(\w+)=(\S+)", said))
        if said.startswith("refused "):
            until[call_of(service, facts, said)] = at + timedelta(seconds=float(facts["retry_after"]))
            counts[f"{service} told to wait"] += 1
        elif said.startswith("arrived "):
            counts[f"{service} arrived"] += 1
            call = call_of(service, facts, said)
            if call in until:
                counts[f"{service} came again"] += 1
                if at + TOLERANCE < until.pop(call):
                    early.append(line)
        elif said.startswith("fault "):
            counts[f"{service} faults"] += 1
    return early, counts


def test_a_rebuild_in_a_storm_ends_verified(tmp_path: Path) -> None:
    """Refusals, faults, lost replies and half-applied batches: the rebuild ends verified with every document, and no
    request came again before the service had said that it may.
    """
    report, paths, log = asyncio.run(stormy(tmp_path))
    assert report["status"] == "completed", report
    assert paths == {f"box-{number}.md" for number in range(DOCUMENTS)}
    assert report["failures"]["count"] == 0
    assert report["throttle_wait_seconds"] > 0
    early, counts = too_early(log)
    assert early == []
    for service in ("search", "model"):
        assert counts[f"{service} faults"] >= 0.3 * counts[f"{service} arrived"], counts
        assert counts[f"{service} told to wait"] > 0, counts
        assert counts[f"{service} came again"] > 0, counts
