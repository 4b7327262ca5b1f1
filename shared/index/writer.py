"""Bulk writing: the actions of many documents packed into few, full batches.

Documents converge side by side, each waiting for its own actions. The writer gathers what they hand in until a batch is
full or nothing more comes, keeps several batches under way, and sends fewer at once when the service refuses some.
"""

import asyncio
import io
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.search.documents.aio import SearchClient
from azure.search.documents.models import IndexDocumentsBatch, IndexingResult

from shared.errors import Throttled
from shared.index.client import ActionStatus, BulkClient
from shared.retry_after import stated_wait

logger = logging.getLogger(__name__)

Action = dict[str, Any]
Check = Callable[[], None]  # raises when its owner may no longer write

MAX_ACTIONS = 1_000  # actions the service takes in one batch
MAX_BYTES = 15_000_000  # the service takes 16 MB; headroom for the envelope
WRONG, TOO_LARGE = 400, 413  # statuses of a batch that may pass in parts
READ_AHEAD_BYTES = 2 * MAX_BYTES  # queued beside what is under way: enough that the next batch is always full
TRANSIENT = frozenset({409, 422, 429, 500, 502, 503, 504})  # statuses after which the same action may succeed
LINGER_SECONDS = 0.005  # how long a batch that is not full waits for more
PATIENCE_SECONDS = 300.0  # how long one batch is tried before the activity's own retry takes over
FIRST_WAIT = 0.5  # seconds before the second try where the service names none; doubled, with jitter
LONGEST_WAIT = 30.0  # seconds
CALM = 8  # batches without a refusal, after which one more is sent at once


class ChunkMissing(Exception):
    """A merge found no such chunk: the index changed underneath, and the caller looks at it again."""


class WriteRefused(HttpResponseError):
    """The service calls the caller's own actions wrong or too large: another try would not change that."""


class _Call:
    """What one caller handed in. It is over when nothing of it is under way any more: every action has been written, or
    with `fault`, after which no more of them are sent.
    """

    def __init__(self, actions: int, check: Check | None) -> None:
        self.waited = 0.0
        self.check = check
        self.fault: Exception | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = actions

    def settled(self, fault: Exception | None = None) -> None:
        """Note that one action was written, or will not be."""
        self.fault = self.fault or fault
        self._left -= 1
        if self._left == 0 and not self.done.done():
            if self.fault is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(self.fault)


@dataclass(frozen=True, slots=True)
class _Item:
    key: str
    body: bytes
    call: _Call


