"""Traffic Manager's rules: who is probed how, who is degraded when, and who is answered with."""

import asyncio
import contextlib
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from local.traffic_manager import Endpoint, Rules, TrafficManager, choose
from shared.health import CACHE_SECONDS
from tests.conftest import ROOT

FAST = 0.02  # an interval of 10 s lasts 0.2 s
DEADLINE_SECONDS = 120.0


@contextlib.asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serve an application on a free port; yields its address."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Region:
    """An app whose health can be changed; `probes` counts what asked for it."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.probes = 0

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/health", self._health)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        self.probes += 1
        return web.Response(status=self.status, headers={"Location": "/"} if self.status == 302 else {})


@contextlib.asynccontextmanager
async def profile(*regions: Region, tolerated: int = 1) -> AsyncIterator["Asking"]:
    """Run regions with a Traffic Manager in front of them."""
    async with contextlib.AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(serving(region.application())) for region in regions]
        endpoints = [Endpoint(f"r{number}", url) for number, url in enumerate(urls, start=1)]
        manager = TrafficManager(Rules(tolerated=tolerated, ttl=0, scale=FAST), endpoints)
        url = await stack.enter_async_context(serving(manager.application()))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield Asking(http, url)


class Asking:
    """A client of the profile."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def resolve(self) -> tuple[int, str]:
        async with self._http.get(f"{self._url}/resolve") as reply:
            return reply.status, (await reply.json()).get("endpoint", "")

    async def profile(self) -> dict[str, Any]:
        async with self._http.get(f"{self._url}/profile") as reply:
            value: dict[str, Any] = await reply.json()
            return value

    async def statuses(self) -> dict[str, str]:
        return {one["name"]: one["status"] for one in (await self.profile())["endpoints"]}

    async def switch(self, name: str, body: str) -> int:
        async with self._http.post(f"{self._url}/endpoints/{name}", data=body) as reply:
            return reply.status

    async def until(self, **statuses: str) -> None:
        """Wait until the endpoints are in these states."""

        async def hold() -> bool:
            return await self.statuses() == statuses

        await until(hold)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until it holds."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        for _ in itertools.count():
            if await holds():
                return
            await asyncio.sleep(0.02)


def test_first_healthy_one_by_priority_is_answered() -> None:
    """While both are healthy it is the first; when that one fails it is the second; afterwards the first again."""

    async def run() -> None:
        one, two = Region(), Region()
        async with profile(one, two) as asking:
            await asking.until(r1="Online", r2="Online")
            assert await asking.resolve() == (200, "r1")
            one.status = 503
            await asking.until(r1="Degraded", r2="Online")
            assert await asking.resolve() == (200, "r2")
            one.status = 200
            await asking.until(r1="Online", r2="Online")
            assert await asking.resolve() == (200, "r1")

    asyncio.run(run())


def probed(*results: bool, tolerated: int) -> str:
    """Return the status of an endpoint after probes with these results."""
    endpoint = Endpoint("r1", "http://127.0.0.1:1")
    for healthy in results:
        endpoint.take(healthy, tolerated)
    return endpoint.status


@pytest.mark.parametrize("tolerated", [0, 2])
def test_so_many_failures_are_forgiven(tolerated: int) -> None:
    """The endpoint is degraded at the first failed probe after those that are tolerated, not before."""
    forgiven = [True, *[False] * tolerated]
    assert probed(*forgiven, tolerated=tolerated) == "Online"
    assert probed(*forgiven, False, tolerated=tolerated) == "Degraded"
    assert probed(*forgiven, False, True, tolerated=tolerated) == "Online"


def test_failures_have_to_be_in_a_row() -> None:
    """One healthy probe in between, and the count begins anew."""
    assert probed(False, tolerated=1) == "CheckingEndpoint"  # forgiven, and nothing good is known yet
    assert probed(True, False, True, False, tolerated=1) == "Online"
    assert probed(True, False, True, False, False, tolerated=1) == "Degraded"


@pytest.mark.parametrize("status", [302, 204, 404, 503])
def test_only_200_is_healthy(status: int) -> None:
    """A redirect is not followed and counts as a failure, like every other status."""

    async def run() -> None:
        async with profile(Region(status), Region(), tolerated=0) as asking:
            await asking.until(r1="Degraded", r2="Online")

    asyncio.run(run())


