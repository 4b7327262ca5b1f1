"""The durable part of the host: backend, dispatcher, client binding and management API, wired together."""

import asyncio
from collections.abc import Sequence

from local.functions_host.config import DurableConfig
from local.functions_host.durable.backend import DurableBackend
from local.functions_host.durable.client_binding import WEBHOOK, ClientBinding
from local.functions_host.durable.clock import Clock
from local.functions_host.durable.dispatch import Dispatcher, name_of
from local.functions_host.durable.management import ManagementApi
from local.functions_host.http_server import HttpServer
from local.functions_host.invoker import Invoker
from local.functions_host.keys import Keys
from local.functions_host.model import Function

TRIGGERS = ("orchestrationTrigger", "activityTrigger", "entityTrigger")


class DurableExtension:
    """Runs only when the app has a durable function or client."""

    def __init__(
        self,
        functions: Sequence[Function],
        config: DurableConfig,
        invoker: Invoker,
        server: HttpServer,
        keys: Keys | None,
        origin: str,
    ) -> None:
        self._functions = functions
        self._config = config
        self._invoker = invoker
        self._server = server
        self._keys = keys
        self._origin = origin
        self._backend: DurableBackend | None = None
        self._dispatcher: Dispatcher | None = None

    async def start(self) -> None:
        """Start the backend and begin to take its work."""
        if not any(_durable(function) for function in self._functions):
            return
        names = [name_of(function) for function in self._functions if function.trigger.type == "orchestrationTrigger"]
        clock = Clock(asyncio.get_running_loop())
        self._backend = DurableBackend(
            clock, frozenset(name.lower() for name in names), self._config.reuse_any_state, self._config.default_version
        )
        address = self._backend.start()
        key = self._keys.master if self._keys is not None else None
        client = ClientBinding(self._config.hub_name, self._origin, address, key)
        self._invoker.provide("durableClient", client.value)
        self._server.mount(WEBHOOK, ManagementApi(self._backend, self._keys).handle)
        self._dispatcher = Dispatcher(self._backend, self._invoker, self._functions, self._config)
        self._dispatcher.start()

    async def stop(self) -> None:
        """Stop; what the instances had reached is gone with the process."""
        if self._dispatcher is not None:
            await self._dispatcher.stop()
        if self._backend is not None:
            await asyncio.to_thread(self._backend.stop, 0.0)


def _durable(function: Function) -> bool:
    return function.trigger.type in TRIGGERS or any(binding.type == "durableClient" for binding in function.inputs)
