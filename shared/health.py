"""Health is index readiness, not liveness: a region that cannot answer from a verified index says 503."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from shared.clients import Services
from shared.errors import NotReady

CACHE_SECONDS = 10.0  # a probe every few seconds from every prober must cost nothing
CHECK_SECONDS = 4.0  # a check that hangs is a failed check; below Traffic Manager's shortest timeout of 5 s


@dataclass(frozen=True, slots=True)
class Health:
    """The outcome of all checks: name -> "" when it passed, else what is wrong.

    `warnings` has, in the same form, what does not keep the region from answering and yet wants a person.
    """

    checks: dict[str, str]
    warnings: dict[str, str] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether every check passed."""
        return not any(self.checks.values())


class HealthCheck:
    """Runs the checks at most once in CACHE_SECONDS; callers in between get the last outcome."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._clock = clock
        self._last: Health | None = None
        self._expires = 0.0
        self._running = asyncio.Lock()

    async def run(self) -> Health:
        """Return the present health."""
        async with self._running:  # simultaneous probes share one run
            if self._last is None or self._clock() >= self._expires:
                self._last = await self._checks()
                self._expires = self._clock() + CACHE_SECONDS
            return self._last

    async def _checks(self) -> Health:
        checks: dict[str, Callable[[], Awaitable[None]]] = {
            "switch": self._switch,
            "index": self._index,
            "model": self._model,
        }
        *faults, pipeline = await asyncio.gather(*(_fault(check) for check in checks.values()), _fault(self._pipeline))
        return Health(dict(zip(checks, faults, strict=True)), {"pipeline": pipeline})

    async def _switch(self) -> None:
        if not self._services.settings.serving:
            raise NotReady("the operator switched this region off (SERVING is false)")

    async def _index(self) -> None:
        generation = await self._services.generations.require_live()
        results = await self._services.search_client(generation).search(search_text="probe", top=1, select=["id"])
        async for _ in results:
            break

    async def _pipeline(self) -> None:
        if needed := await self._services.built.rebuild_needed():
            raise NotReady(needed)

    async def _model(self) -> None:
        await self._services.model.with_options(max_retries=0).models.list()


async def _fault(check: Callable[[], Awaitable[None]]) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer in {CHECK_SECONDS:g} s"
    except Exception as error:  # whatever a dependency raises, the answer is that it is not healthy
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return ""
