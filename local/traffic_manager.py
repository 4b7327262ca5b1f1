"""Azure Traffic Manager on one machine: probes the endpoints of a profile, and says which one to use.

    python -m local.traffic_manager --endpoint one=http://127.0.0.1:7071 --endpoint two=http://127.0.0.1:7072

    GET  /resolve    -> {"endpoint": "one", "target": "http://127.0.0.1:7071", "ttl": 10}; 404 where there is none
    GET  /profile    -> settings, the state of every endpoint, and every change of state so far
    POST /endpoints/one {"status": "Disabled"}    takes an endpoint out of routing, "Enabled" puts it in again

Routing is by priority: the order in which endpoints are given. The rules are the service's:

- A probe is a GET of the path; only a 200 within the timeout is healthy, and redirects are not followed.
- An endpoint is Degraded at the first failed probe after `tolerated` failures in a row, and Online again at the first
  healthy one. Until its probes have said either it is CheckingEndpoint, and may be used.
- Where no endpoint that is enabled is Online, all that are enabled are answered with as if they were.
- An answer may be kept for the TTL.

https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring

The service answers in DNS, with names. Regions of one machine differ by their ports, which an address record does not
have, so this answers over HTTP instead; who asks keeps to the TTL as a resolver would. It has one prober, the service
several.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
from aiohttp import web

from local.serve import Arguments, log_to_stderr, serve

INTERVALS = {30.0: (5.0, 10.0), 10.0: (5.0, 9.0)}  # seconds between probes -> least and most seconds of a timeout
MOST_TOLERATED = 9
LONGEST_TTL = 2_147_483_647.0  # seconds

Status = Literal["CheckingEndpoint", "Online", "Degraded", "Disabled"]


@dataclass(frozen=True, slots=True)
class Rules:
    """How endpoints are probed; the defaults are those of infra/. Durations are in seconds.

    `scale` is how long one of these seconds lasts, for those who cannot wait: 0.1 makes everything ten times as fast.
    """

    interval: float = 10.0
    timeout: float = 5.0
    tolerated: int = 1
    ttl: float = 10.0
    path: str = "/api/health"
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.interval not in INTERVALS:
            raise ValueError(f"interval must be 30 or 10 seconds, not {self.interval:g}")
        least, most = INTERVALS[self.interval]
        if not least <= self.timeout <= most:
            raise ValueError(
                f"timeout must be {least:g} to {most:g} seconds at an interval of {self.interval:g}, "
                f"not {self.timeout:g}"
            )
        if not 0 <= self.tolerated <= MOST_TOLERATED:
            raise ValueError(f"tolerated failures must be 0 to {MOST_TOLERATED}, not {self.tolerated}")
        if not 0 <= self.ttl <= LONGEST_TTL:
            raise ValueError(f"ttl must be 0 to {LONGEST_TTL:.0f} seconds, not {self.ttl:g}")
        if not self.path.startswith("/"):
            raise ValueError(f"path must begin with a slash, unlike {self.path!r}")
        if not 0 < self.scale <= 1:
            raise ValueError(f"scale must be over 0 and at most 1, not {self.scale:g}")

    @property
    def worst_case(self) -> float:
        """Seconds, at most, until nobody is sent to an endpoint that has failed, and another one is healthy."""
        return (self.interval * (self.tolerated + 1) + self.timeout + self.ttl) * self.scale


@dataclass(slots=True)
class Endpoint:
    """One endpoint of the profile, and what its probes have said."""

    name: str
    target: str
    enabled: bool = True
    failures: int = 0
    known: bool = False
    healthy: bool = True

    @property
    def status(self) -> Status:
        """The endpoint's monitor status."""
        if not self.enabled:
            return "Disabled"
        if not self.known:
            return "CheckingEndpoint"
        return "Online" if self.healthy else "Degraded"

    def take(self, healthy: bool, tolerated: int) -> None:
        """Take the result of a probe."""
        self.failures = 0 if healthy else self.failures + 1
        if healthy or self.failures > tolerated:
            self.healthy, self.known = healthy, True

    def enable(self, enabled: bool) -> None:
        """Take the endpoint out of routing, or put it in again: then its probes begin anew."""
        if enabled and not self.enabled:
            self.failures, self.known, self.healthy = 0, False, True
        self.enabled = enabled


