"""The storage part of the host: queue and blob triggers, their bindings, wired together."""

import asyncio
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.functions_host.admin import Starter
from local.functions_host.config import HostConfig
from local.functions_host.http_server import HttpServer
from local.functions_host.invoker import Invoker
from local.functions_host.keys import Keys
from local.functions_host.model import Function
from local.functions_host.storage.blob_bindings import BlobBindings
from local.functions_host.storage.blob_scan import BlobScan
from local.functions_host.storage.blob_trigger import WEBHOOK, BlobTrigger
from local.functions_host.storage.connections import Connections
from local.functions_host.storage.listener import QueueListener
from local.functions_host.storage.queue_trigger import QueueOutput, listen_to_queue, run_by_hand

HOST_ID_SETTING = "AzureFunctionsWebHost__hostid"


class StorageExtension:
    """Listens to queues for as long as the host runs."""

    def __init__(
        self,
        functions: Sequence[Function],
        config: HostConfig,
        connections: Connections,
        invoker: Invoker,
        server: HttpServer,
        keys: Keys | None,
        host_id: str,
    ) -> None:
        queues = [function for function in functions if function.trigger.type == "queueTrigger"]
        blobs = [function for function in functions if function.trigger.type == "blobTrigger"]
        self._connections = connections
        self._listeners: list[QueueListener] = [
            listen_to_queue(function, config.queues, connections, invoker, os.environ) for function in queues
        ]
        self._invoker = invoker
        self._scans: list[BlobScan] = []
        self._blobs: BlobTrigger | None = None
        if blobs:
            trigger = self._blobs = BlobTrigger(blobs, config, connections, invoker, keys, os.environ, host_id)
            server.mount(WEBHOOK, trigger.webhook)
            self._listeners.append(trigger.listener)
            self._scans = [trigger.scan] if trigger.scan is not None else []
        bindings = BlobBindings(connections, os.environ)
        invoker.provide("blob", bindings.get)
        invoker.accept("blob", bindings.put)
        invoker.accept("queue", QueueOutput(connections, config.queues, os.environ).put)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to listen."""
        runs = [*(listener.run() for listener in self._listeners), *(scan.run() for scan in self._scans)]
        self._tasks = [asyncio.create_task(run) for run in runs]

    def by_hand(self) -> Mapping[str, Starter]:
        """Return how functions are run by hand, by type of trigger: for a message's text, for a blob's path."""
        queue: Mapping[str, Starter] = {
            "queueTrigger": lambda function, text: run_by_hand(function, self._invoker, text)
        }
        return {**queue, "blobTrigger": self._blobs.by_hand} if self._blobs is not None else queue

    async def stop(self) -> None:
        """Stop listening and give back what is being worked on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def host_id(folder: Path) -> str:
    """Return the name under which a host finds its own queue and timer states again, the same at every start."""
    given = os.environ.get(HOST_ID_SETTING)
    if given:
        return given.lower()
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:20] or "app"
    return f"{name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
