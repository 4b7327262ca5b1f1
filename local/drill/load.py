"""The load of a drill: users who ask, writers who change documents, and a reader who looks into the index meanwhile."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob.aio import BlobServiceClient

from local.drill.corpus import Depot
from local.drill.judge import Judgement, Look, MayAnswer, Verdict, judge, look
from local.drill.ledger import ABSENT, Ledger, Write
from local.drill.record import Answer, Flaw, Record
from local.region import DOCUMENTS
from shared.clients import Services

ANSWER_SECONDS = 30.0  # a user does not wait longer
LOOK_SECONDS = 0.03  # between two looks at a document that is changing
SETTLE_SECONDS = 45.0  # a change that is not indexed by then is left to the last comparison
RECENT = 6  # documents changed last: every second question is about one of them
UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(slots=True)
class Resolver:
    """What a user's machine knows of the address: Traffic Manager's answer, kept for its TTL."""

    http: aiohttp.ClientSession
    url: str
    _target: tuple[str, str] = ("", "")
    _until: float = 0.0

    async def target(self) -> tuple[str, str]:
        """Return name and address of the endpoint to use. Raises what aiohttp raises."""
        if time.monotonic() >= self._until:
            async with self.http.get(f"{self.url}/resolve") as reply:
                reply.raise_for_status()
                found = await reply.json()
            self._target = (found["endpoint"], found["target"])
            self._until = time.monotonic() + found["ttl"]
        return self._target


@dataclass(slots=True)
class Users:
    """Asks so many questions a second whose answers are known, wherever Traffic Manager sends it."""

    http: aiohttp.ClientSession
    traffic_url: str
    ledger: Ledger
    record: Record
    oracle: Callable[[str, float], MayAnswer]  # (region, when it was asked) -> which editions may answer
    draw: random.Random
    per_second: float
    known: list[Depot] = field(default_factory=list)  # what is asked about
    changed: list[Depot] = field(default_factory=list)  # the same, those changed last at the end
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Ask for ever; a question does not wait for the answer to the one before."""
        resolver = Resolver(self.http, self.traffic_url)
        try:
            while True:
                task = asyncio.create_task(self._one(resolver, self._choose()))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                await asyncio.sleep(self.draw.uniform(0.5, 1.5) / self.per_second)
        finally:
            for task in self._under_way:
                task.cancel()

    def _choose(self) -> Depot:
        recent = self.changed[-RECENT:]
        return self.draw.choice(recent if recent and self.draw.random() < 0.5 else self.known)

    async def _one(self, resolver: Resolver, depot: Depot) -> None:
        try:
            region, url = await resolver.target()
        except UNREACHABLE as fault:
            answer = Answer(self.record.now, 0.0, "", depot.path, Verdict.FAILED, f"no address: {fault}")
        else:
            answer = await self.ask(region, url, depot)
        self.record.answers.append(answer)

    async def ask(self, region: str, url: str, depot: Depot, user: bool = True) -> Answer:
        """Ask one region a depot's question, and judge the answer."""
        asked, began = self.record.now, time.time()
        body = {"messages": [{"role": "user", "content": depot.question}], "context": {"debug": True}}
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with self.http.post(f"{url}/api/chat", json=body, timeout=timeout) as reply:
                status, said = reply.status, await reply.json(content_type=None)
        except UNREACHABLE as fault:
            found = Judgement(Verdict.FAILED, f"{type(fault).__name__}: {fault}")
        except ValueError as fault:
            found = Judgement(Verdict.FAILED, f"the reply is not JSON: {fault}")
        else:
            found = self._judged(region, depot, status, said, began)
        return Answer(asked, time.time() - began, region, depot.path, found.verdict, found.why, found.edition, user)

    def _judged(self, region: str, depot: Depot, status: int, said: Mapping[str, Any], began: float) -> Judgement:
        if status == 200:
            return judge(depot, said, self.ledger, self.oracle(region, began))
        verdict = Verdict.REFUSED if status in (429, 503) else Verdict.FAILED
        return Judgement(verdict, f"{status} {said.get('detail', '')}")


