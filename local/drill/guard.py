"""Watch a region while it is rebuilt: it must not call itself healthy, and nothing may answer, before it is verified.

Also samples what the plot shows. All of it asks the services over HTTP without retries: a lost one costs no time.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from local.drill.ledger import Ledger
from local.drill.record import Record, Sample
from local.drill.stamps import Estate, Stamp

POLL_SECONDS = 0.05
HEALTH_SECONDS = 0.25
SAMPLE_SECONDS = 0.5
UNVERIFIED = frozenset({"starting", "planning", "indexing", "catching_up", "verifying"})
API = {"api-version": "2026-04-01"}
KEY = {"api-key": "local"}
ALIAS = "documents"
TIMEOUT = aiohttp.ClientTimeout(total=5.0)
UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


async def get(http: aiohttp.ClientSession, url: str, **options: Any) -> tuple[int, Any]:
    """Return status and JSON of an answer, (0, None) where there is none."""
    try:
        async with http.get(url, timeout=TIMEOUT, **options) as reply:
            return reply.status, await reply.json(content_type=None)
    except UNREACHABLE:
        return 0, None


async def alias(http: aiohttp.ClientSession, stamp: Stamp) -> str | None:
    """Return the generation that answers in a region, None where there is none or its search service is away."""
    url = f"{stamp.environ['SEARCH_ENDPOINT']}/aliases('{ALIAS}')"
    status, found = await get(http, url, params=API, headers=KEY)
    return str(found["indexes"][0]) if status == 200 and found["indexes"] else None


@dataclass(slots=True)
class Guard:
    """Notes what a region must not do while it has no verified index."""

    http: aiohttp.ClientSession
    stamp: Stamp
    healthy_early: list[str] = field(default_factory=list)
    alias_early: list[str] = field(default_factory=list)
    looks: int = 0

    async def run(self) -> None:
        """Watch for ever."""
        await asyncio.gather(self._health(), self._alias())

    async def _health(self) -> None:
        while True:
            status, _ = await get(self.http, f"{self.stamp.url}/api/health")
            # An alias never goes away again: where there is none now, there was none when it called itself healthy.
            if status == 200 and await alias(self.http, self.stamp) is None:
                _note(self.healthy_early, f"{self.stamp.name} calls itself healthy without a verified index")
            await asyncio.sleep(HEALTH_SECONDS)

    async def _alias(self) -> None:
        while True:
            live = await alias(self.http, self.stamp)
            self.looks += 1
            if live is not None:
                # Phases only go on: one that is before the swap now was so when the alias was there already.
                status, now = await get(self.http, f"{self.stamp.url}/api/recovery/latest")
                building = status == 200 and now.get("status") == "running" and now.get("generation") in (live, None)
                if building and now.get("phase") in UNVERIFIED:
                    _note(self.alias_early, f"{self.stamp.name} lets {live} answer in the phase {now['phase']}")
            await asyncio.sleep(POLL_SECONDS)


def _note(known: list[str], text: str) -> None:
    if text not in known:
        known.append(text)


@dataclass(slots=True)
class Sampler:
    """Samples how complete each region's newest index is, and how Traffic Manager sees the regions."""

    http: aiohttp.ClientSession
    estate: Estate
    ledger: Ledger
    record: Record
    statuses: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Sample for ever; a change of an endpoint's state becomes an event."""
        while True:
            self.record.samples.append(await self._sample())
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _sample(self) -> Sample:
        profile, one, two = await asyncio.gather(
            get(self.http, f"{self.estate.traffic_url}/profile"),
            self._complete(self.estate.one),
            self._complete(self.estate.two),
        )
        if profile[0] == 200:
            for endpoint in profile[1]["endpoints"]:
                self._see(endpoint["name"], endpoint["status"])
        return Sample(self.record.now, {"one": one, "two": two}, dict(self.statuses))

    def _see(self, name: str, status: str) -> None:
        if self.statuses.get(name) != status:
            self.statuses[name] = status
            self.record.event(f"traffic manager: {name} is {status}")

    async def _complete(self, stamp: Stamp) -> float:
        """Return the share of documents whose head is in the newest generation, 0 where there is none."""
        search = stamp.environ["SEARCH_ENDPOINT"]
        status, found = await get(self.http, f"{search}/indexes", params={**API, "$select": "name"}, headers=KEY)
        names = sorted(index["name"] for index in found["value"]) if status == 200 else []
        expected = len(self.ledger.current())
        if not names or not expected:
            return 0.0
        query = {"search": "*", "filter": "ordinal eq 0", "count": True, "top": 0}
        url = f"{search}/indexes('{names[-1]}')/docs/search.post.search"
        try:
            async with self.http.post(url, json=query, params=API, headers=KEY, timeout=TIMEOUT) as reply:
                found = await reply.json(content_type=None)
                return min(1.0, found["@odata.count"] / expected) if reply.status == 200 else 0.0
        except UNREACHABLE:
            return 0.0
