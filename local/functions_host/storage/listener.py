"""Takes messages from a storage queue: leases kept while they are worked on, tries counted, the hopeless put aside."""

import asyncio
import base64
import binascii
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

logger = logging.getLogger(__name__)

LEASE_SETTING = "FUNCTIONS_HOST_LEASE_SECONDS"
VISIBILITY_SECONDS = int(os.environ.get(LEASE_SETTING, "30"))  # a message whose host was killed is back after that
RENEW_SECONDS = VISIBILITY_SECONDS / 3
FIRST_POLL_SECONDS = 0.05  # after a message, the next is looked for at once, then ever less often
TROUBLE_SECONDS = 1.0

type Handle = Callable[[QueueMessage, str | bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How a queue is worked off. Times in seconds; `retry_delay` takes the try that failed, counted from 1."""

    batch: int
    concurrency: int
    threshold: int  # a batch is fetched when no more than so many messages are being worked on
    tries: int
    poll: float
    base64: bool
    retry_delay: Callable[[int], float]


class QueueListener:
    """One queue's messages, each given to a handler until it succeeds or is out of tries."""

    def __init__(self, queue: QueueClient, poison: QueueClient, limits: Limits, handle: Handle) -> None:
        self._queue = queue
        self._poison = poison
        self._limits = limits
        self._handle = handle
        self._running: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()  # a message may have come, or a slot is free

    def wake(self) -> None:
        """Look for messages now."""
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled; messages being worked on are then given back."""
        pause = FIRST_POLL_SECONDS
        troubled = False
        try:
            while True:
                try:
                    found = await self._fetch()
                    pause = FIRST_POLL_SECONDS if found else min(self._limits.poll, pause * 2)
                    troubled = False
                except (AzureError, OSError) as fault:
                    if not troubled:
                        logger.warning("queue=%s cannot be read, trying on: %s", self._queue.queue_name, _line(fault))
                    troubled, pause = True, TROUBLE_SECONDS
                self._changed.clear()
                with contextlib.suppress(TimeoutError):  # the pause is over
                    full = len(self._running) > self._limits.threshold
                    await asyncio.wait_for(self._changed.wait(), None if full else pause)
        finally:
            for task in list(self._running):
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def put(self, text: str) -> None:
        """Add a message."""
        await send(self._queue, text, self._limits.base64)

    async def _fetch(self) -> int:
        if len(self._running) > self._limits.threshold:
            return 0
        wanted = min(self._limits.batch, 32, self._limits.concurrency - len(self._running))
        if wanted <= 0:
            return 0
        count = 0
        try:
            pages = self._queue.receive_messages(max_messages=wanted, visibility_timeout=VISIBILITY_SECONDS)
            async for message in pages:
                count += 1
                task = asyncio.create_task(self._work(message))
                self._running.add(task)
                task.add_done_callback(self._worked)
        except ResourceNotFoundError:
            await create(self._queue)
        return count

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._changed.set()
        if not task.cancelled() and task.exception() is not None:
            logger.error(
                "queue=%s a message is left to its next try", self._queue.queue_name, exc_info=task.exception()
            )

    async def _work(self, message: QueueMessage) -> None:
        lease = asyncio.create_task(self._renew(message))
        tried = message.dequeue_count or 1
        try:
            content = decode(str(message.content), self._limits.base64)
            if content is None:
                logger.error("queue=%s message=%s is not base64", self._queue.queue_name, message.id)
                succeeded, tried = False, self._limits.tries
            elif tried > self._limits.tries:  # the host died during its last try
                succeeded = False
            else:
                succeeded = await self._try(message, content)
            await _stopped(lease)
            await self._settle(message, succeeded, tried)
        except asyncio.CancelledError:
            await _stopped(lease)
            with contextlib.suppress(AzureError, OSError):  # then it comes back when its lease ends
                await self._queue.update_message(message, visibility_timeout=0)
            raise
        finally:
            await _stopped(lease)

    async def _try(self, message: QueueMessage, content: str | bytes) -> bool:
        try:
            await self._handle(message, content)
        except Exception as fault:
            name, count = self._queue.queue_name, message.dequeue_count
            logger.warning("queue=%s message=%s try=%s failed: %s", name, message.id, count, _line(fault))
            return False
        return True

    async def _settle(self, message: QueueMessage, succeeded: bool, tried: int) -> None:
        try:
            if succeeded:
                await self._queue.delete_message(message)
            elif tried >= self._limits.tries:
                await send_raw(self._poison, str(message.content))
                await self._queue.delete_message(message)
                name, put = self._queue.queue_name, self._poison.queue_name
                logger.error("queue=%s message=%s moved to %s after %d tries", name, message.id, put, tried)
            else:
                delay = int(self._limits.retry_delay(tried))
                await self._queue.update_message(message, visibility_timeout=delay)
        except ResourceNotFoundError:
            # Someone else took or removed it: its lease had ended, or the queue was cleared.
            logger.warning("queue=%s message=%s is no longer ours", self._queue.queue_name, message.id)

    async def _renew(self, message: QueueMessage) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                updated = await self._queue.update_message(message, visibility_timeout=VISIBILITY_SECONDS)
                message.pop_receipt = updated.pop_receipt
            except (AzureError, OSError) as fault:
                logger.warning("queue=%s message=%s lease: %s", self._queue.queue_name, message.id, _line(fault))


def decode(text: str, is_base64: bool) -> str | bytes | None:
    """Return a message's content: text where it is UTF-8. None when it is not the base64 that it should be."""
    if not is_base64:
        return text
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


async def send(queue: QueueClient, content: str | bytes, is_base64: bool) -> None:
    """Add a message, creating the queue when it is missing."""
    raw = content.encode() if isinstance(content, str) else content
    await send_raw(queue, base64.b64encode(raw).decode() if is_base64 else raw.decode())


async def send_raw(queue: QueueClient, text: str) -> None:
    """Add a message as it stands, creating the queue when it is missing."""
    try:
        await queue.send_message(text)
    except ResourceNotFoundError:
        await create(queue)
        await queue.send_message(text)


async def create(queue: QueueClient) -> None:
    """Create a queue, unless it is there."""
    with contextlib.suppress(ResourceExistsError):  # that is what is wanted
        await queue.create_queue()


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _line(fault: BaseException) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0]