def choose(endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return the endpoint to use, the first by priority; None where none is enabled."""
    enabled = [endpoint for endpoint in endpoints if endpoint.enabled]
    usable = [endpoint for endpoint in enabled if endpoint.status != "Degraded"]
    return next(iter(usable or enabled), None)


@dataclass(slots=True)
class TrafficManager:
    """A profile with its prober. `changes` has (seconds since 1970, endpoint, status), oldest first."""

    rules: Rules
    endpoints: list[Endpoint]
    clock: Callable[[], float] = time.time
    changes: list[tuple[float, str, Status]] = field(default_factory=list)

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application()
        app.cleanup_ctx.append(self._lifetime)
        app.router.add_get("/resolve", self._resolve)
        app.router.add_get("/profile", self._profile)
        app.router.add_post("/endpoints/{name}", self._switch)
        return app

    async def _lifetime(self, app: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=self.rules.timeout * self.rules.scale)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            probers = [asyncio.create_task(self._probe_for_ever(http, endpoint)) for endpoint in self.endpoints]
            yield
            for prober in probers:
                prober.cancel()
            await asyncio.gather(*probers, return_exceptions=True)

    async def _probe_for_ever(self, http: aiohttp.ClientSession, endpoint: Endpoint) -> None:
        while True:
            begun = time.monotonic()
            if endpoint.enabled:
                healthy = await self._probe(http, endpoint)
                if endpoint.enabled:  # it may have been disabled while it was probed
                    before = endpoint.status
                    endpoint.take(healthy, self.rules.tolerated)
                    self._note(endpoint, before)
            await asyncio.sleep(max(0.0, self.rules.interval * self.rules.scale - (time.monotonic() - begun)))

    async def _probe(self, http: aiohttp.ClientSession, endpoint: Endpoint) -> bool:
        try:
            async with http.get(endpoint.target + self.rules.path, allow_redirects=False) as reply:
                return reply.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _note(self, endpoint: Endpoint, before: Status) -> None:
        if endpoint.status != before:
            self.changes.append((self.clock(), endpoint.name, endpoint.status))

    async def _resolve(self, request: web.Request) -> web.Response:
        chosen = choose(self.endpoints)
        if chosen is None:
            return web.json_response({"error": "no endpoint of this profile is enabled"}, status=404)
        ttl = self.rules.ttl * self.rules.scale
        return web.json_response({"endpoint": chosen.name, "target": chosen.target, "ttl": ttl})

    async def _profile(self, request: web.Request) -> web.Response:
        endpoints = [
            {"name": one.name, "target": one.target, "priority": place, "status": one.status}
            for place, one in enumerate(self.endpoints, start=1)
        ]
        rules: dict[str, Any] = {name: getattr(self.rules, name) for name in self.rules.__slots__}
        changes = [{"at": at, "endpoint": name, "status": status} for at, name, status in self.changes]
        return web.json_response({"rules": rules, "endpoints": endpoints, "changes": changes})

    async def _switch(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        endpoint = next((one for one in self.endpoints if one.name == name), None)
        if endpoint is None:
            known = ", ".join(one.name for one in self.endpoints)
            return web.json_response({"error": f"there is no endpoint {name!r}; there are: {known}"}, status=404)
        given: Any = None
        with contextlib.suppress(ValueError):  # what is not JSON is no status either
            given = await request.json()
        status = given.get("status") if isinstance(given, dict) else None
        if status not in ("Enabled", "Disabled"):
            return web.json_response({"error": 'give {"status": "Enabled"} or {"status": "Disabled"}'}, status=400)
        before = endpoint.status
        endpoint.enable(status == "Enabled")
        self._note(endpoint, before)
        return web.json_response({"name": name, "status": endpoint.status})


def main() -> int:
    """Run it until SIGTERM or SIGINT; returns the exit code."""
    rules = Rules()
    parser = Arguments(prog="local.traffic_manager", description="Azure Traffic Manager, locally")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--endpoint", action="append", required=True, help="NAME=URL; several, in order of priority")
    parser.add_argument("--interval", type=float, default=rules.interval, help="seconds between probes: 30 or 10")
    parser.add_argument("--timeout", type=float, default=rules.timeout, help="seconds that a probe waits")
    parser.add_argument("--tolerated", type=int, default=rules.tolerated, help="failures in a row that are forgiven")
    parser.add_argument("--ttl", type=float, default=rules.ttl, help="seconds that an answer may be kept")
    parser.add_argument("--path", default=rules.path, help=f"what is asked for ({rules.path})")
    parser.add_argument("--scale", type=float, default=rules.scale, help="how long one of these seconds lasts")
    options = parser.parse_args()
    endpoints: list[Endpoint] = []
    for given in options.endpoint:
        name, _, target = given.partition("=")
        if not name or not target.startswith(("http://", "https://")):
            parser.error(f"--endpoint must be NAME=http://..., not {given!r}")
        endpoints.append(Endpoint(name, target.rstrip("/")))
    try:
        rules = Rules(options.interval, options.timeout, options.tolerated, options.ttl, options.path, options.scale)
    except ValueError as fault:
        parser.error(str(fault))
    log_to_stderr()

    async def make() -> web.Application:
        return TrafficManager(rules, endpoints).application()

    return serve(make, options.port, "traffic_manager")


if __name__ == "__main__":
    sys.exit(main())
