"""The blob trigger.

New blobs are told by Event Grid at a webhook, or found by listing the container. Each is put on a queue of the host's
before it is acknowledged, or its receipt written, so that it survives a crash; a processor takes them from there and
runs the function, five times at most.
"""

import json
import logging
import re
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

from aiohttp import web
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueMessage

from local.functions_host.config import HostConfig, resolve
from local.functions_host.invoker import Invoker
from local.functions_host.keys import Keys
from local.functions_host.model import Function, HostError
from local.functions_host.storage.blob_bindings import content_of, metadata_of, reference, takes_reference
from local.functions_host.storage.blob_scan import BlobFunction, BlobScan
from local.functions_host.storage.connections import DEFAULT, Connections
from local.functions_host.storage.expressions import PathPattern
from local.functions_host.storage.listener import Limits, QueueListener
from local.functions_host.worker import Call

logger = logging.getLogger(__name__)

WEBHOOK = "/runtime/webhooks/blobs"
POISON = "webjobs-blobtrigger-poison"
CREATED = "Microsoft.Storage.BlobCreated"
SUBJECT = re.compile(r"/blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<blob>.+)")
TRIES = 5
RETRY_SETTING = "FUNCTIONS_HOST_BLOB_RETRY_SECONDS"
RETRY_SECONDS = 1.0  # before the second try; twice as long before each further one


