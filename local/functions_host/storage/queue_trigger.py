"""Functions that queue messages trigger, and queue output bindings."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.storage.queue import QueueMessage

from local.functions_host.config import QueuesConfig, resolve
from local.functions_host.invoker import Invoker
from local.functions_host.model import Binding, Function
from local.functions_host.protos import TypedData
from local.functions_host.storage.connections import DEFAULT, Connections
from local.functions_host.storage.expressions import fill
from local.functions_host.storage.listener import Limits, QueueListener, send
from local.functions_host.worker import Call


def listen_to_queue(
    function: Function, config: QueuesConfig, connections: Connections, invoker: Invoker, environ: Mapping[str, str]
) -> QueueListener:
    """Return the listener of a function's queue. Raises HostError when a setting is missing."""
    where = f"function {function.name!r}"
    name = resolve(function.trigger.text("queueName"), environ, where).lower()
    setting = function.trigger.text("connection") or DEFAULT
    limits = Limits(
        batch=config.batch_size,
        concurrency=config.batch_size + config.new_batch_threshold,
        threshold=config.new_batch_threshold,
        tries=config.max_dequeue_count,
        poll=config.polling_interval,
        base64=config.base64,
        retry_delay=lambda tried: config.retry_visibility,
    )

    async def handle(message: QueueMessage, content: str | bytes) -> None:
        trigger = TypedData(string=content) if isinstance(content, str) else TypedData(bytes=content)
        await invoker.call(function, trigger, Call({}, metadata_of(message, content)))

    queue = connections.queue(setting, name, where)
    return QueueListener(queue, connections.queue(setting, f"{name}-poison", where), limits, handle)


async def run_by_hand(function: Function, invoker: Invoker, text: str) -> None:
    """Run a function as a message does that has just come."""
    now = datetime.now(UTC)
    message = QueueMessage(content=text, id=str(uuid.uuid4()))
    message.dequeue_count, message.inserted_on, message.expires_on = 1, now, now + timedelta(days=7)
    await invoker.call(function, TypedData(string=text), Call({}, metadata_of(message, text)))


def metadata_of(message: QueueMessage, content: str | bytes) -> dict[str, TypedData]:
    """Return what the worker tells the function of a message; properties of a JSON message are binding data too."""
    found: dict[str, Any] = {}
    if isinstance(content, str) and content.lstrip().startswith("{"):
        try:
            found.update(json.loads(content))
        except ValueError:
            found.clear()  # it only looked like JSON
    found |= {
        "QueueTrigger": content if isinstance(content, str) else content.decode("latin-1"),
        "Id": message.id,
        "DequeueCount": message.dequeue_count,
        "PopReceipt": message.pop_receipt,
        "InsertionTime": _iso(message.inserted_on),
        "ExpirationTime": _iso(message.expires_on),
        "NextVisibleTime": _iso(message.next_visible_on),
    }
    return {name: TypedData(json=json.dumps(value)) for name, value in found.items() if value is not None}


class QueueOutput:
    """Sends what functions put into queue output bindings."""

    def __init__(self, connections: Connections, config: QueuesConfig, environ: Mapping[str, str]) -> None:
        self._connections = connections
        self._config = config
        self._environ = environ

    async def put(self, binding: Binding, value: TypedData, metadata: Mapping[str, TypedData]) -> None:
        """Send one message, or several when the value is a list."""
        where = f"output binding {binding.name!r}"
        name = fill(resolve(binding.text("queueName"), self._environ, where), metadata, where).lower()
        queue = self._connections.queue(binding.text("connection") or DEFAULT, name, where)
        for message in messages_of(value):
            await send(queue, message, self._config.base64)


def messages_of(value: TypedData) -> list[str | bytes]:
    """Return the messages that a value means: a JSON list is several, a `func.QueueMessage` is its body."""
    content = value.value()
    if value.WhichOneof("data") != "json":
        return [content if isinstance(content, str | bytes) else json.dumps(content)]
    parsed = json.loads(content)
    return [_message(item) for item in (parsed if isinstance(parsed, list) else [parsed])]


def _message(item: Any) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, dict) and item.keys() == {"id", "body"}:
        return str(item["body"])
    return json.dumps(item)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