@dataclass(slots=True)
class Reader:
    """Looks at a document in a region's index again and again while it changes, as a reader could at any moment."""

    services: Services
    region: str
    ledger: Ledger
    record: Record

    async def look(self, depot: Depot) -> Look:
        """Look once."""
        client = self.services.search_client(self.services.generations.alias)
        results = await client.search(
            search_text="*",
            filter=f"document_id eq '{self.services.indexer.document_id(depot.path)}'",
            select=["version_id", "ordinal", "chunk_count"],
            top=100,
        )
        self.record.looks += 1
        return look([chunk async for chunk in results], self.ledger, depot.path)

    async def follow(self, write: Write) -> float | None:
        """Look until the write is in the index, whole and alone; returns the seconds that took, or None."""
        had = len(self.ledger.of(write.path)) > 1
        began = time.time()
        while time.time() - began < SETTLE_SECONDS:
            try:
                found = await self.look(write.depot)
            except AzureError:
                await asyncio.sleep(10 * LOOK_SECONDS)  # the search service is away; that is noted elsewhere
                continue
            self._note_flaws(write, found, had)
            if found.settled in self._later(write):
                now = time.time()
                self.ledger.saw(self.region, write.path, found.settled, now)
                return now - began
            await asyncio.sleep(LOOK_SECONDS)
        return None

    def _later(self, write: Write) -> frozenset[int]:
        """Return the editions of this write and of those after it: they may come before anybody has looked."""
        writes = self.ledger.of(write.path)
        return frozenset(one.edition for one in writes[writes.index(write) :])

    def _note_flaws(self, write: Write, found: Look, had: bool) -> None:
        if not had or write.edition == ABSENT:
            return
        what = ""
        if not found.editions:
            what = "nothing of the document is in the index while it is being changed"
        elif found.whole is None:
            what = f"no edition is whole: chunks by edition {dict(found.editions)}"
        if what:
            self.record.flaws.append(Flaw(self.record.now, self.region, write.path, what))


@dataclass(slots=True)
class Writers:
    """Changes documents in the lake, one at a time, about every `seconds`: new editions, new documents, deletions."""

    lake: BlobServiceClient
    users: Users
    reader: Reader
    spare: list[Depot]  # documents that are still to be added
    draw: random.Random
    seconds: float
    refused: int = 0
    lags: list[float] = field(default_factory=list)  # seconds from the lake into the index, of each change
    begun: asyncio.Event = field(default_factory=asyncio.Event)  # set whenever a change begins
    _following: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def ledger(self) -> Ledger:
        """Where writes are noted."""
        return self.users.ledger

    async def run(self) -> None:
        """Change documents for ever. Once it is ended, the changes before are still looked after."""
        while True:
            await self.change()
            await asyncio.sleep(self.draw.uniform(0.5, 1.5) * self.seconds)

    def abandon(self) -> None:
        """Look after no change any more: what it was made in is lost."""
        for task in self._following:
            task.cancel()

    async def change(self) -> None:
        """Make one change of a kind that chance decides."""
        kind = self.draw.random()
        if kind < 0.1 and self.spare:
            await self.write(self.spare.pop())
        elif kind < 0.2 and len(self.users.known) > 5:
            await self.delete(self.draw.choice(self.users.known))
        else:
            await self.write(self.draw.choice(self.users.known))

    async def write(self, depot: Depot) -> Write | None:
        """Write the next edition of a document; None when the lake refuses it."""
        write = self.ledger.begin(Write(depot, self.ledger.next_edition(depot.path), time.time()))
        self.begun.set()
        blob = self.lake.get_blob_client(DOCUMENTS, depot.path)
        try:
            said = await blob.upload_blob(depot.text(write.edition).encode(), overwrite=True)
        except HttpResponseError:
            self.refused += 1
            self.ledger.drop(write)
            return None
        except AzureError:
            self.refused += 1
            return None  # it may have been written: nobody can say
        self.ledger.acknowledge(write, time.time(), said["version_id"], said["etag"].strip('"'), said["last_modified"])
        self._follow(write)
        return write

    async def delete(self, depot: Depot) -> None:
        """Delete a document for good."""
        write = self.ledger.begin(Write(depot, ABSENT, time.time()))
        self.users.known.remove(depot)
        try:
            await self.lake.get_blob_client(DOCUMENTS, depot.path).delete_blob()
        except AzureError:
            self.refused += 1
            return
        self.ledger.acknowledge(write, time.time())
        self._follow(write)

    def _follow(self, write: Write) -> None:
        task = asyncio.create_task(self._until_indexed(write))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _until_indexed(self, write: Write) -> None:
        users, depot = self.users, write.depot
        if write.edition != ABSENT:
            users.changed.append(depot)
        taken = await self.reader.follow(write)
        if taken is not None:
            self.lags.append(taken)
        if write.edition != ABSENT and depot not in users.known:
            users.known.append(depot)

    async def settled(self) -> None:
        """Wait until every change so far has been followed to its end."""
        await asyncio.gather(*self._following)
