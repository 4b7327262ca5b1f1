"""Lake changes as Event Grid sends them: created blobs to a webhook, deleted ones to a queue, at least once each.

https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

import asyncio
import base64
import contextlib
import json
import logging
import time
import uuid
from typing import Any

import aiohttp
from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.queue.aio import QueueClient

from local.lake.versions import QueuedEvent, Version, VersionStore

logger = logging.getLogger(__name__)

CREATED, DELETED = "Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"
AT_ONCE = 16  # deliveries of one kind under way at once
REPLY_SECONDS = 30.0  # a receiver that takes longer gets the event again, as with Event Grid
FIRST_WAIT = 0.2  # seconds; doubled with every further try
LONGEST_WAIT = 3.0  # seconds between tries; the service waits longer, but nobody here is paid for patience
IDLE_SECONDS = 1.0
TOPIC = "/subscriptions/local/resourceGroups/local/providers/Microsoft.Storage/storageAccounts/lake"


def storage_event(kind: str, api: str, url: str, version: Version) -> dict[str, Any]:
    """Return one event in Event Grid's schema. Its sequencer, the version id, orders the events of one blob."""
    return {
        "topic": TOPIC,
        "subject": f"/blobServices/default/containers/{version.container}/blobs/{version.name}",
        "eventType": kind,
        "id": str(uuid.uuid4()),
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime()),
        "data": {
            "api": api,
            "requestId": str(uuid.uuid4()),
            "eTag": version.etag.strip('"'),
            "contentType": version.properties["type"],
            "contentLength": version.properties["length"],
            "blobType": "BlockBlob",
            "url": url,
            "sequencer": version.version_id,
            "storageDiagnostics": {"batchId": str(uuid.uuid4())},
        },
        "dataVersion": "",
        "metadataVersion": "1",
    }


class Dispatcher:
    """Delivers queued events until each has arrived: created blobs to `webhook`, deleted ones to `queue`."""

    def __init__(self, store: VersionStore, webhook: str, queue: QueueClient | None) -> None:
        self._store = store
        self._webhook = webhook
        self._queue = queue
        self._wake = {kind: asyncio.Event() for kind in (CREATED, DELETED)}
        self._handshake = asyncio.Lock()
        self._validated = False
        self._queue_made = False

    def wants(self, kind: str) -> bool:
        """Whether somebody receives events of this kind."""
        return bool(self._webhook) if kind == CREATED else self._queue is not None

    def wake(self) -> None:
        """Look for events now."""
        for event in self._wake.values():
            event.set()

    async def run(self) -> None:
        """Deliver for ever. The two kinds do not wait for each other."""
        timeout = aiohttp.ClientTimeout(total=REPLY_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            for kind in filter(self.wants, self._wake):
                group.create_task(self._run(kind, session))

    async def _run(self, kind: str, session: aiohttp.ClientSession) -> None:
        """Keep up to AT_ONCE deliveries under way; one that hangs takes its own place only."""
        under_way: dict[int, asyncio.Task[None]] = {}
        try:
            while True:
                self._wake[kind].clear()
                for event in self._store.due_events(kind, time.time(), AT_ONCE + len(under_way)):
                    if event.id not in under_way and len(under_way) < AT_ONCE:
                        task = asyncio.create_task(self._deliver(session, event))
                        under_way[event.id] = task
                        task.add_done_callback(lambda _: self._wake[kind].set())
                with contextlib.suppress(TimeoutError):  # a postponed event may be due by now
                    await asyncio.wait_for(self._wake[kind].wait(), IDLE_SECONDS)
                under_way = {number: task for number, task in under_way.items() if not task.done()}
        finally:
            for task in under_way.values():
                task.cancel()
            await asyncio.gather(*under_way.values(), return_exceptions=True)

    async def _deliver(self, session: aiohttp.ClientSession, queued: QueuedEvent) -> None:
        try:
            if queued.kind == CREATED:
                await self._to_webhook(session, queued.event)
            else:
                await self._to_queue(queued.event)
        except (aiohttp.ClientError, AzureError, OSError, ValueError) as fault:  # TimeoutError is an OSError
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(queued.attempts, 10))
            said = f"{type(fault).__name__}: {fault}"
            self._store.postpone(queued.id, time.time() + wait, said)
            if queued.attempts in (0, 10, 100):
                logger.warning("event waiting subject=%s fault=%r", queued.event["subject"], said)
            return
        self._store.delivered(queued.id)
        logger.info("event delivered type=%s subject=%s", queued.event["eventType"], queued.event["subject"])

    async def _to_webhook(self, session: aiohttp.ClientSession, event: dict[str, Any]) -> None:
        async with self._handshake:
            if not self._validated:
                await self._validate(session)
        async with session.post(self._webhook, json=[event], headers={"aeg-event-type": "Notification"}) as reply:
            reply.raise_for_status()

    async def _validate(self, session: aiohttp.ClientSession) -> None:
        code = str(uuid.uuid4())
        event = {
            "id": str(uuid.uuid4()),
            "topic": TOPIC,
            "subject": "",
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "data": {"validationCode": code, "validationUrl": ""},
            "dataVersion": "2",
            "metadataVersion": "1",
        }
        headers = {"aeg-event-type": "SubscriptionValidation"}
        async with session.post(self._webhook, json=[event], headers=headers) as reply:
            reply.raise_for_status()
            answer = await reply.json(content_type=None)
        if not isinstance(answer, dict) or answer.get("validationResponse") != code:
            raise aiohttp.ClientError(f"the webhook did not validate the subscription: {answer!r}")
        self._validated = True

    async def _to_queue(self, event: dict[str, Any]) -> None:
        assert self._queue is not None  # without a queue no deletion is queued
        if not self._queue_made:
            try:
                await self._queue.create_queue()
            except ResourceExistsError:
                logger.debug("queue %s exists", self._queue.queue_name)
            self._queue_made = True
        await self._queue.send_message(base64.b64encode(json.dumps(event).encode()).decode())
