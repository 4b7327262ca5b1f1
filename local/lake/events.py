"""Lake changes as Event Grid sends them: created blobs to a webhook, deleted ones to a queue, at least once each.

https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

import asyncio
import base64
import json
import logging
import time
import uuid
from typing import Any
from urllib.parse import quote

import aiohttp
from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.queue.aio import QueueClient

from local.lake.versions import QueuedEvent, VersionStore

logger = logging.getLogger(__name__)

CREATED, DELETED = "Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"
AT_ONCE = 16  # deliveries under way at once
LONGEST_WAIT = 3.0  # seconds between tries; the service waits longer, but nobody here is paid for patience
IDLE_SECONDS = 1.0
TOPIC = "/subscriptions/local/resourceGroups/local/providers/Microsoft.Storage/storageAccounts/lake"


def storage_event(
    kind: str,
    api: str,
    endpoint: str,
    container: str,
    name: str,
    etag: str,
    length: int,
    content_type: str,
    sequencer: str,
) -> dict[str, Any]:
    """Return one event in Event Grid's schema; `sequencer` orders the events of one blob."""
    return {
        "topic": TOPIC,
        "subject": f"/blobServices/default/containers/{container}/blobs/{name}",
        "eventType": kind,
        "id": str(uuid.uuid4()),
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime()),
        "data": {
            "api": api,
            "requestId": str(uuid.uuid4()),
            "eTag": etag.strip('"'),
            "contentType": content_type,
            "contentLength": length,
            "blobType": "BlockBlob",
            "url": f"{endpoint}/{container}/{quote(name)}",
            "sequencer": sequencer,
            "storageDiagnostics": {"batchId": str(uuid.uuid4())},
        },
        "dataVersion": "",
        "metadataVersion": "1",
    }


class Dispatcher:
    """Delivers queued events until each has arrived."""

    def __init__(self, store: VersionStore, webhook: str, queue: QueueClient | None) -> None:
        self._store = store
        self._webhook = webhook
        self._queue = queue
        self._wake = asyncio.Event()
        self._validated = False
        self._queue_made = False

    def wake(self) -> None:
        """Look for events now."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver for ever."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            while True:
                due = self._store.due_events(time.time(), AT_ONCE)
                if due:
                    await asyncio.gather(*(self._deliver(session, event) for event in due))
                    continue
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), IDLE_SECONDS)
                except TimeoutError:
                    continue  # a postponed event may be due by now

    async def _deliver(self, session: aiohttp.ClientSession, queued: QueuedEvent) -> None:
        try:
            if queued.kind == CREATED:
                await self._to_webhook(session, queued.event)
            else:
                await self._to_queue(queued.event)
        except (aiohttp.ClientError, AzureError, TimeoutError, ConnectionError) as fault:
            wait = min(LONGEST_WAIT, 0.2 * 2**queued.attempts)
            said = f"{type(fault).__name__}: {fault}"
            self._store.postpone(queued.id, time.time() + wait, said)
            if queued.attempts in (0, 10, 100):
                logger.warning("event waiting subject=%s fault=%r", queued.event["subject"], said)
            return
        self._store.delivered(queued.id)
        logger.info("event delivered type=%s subject=%s", queued.event["eventType"], queued.event["subject"])

    async def _to_webhook(self, session: aiohttp.ClientSession, event: dict[str, Any]) -> None:
        if not self._webhook:
            return
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
        if self._queue is None:
            return
        if not self._queue_made:
            try:
                await self._queue.create_queue()
            except ResourceExistsError:
                logger.debug("queue %s exists", self._queue.queue_name)
            self._queue_made = True
        await self._queue.send_message(base64.b64encode(json.dumps(event).encode()).decode())