class BulkWriter:
    """Writes to one index, `concurrency` batches at once at most. Callers share it within one event loop."""

    def __init__(self, client: SearchClient | BulkClient, concurrency: int) -> None:
        self._client = client
        self._most = self._allowed = concurrency
        self._calm = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._queue: list[_Item] = []
        self._queued_bytes = 0
        self._pump: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    @property
    def at_once(self) -> int:
        """How many batches may be under way now: fewer than configured for a while after a refusal."""
        return self._allowed

    async def room(self) -> None:
        """Return when little enough is queued: whoever reads further ahead of the service fills memory, no more."""
        await self._room.wait()

    async def send(self, actions: Sequence[Action], check: Check | None = None) -> float:
        """Write the actions; returns when the service has acknowledged every one, with the seconds that it made us
        wait. A wait is told to one of those who share it, so that sums are right.

        `check` is asked before every try; what it raises ends the call.

        Raises ChunkMissing where a merge found no chunk, WriteRefused when the service calls an action wrong or too
        large, Throttled when it kept refusing, and what it raised for anything else that another try would not change.
        """
        if not actions:
            return 0.0
        call = _Call(len(actions), check)
        for action in actions:
            # Vectors stay numpy arrays until here: they are written in float32's own shortest digits.
            body = orjson.dumps(action, option=orjson.OPT_SERIALIZE_NUMPY)
            self._queue.append(_Item(action["id"], body, call))
            self._queued_bytes += len(body)
        self._mark_room()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._send_queued(), name="bulk-writer")
        await call.done
        return call.waited

    async def _send_queued(self) -> None:
        while self._queue:
            if not self._full:
                await asyncio.sleep(LINGER_SECONDS)
            # While others are under way, a batch that is not full waits for more: the service is busy anyway.
            while len(self._under_way) >= (self._allowed if self._full else 1):
                await asyncio.wait(self._under_way, timeout=LINGER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._send_batch(self._take()))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    @property
    def _full(self) -> bool:
        return len(self._queue) >= MAX_ACTIONS or self._queued_bytes >= MAX_BYTES

    def _take(self) -> list[_Item]:
        used = count = 0
        for item in self._queue[:MAX_ACTIONS]:
            if count and used + len(item.body) > MAX_BYTES:
                break
            used += len(item.body)
            count += 1
        batch = self._queue[:count]
        del self._queue[:count]
        self._queued_bytes -= used
        self._mark_room()
        return batch

    def _mark_room(self) -> None:
        if self._queued_bytes < READ_AHEAD_BYTES:
            self._room.set()
        else:
            self._room.clear()

    async def _send_batch(self, batch: list[_Item]) -> None:
        started = time.monotonic()
        wait = FIRST_WAIT
        waiting = batch
        try:
            while True:
                waiting = _still_wanted(waiting)
                try:
                    waiting, asked = await self._try(waiting)
                except HttpResponseError as error:
                    if error.status_code not in (WRONG, TOO_LARGE):
                        raise
                    await self._send_parts(waiting, error)
                    return
                if not waiting:
                    return
                pause = asked if asked is not None else wait * random.uniform(0.5, 1.5)
                if time.monotonic() + pause - started > PATIENCE_SECONDS:
                    raise Throttled(f"the search service kept refusing {len(waiting)} actions", retry_after=pause)
                logger.warning("index_write retrying=%d of=%d wait=%.1fs", len(waiting), len(batch), pause)
                waiting[0].call.waited += pause
                await asyncio.sleep(pause)
                wait = min(2 * wait, LONGEST_WAIT)
        except Exception as error:  # whoever waits for these actions has to know
            for item in waiting:
                item.call.settled(error)

    async def _send_parts(self, batch: list[_Item], error: HttpResponseError) -> None:
        """Send a batch that was refused whole in halves: what is wrong in it shall be its caller's fault only.

        One that is too large is cut anywhere; of one that is wrong nobody's actions are cut apart, as one of them fails
        them all.
        """
        middle = len(batch) // 2
        if error.status_code == WRONG:
            calls = list({id(item.call): None for item in batch})
            first = set(calls[: len(calls) // 2])
            middle = sum(id(item.call) in first for item in batch)
        if not middle:
            raise WriteRefused(f"{error.status_code} {error.message}")
        logger.warning("index_write status=%s split=%d", error.status_code, len(batch))
        for half in (batch[:middle], batch[middle:]):
            await self._send_batch(half)

    async def _try(self, batch: list[_Item]) -> tuple[list[_Item], float | None]:
        """Send a batch once; returns what has to be sent again, and the seconds that the service asked to wait."""
        if not batch:
            return [], None
        # Joined once: a full batch has megabytes, and each further copy of them takes longer than anything else here.
        commas = (part for item in batch for part in (b",", item.body))
        next(commas)
        body = io.BytesIO(b"".join((b'{"value":[', *commas, b"]}")))
        try:
            # The client takes a serialised batch as well, and then spends nothing on copying every number of it.
            results = await self._client.index_documents(cast(IndexDocumentsBatch, body), retry_total=0)
        except (ServiceRequestError, ServiceResponseError) as error:
            logger.warning("index_write fault=%r", error)
            return self._refused(batch, None)
        except HttpResponseError as error:
            if error.status_code not in TRANSIENT:
                raise
            return self._refused(batch, stated_wait(getattr(error.response, "headers", {})))
        failed = {result.key: result for result in results if not result.succeeded}
        again: list[_Item] = []
        for item in batch:
            if item.key not in failed:
                item.call.settled()
            elif failed[item.key].status_code in TRANSIENT:
                again.append(item)
            else:
                item.call.settled(_failure(failed[item.key]))
        return self._refused(again, None) if again else self._accepted()

    def _refused(self, batch: list[_Item], asked: float | None) -> tuple[list[_Item], float | None]:
        self._allowed = max(1, self._allowed // 2)
        self._calm = 0
        return batch, asked

    def _accepted(self) -> tuple[list[_Item], float | None]:
        self._calm += 1
        if self._calm >= CALM and self._allowed < self._most:
            self._allowed += 1
            self._calm = 0
        return [], None


def _still_wanted(batch: list[_Item]) -> list[_Item]:
    """Return the items whose owners wait for them and may still write; the others are settled, unsent."""
    for call in {id(item.call): item.call for item in batch}.values():
        try:
            if call.check is not None:
                call.check()
        except Exception as error:  # it goes to the caller, who waits for it
            call.fault = call.fault or error
    wanted = [item for item in batch if item.call.fault is None and not item.call.done.done()]
    for item in batch:
        if item.call.fault is not None or item.call.done.done():
            item.call.settled()
    return wanted


def _failure(result: IndexingResult | ActionStatus) -> Exception:
    if result.status_code == 404:
        return ChunkMissing(result.key)
    return WriteRefused(f"chunk {result.key!r}: {result.status_code} {result.error_message}")