class BlobTrigger:
    """The webhook, the queue behind it, and its processor."""

    def __init__(
        self,
        functions: Iterable[Function],
        config: HostConfig,
        connections: Connections,
        invoker: Invoker,
        keys: Keys | None,
        environ: Mapping[str, str],
        host_id: str,
    ) -> None:
        self._functions = {function.name.lower(): _blob_function(function, environ) for function in functions}
        self._connections = connections
        self._invoker = invoker
        self._keys = keys
        degree = config.blob_parallelism
        pause = float(environ.get(RETRY_SETTING) or RETRY_SECONDS)
        limits = Limits(
            batch=min(degree, 32),
            concurrency=degree,
            threshold=degree - 1,
            tries=TRIES,
            poll=config.queues.polling_interval,
            base64=True,
            retry_delay=lambda tried: pause * 2.0 ** (tried - 1),
        )
        where = "the blob trigger's queue"
        queue = connections.queue(DEFAULT, f"azure-webjobs-blobtrigger-{host_id}", where)
        self.listener = QueueListener(queue, connections.queue(DEFAULT, POISON, where), limits, self._process)
        polled = [found for found in self._functions.values() if found.polled]
        self.scan = BlobScan(polled, connections, host_id, self._put) if polled else None

    async def webhook(self, request: web.Request) -> web.Response:
        """Take a delivery of Event Grid's."""
        if request.method not in ("POST", "OPTIONS"):
            return web.Response(status=405, headers={"Allow": "POST, OPTIONS"})
        if self._keys is not None and not self._keys.allows("function", "", request.query.get("code")):
            return web.Response(status=401)
        name = request.query.get("functionName", "")
        found = self._functions.get(name.lower().removeprefix("host.functions."))
        if found is None or found.polled:
            return web.Response(status=404, text=f"cannot find function: '{name}'")
        if request.method == "OPTIONS":  # how a subscription with the CloudEvents schema is validated
            origin = request.headers.get("WebHook-Request-Origin", "")
            return web.Response(status=200, headers={"WebHook-Allowed-Origin": origin, "Allow": "POST, OPTIONS"})
        try:
            events = json.loads(await request.read())
        except ValueError:
            return web.Response(status=400, text="the body is not JSON")
        events = events if isinstance(events, list) else [events]
        if not events or not all(_is_event(event) for event in events):
            return web.Response(status=400, text="the body is not an array of Event Grid events")
        kind = request.headers.get("aeg-event-type", "Notification")
        if kind == "SubscriptionValidation":
            return web.json_response({"validationResponse": (events[0].get("data") or {}).get("validationCode")})
        if kind == "Unsubscribe":
            return web.Response(status=202)
        if kind != "Notification":
            return web.Response(status=400, text=f"the aeg-event-type {kind!r} is not supported")
        return await self._accept(found, events)

    async def _accept(self, wanted: BlobFunction, events: list[dict[str, Any]]) -> web.Response:
        for event in events:
            place = blob_of(event)
            # `type` is what the CloudEvents schema calls the event's type; `data` is the same in both.
            if (
                event.get("eventType", event.get("type")) != CREATED
                or place is None
                or wanted.pattern.match(*place) is None
            ):
                continue
            data = event.get("data") or {}
            try:
                await self._put(wanted, *place, data.get("blobType"), data.get("eTag"))
            except (AzureError, OSError) as fault:
                logger.error("blob event not stored, Event Grid will deliver it again: %s", fault)
                return web.Response(status=503)
        return web.Response(status=202)

    async def _put(self, wanted: BlobFunction, container: str, blob: str, kind: str | None, etag: str | None) -> None:
        """Have a function run for a blob: put it on the queue."""
        message = {
            "Type": "BlobTrigger",
            "FunctionId": f"Host.Functions.{wanted.function.name}",
            "BlobType": kind,
            "ContainerName": container,
            "BlobName": blob,
            "ETag": etag,
        }
        await self.listener.put(json.dumps(message))
        self.listener.wake()

    def by_hand(self, function: Function, path: str) -> Awaitable[None]:
        """Return the run of a function for the blob at a path, whose container comes first.

        Raises ValueError when it is no path that the function takes.
        """
        wanted = self._functions[function.name.lower()]
        container, _, blob = path.strip("/").partition("/")
        values = wanted.pattern.match(container, blob)
        if values is None:
            raise ValueError(f"the input {path!r} is no blob that the function's path takes")
        return self._run(wanted, container, blob, values)

    async def _process(self, message: QueueMessage, content: str | bytes) -> None:
        event = json.loads(content)
        name = str(event["FunctionId"]).removeprefix("Host.Functions.")
        wanted = self._functions.get(name.lower())
        container, blob = event["ContainerName"], event["BlobName"]
        values = wanted.pattern.match(container, blob) if wanted is not None else None
        if wanted is None or values is None:
            logger.warning("blob=%s/%s dropped: function %r does not want it any more", container, blob, name)
            return
        await self._run(wanted, container, blob, values)

    async def _run(self, wanted: BlobFunction, container: str, blob: str, values: Mapping[str, str]) -> None:
        name = wanted.function.name
        client = self._connections.blobs(wanted.setting, f"function {name!r}").get_blob_client(container, blob)
        try:
            properties = await client.get_blob_properties()
            if takes_reference(wanted.function.trigger):
                trigger = reference(wanted.setting, container, blob)
            else:
                trigger = content_of(wanted.function.trigger, await (await client.download_blob()).readall())
        except ResourceNotFoundError:
            logger.info("blob=%s/%s is gone: function %s is not run", container, blob, name)
            return
        await self._invoker.call(wanted.function, trigger, Call({}, metadata_of(client, properties, values)))


def _is_event(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("data", {}), dict | None)


def blob_of(event: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return container and name of the blob that an event is about; None when it is about something else."""
    found = SUBJECT.fullmatch(str(event.get("subject", "")))
    return (found["container"], found["blob"]) if found else None


def _blob_function(function: Function, environ: Mapping[str, str]) -> BlobFunction:
    where = f"function {function.name!r}"
    source = function.trigger.text("source", "LogsAndContainerScan")
    if source.lower() not in ("eventgrid", "logsandcontainerscan"):
        raise HostError(f"{where}: the blob trigger {function.trigger.name!r} has the unknown source {source}")
    path = resolve(function.trigger.text("path"), environ, where)
    setting = function.trigger.text("connection") or DEFAULT
    return BlobFunction(function, PathPattern(path, where), setting, source.lower() != "eventgrid")
