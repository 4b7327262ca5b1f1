"""A process of the app under a schedule: its calls to services take time, may fail, and may be its last act."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
)

STALL_SECONDS = 25.0  # longer than a lease lasts


@dataclass(slots=True)
class Network:
    """What happens to calls, by their number over the whole schedule.

    `crashes` maps a call to "before" or "after": its process dies before it has an effect, or before it sees the reply.
    `faults` are refused with 503. `stalls` get their replies so late that their process has lost its lease; it cannot
    renew it meanwhile. `quick` switches all delays off, for what runs alone.
    """

    dice: random.Random
    crashes: dict[int, str] = field(default_factory=dict)
    faults: set[int] = field(default_factory=set)
    stalls: set[int] = field(default_factory=set)
    calls: int = 0
    crashed: int = 0
    quick: bool = False

    def calm_down(self) -> None:
        """From now on nothing goes wrong and nothing takes time."""
        self.quick = True
        self.crashes, self.faults, self.stalls = {}, set(), set()

    def delay(self) -> float:
        """Return the seconds one way takes: mostly little, at times much."""
        if self.quick:
            return 0.0
        return self.dice.random() * (0.02 if self.dice.random() < 0.8 else 0.8)


class Process:
    """One process. Once it has died, none of its calls has an effect any more."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.dead = False
        self.cut_off = False
        self.main: asyncio.Task[object] | None = None

    async def call[T](self, effect: Callable[[], T], *, renewal: bool = False) -> T:
        """Call a service: the request travels, `effect` happens in one instant, the reply travels."""
        number = self.network.calls
        self.network.calls += 1
        await self._travel()
        if self.cut_off and renewal:
            raise ServiceRequestError("the network is gone")
        if self.network.crashes.get(number) == "before":
            self._die()
        if number in self.network.faults:
            raise refused(503, "ServerBusy")
        try:
            return effect()
        finally:
            if self.network.crashes.get(number) == "after":
                self._die()
            if number in self.network.stalls:
                self.cut_off = True
                await asyncio.sleep(STALL_SECONDS)
            await self._travel()

    async def _travel(self) -> None:
        if self.dead:
            raise asyncio.CancelledError
        await asyncio.sleep(self.network.delay())
        if self.dead:
            raise asyncio.CancelledError

    def _die(self) -> None:
        self.dead = True
        self.network.crashed += 1
        if self.main is not None:
            self.main.cancel()
        raise asyncio.CancelledError


class _Response:
    """As much of an HTTP response as an error carries."""

    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, status: int, reason: str) -> None:
        self.status_code = status
        self.reason = reason


def refused(status: int, reason: str) -> HttpResponseError:
    """Return the SDK's error of a refused call."""
    kind = {404: ResourceNotFoundError, 409: ResourceExistsError, 412: ResourceModifiedError}
    response: Any = _Response(status, reason)
    return kind.get(status, HttpResponseError)(reason, response=response)