def test_all_degraded_means_all_online() -> None:
    """Where nobody is healthy the first is answered with, as if it were."""

    async def run() -> None:
        async with profile(Region(503), Region(503)) as asking:
            await asking.until(r1="Degraded", r2="Degraded")
            assert await asking.resolve() == (200, "r1")

    asyncio.run(run())


def test_endpoint_that_nobody_has_probed_yet_may_be_used() -> None:
    """CheckingEndpoint is answered with, before a degraded one."""
    one, two = Endpoint("r1", "http://a"), Endpoint("r2", "http://b")
    assert (one.status, choose([one, two])) == ("CheckingEndpoint", one)
    one.take(False, 0)
    assert choose([one, two]) is two


def test_disabled_endpoint_is_neither_used_nor_probed() -> None:
    """The dead primary is disabled, lest it be answered with when all are degraded; enabled, it is probed anew."""

    async def run() -> None:
        one, two = Region(503), Region(503)
        async with profile(one, two) as asking:
            await asking.until(r1="Degraded", r2="Degraded")
            assert await asking.switch("r1", '{"status": "Disabled"}') == 200
            assert await asking.resolve() == (200, "r2")
            before, others = one.probes, two.probes

            async def went_on() -> bool:
                return two.probes > others + 3

            await until(went_on)
            assert one.probes <= before + 1  # one may have been under way
            one.status = 200
            assert await asking.switch("r1", '{"status": "Enabled"}') == 200
            await asking.until(r1="Online", r2="Degraded")

    asyncio.run(run())


def test_nobody_enabled_is_no_answer() -> None:
    """A profile without an enabled endpoint has no address."""

    async def run() -> None:
        async with profile(Region()) as asking:
            await asking.switch("r1", '{"status": "Disabled"}')
            assert await asking.resolve() == (404, "")

    asyncio.run(run())


def test_changes_are_kept_and_wrong_requests_named() -> None:
    """The profile tells every change of state; unknown endpoints and states are refused."""

    async def run() -> None:
        async with profile(Region()) as asking:
            await asking.until(r1="Online")
            assert [(one["endpoint"], one["status"]) for one in (await asking.profile())["changes"]] == [
                ("r1", "Online")
            ]
            assert await asking.switch("r9", '{"status": "Disabled"}') == 404
            assert await asking.switch("r1", '{"status": "Gone"}') == 400
            assert await asking.switch("r1", "[]") == 400

    asyncio.run(run())


def test_hanging_endpoint_is_degraded() -> None:
    """A probe that gets no answer within the timeout has failed."""

    async def run() -> None:
        released = asyncio.Event()

        async def hang(request: web.Request) -> web.Response:
            await released.wait()
            return web.Response()

        app = web.Application()
        app.router.add_get("/api/health", hang)
        async with contextlib.AsyncExitStack() as stack:
            url = await stack.enter_async_context(serving(app))
            manager = TrafficManager(Rules(tolerated=0, scale=FAST), [Endpoint("r1", url)])
            address = await stack.enter_async_context(serving(manager.application()))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            await Asking(http, address).until(r1="Degraded")
            released.set()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"interval": 20.0}, "interval"),
        ({"timeout": 10.0}, "timeout"),
        ({"interval": 30.0, "timeout": 4.0}, "timeout"),
        ({"tolerated": 10}, "tolerated"),
        ({"ttl": -1.0}, "ttl"),
        ({"path": "health"}, "path"),
        ({"scale": 0.0}, "scale"),
    ],
)
def test_rules_that_the_service_does_not_have(wrong: dict[str, Any], named: str) -> None:
    """What Azure would refuse is refused here, and named."""
    with pytest.raises(ValueError, match=named):
        Rules(**wrong)


def test_worst_case_is_the_deployments_own() -> None:
    """The defaults are those of infra/, which promises 45 seconds with those for which a region keeps its health."""
    assert Rules().worst_case + CACHE_SECONDS == 45.0


def test_command_line_names_what_is_wrong() -> None:
    """A wrong endpoint or rule is one line and exit code 2."""
    for given, named in (
        (["--endpoint", "one"], "--endpoint"),
        (["--endpoint", "one=http://a", "--interval", "7"], "interval"),
    ):
        command = [sys.executable, "-m", "local.traffic_manager", *given]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
        assert (ended.returncode, named in ended.stderr, "Traceback" in ended.stderr) == (2, True, False)
