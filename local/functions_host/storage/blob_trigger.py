"""The blob trigger as Event Grid drives it.

Events arrive at a webhook. Each is put on a queue of the host's before it is acknowledged, so that an accepted event
survives a crash; a processor takes them from there and runs the function, five times at most.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueMessage

from local.functions_host.config import HostConfig, resolve
from local.functions_host.invoker import Invoker
from local.functions_host.keys import Keys
from local.functions_host.model import Function, HostError
from local.functions_host.protos import TypedData
from local.functions_host.storage.blob_bindings import metadata_of, reference, takes_reference
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


@dataclass(frozen=True, slots=True)
class BlobFunction:
    """A function with a blob trigger, the blobs it wants, and the setting of their account."""

    function: Function
    pattern: PathPattern
    setting: str


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

    async def webhook(self, request: web.Request) -> web.Response:
        """Take a delivery of Event Grid's."""
        if request.method not in ("POST", "OPTIONS"):
            return web.Response(status=405, headers={"Allow": "POST, OPTIONS"})
        if self._keys is not None and not self._keys.allows("function", "", request.query.get("code")):
            return web.Response(status=401)
        name = request.query.get("functionName", "")
        found = self._functions.get(name.lower().removeprefix("host.functions."))
        if found is None:
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
            message = {
                "Type": "BlobTrigger",
                "FunctionId": f"Host.Functions.{wanted.function.name}",
                "BlobType": (event.get("data") or {}).get("blobType"),
                "ContainerName": place[0],
                "BlobName": place[1],
                "ETag": (event.get("data") or {}).get("eTag"),
            }
            try:
                await self.listener.put(json.dumps(message))
            except (AzureError, OSError) as fault:
                logger.error("blob event not stored, Event Grid will deliver it again: %s", fault)
                return web.Response(status=503)
        self.listener.wake()
        return web.Response(status=202)

    async def _process(self, message: QueueMessage, content: str | bytes) -> None:
        event = json.loads(content)
        name = str(event["FunctionId"]).removeprefix("Host.Functions.")
        wanted = self._functions.get(name.lower())
        container, blob = event["ContainerName"], event["BlobName"]
        values = wanted.pattern.match(container, blob) if wanted is not None else None
        if wanted is None or values is None:
            logger.warning("blob=%s/%s dropped: function %r does not want it any more", container, blob, name)
            return
        client = self._connections.blobs(wanted.setting, f"function {name!r}").get_blob_client(container, blob)
        try:
            properties = await client.get_blob_properties()
            if takes_reference(wanted.function.trigger):
                trigger = reference(wanted.setting, container, blob)
            else:
                trigger = TypedData(bytes=await (await client.download_blob()).readall())
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
    if source.lower() != "eventgrid":
        raise HostError(
            f"{where}: the blob trigger {function.trigger.name!r} has source {source}; only EventGrid is supported"
        )
    path = resolve(function.trigger.text("path"), environ, where)
    return BlobFunction(function, PathPattern(path, where), function.trigger.text("connection") or DEFAULT)
