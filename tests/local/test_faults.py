"""Faults on purpose: which requests meet them, and what a client then sees."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from local.faults import PATH, Faults, before_chunk, fired

type Client = TestClient[web.Request, web.Application]


@dataclass
class Echo:
    """A service with one buffered and one streamed reply, which counts what it handled."""

    handled: int = 0
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.handled += 1
        rule = fired(request)
        self.seen.append(dict(rule.extra) if rule else {})
        return web.Response(text="0123456789")

    async def stream(self, request: web.Request) -> web.StreamResponse:
        self.handled += 1
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(6):
            await before_chunk(request)
            await response.write(str(number).encode())
        return response

    async def refuse(self, request: web.Request) -> web.Response:
        self.handled += 1
        raise web.HTTPNotFound


@asynccontextmanager
async def serving(echo: Echo, with_faults: bool = True) -> AsyncIterator[Client]:
    """The service and a client for it."""
    app = web.Application()
    app.router.add_route("*", "/answer", echo.answer)
    app.router.add_get("/stream", echo.stream)
    app.router.add_get("/refuse", echo.refuse)
    if with_faults:
        own = lambda request, status: web.json_response({"own": status}, status=status)  # noqa: E731
        Faults(own, {"chunk_delay_ms": int, "visible": bool}).install(app)
    async with TestClient(TestServer(app)) as client:
        yield client


def trying(test: Callable[[Client, Echo], Awaitable[None]], with_faults: bool = True) -> None:
    """Run a test with a service of its own."""

    async def run() -> None:
        echo = Echo()
        async with serving(echo, with_faults) as client:
            await test(client, echo)

    asyncio.run(run())


async def add(client: Client, **rule: Any) -> dict[str, Any]:
    """Add a rule."""
    async with client.post(PATH, json=rule) as reply:
        assert reply.status == 201, await reply.text()
        added: dict[str, Any] = await reply.json()
        return added


async def counters(client: Client) -> list[tuple[int, int]]:
    """Return (matched, fired) of every rule."""
    async with client.get(PATH) as reply:
        return [(rule["matched"], rule["fired"]) for rule in (await reply.json())["rules"]]


async def statuses(client: Client, count: int, path: str = "/answer") -> list[int]:
    """Return the statuses of a number of requests."""
    found = []
    for _ in range(count):
        async with client.post(path) as reply:
            found.append(reply.status)
    return found


def test_unknown_without_switch() -> None:
    """A service without faults does not know the path."""

    async def check(client: Client, echo: Echo) -> None:
        async with client.post(PATH, json={"status": 503}) as reply:
            assert reply.status == 404

    trying(check, with_faults=False)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"times": 2}, [503, 503, 200, 200, 200, 200, 200]),
        ({"skip": 2, "times": 1}, [200, 200, 503, 200, 200, 200, 200]),
        ({"every": 3}, [200, 200, 503, 200, 200, 503, 200]),
        ({"skip": 1, "every": 2, "times": 2}, [200, 200, 503, 200, 503, 200, 200]),
        ({}, [503] * 7),
    ],
)
def test_counting(rule: dict[str, int], expected: list[int]) -> None:
    """`times`, `skip` and `every` choose which of the matching requests meet the fault."""

    async def check(client: Client, echo: Echo) -> None:
        await add(client, status=503, **rule)
        assert await statuses(client, 7) == expected
        assert echo.handled == expected.count(200)
        assert (await counters(client))[0][1] == expected.count(503)

    trying(check)


def test_matching() -> None:
    """A rule is about a method and about paths in which its expression is found, the query being a part of them."""

    async def check(client: Client, echo: Echo) -> None:
        await add(client, method="post", path=r"/answer\?comp=lease$", status=409)
        assert await statuses(client, 1, "/answer?comp=lease") == [409]
        assert await statuses(client, 1, "/answer?comp=list") == [200]
        async with client.get("/answer?comp=lease") as reply:
            assert reply.status == 200
        assert await counters(client) == [(1, 1)]

    trying(check)


def test_first_rule_wins() -> None:
    """A request meets one fault at most: that of the first rule that fires."""

    async def check(client: Client, echo: Echo) -> None:
        await add(client, status=429, times=1)
        await add(client, status=503, times=1)
        assert await statuses(client, 3) == [429, 503, 200]

    trying(check)


def test_delete() -> None:
    """When the rules are deleted, nothing meets a fault."""

    async def check(client: Client, echo: Echo) -> None:
        await add(client, status=503)
        async with client.delete(PATH) as reply:
            assert reply.status == 204
        assert await statuses(client, 1) == [200]
        assert await counters(client) == []

    trying(check)


def test_reply() -> None:
    """A rule's headers and body are the reply; without a body it is the service's own error."""

    async def check(client: Client, echo: Echo) -> None:
        await add(client, status=429, times=1, headers={"Retry-After": "7"})
        await add(client, status=207, times=1, body={"value": []})
        await add(client, status=500, times=1, body="<Error/>", headers={"Content-Type": "application/xml"})
        async with client.get("/answer") as reply:
            assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
            assert await reply.json() == {"own": 429}
        async with client.get("/answer") as reply:
            assert (reply.status, await reply.json()) == (207, {"value": []})
        async with client.get("/answer") as reply:
            assert (reply.content_type, await reply.text()) == ("application/xml", "<Error/>")
        assert echo.handled == 0

    trying(check)


@pytest.mark.parametrize(("drop", "handled"), [("before", 0), ("after", 1)])
def test_dropped(drop: str, handled: int) -> None:
    """A dropped connection gives no reply; `before` leaves the work undone, `after` does it."""

    async def check(client: Client, echo: Echo) -> None:
        await add(client, method="POST", drop=drop, times=1)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.post("/answer")
        assert echo.handled == handled
        assert await statuses(client, 1) == [200]

    trying(check)


def test_dropped_after_refusal() -> None:
    """`after` loses a refusal like any other reply."""

    async def check(client: Client, echo: Echo) -> None:
        await add(client, drop="after", path="/refuse")
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.get("/refuse")
        assert echo.handled >= 1

    trying(check)


@pytest.mark.parametrize(("path", "got"), [("/answer", b"01234"), ("/stream", b"01")])
def test_cut_in_the_middle(path: str, got: bytes) -> None:
    """`mid` sends the head and a part of the body, and the client sees that something is missing."""

    async def check(client: Client, echo: Echo) -> None:
        await add(client, drop="mid", times=1)
        async with client.get(path) as reply:
            assert reply.status == 200
            received = b""
            with pytest.raises(aiohttp.ClientPayloadError):
                async for chunk in reply.content.iter_any():
                    received += chunk
            assert received == got
        async with client.get(path) as reply:
            assert len(await reply.read()) > len(got)

    trying(check)


def test_extra_reaches_the_handler() -> None:
    """A handler sees what the rule it met holds in `extra`."""

    async def check(client: Client, echo: Echo) -> None:
        await add(client, extra={"visible": False}, times=1)
        await statuses(client, 2)
        assert echo.seen == [{"visible": False}, {}]

    trying(check)


def test_delays_change_nothing_else() -> None:
    """A delayed request and a slowed stream are answered in full."""

    async def check(client: Client, echo: Echo) -> None:
        await add(client, delay_ms=1, times=1)
        await add(client, extra={"chunk_delay_ms": 1}, times=1)
        async with client.get("/stream") as reply:
            assert await reply.read() == b"012345"
        async with client.get("/stream") as reply:
            assert await reply.read() == b"012345"
        assert await counters(client) == [(1, 1), (1, 1)]

    trying(check)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{", "not JSON"),
        (b"[]", "must be an object"),
        (b'{"status": 503, "retry": 1}', "'retry'"),
        (b'{"extra": {"partial": 1}}', "'partial'"),
        (b'{"extra": {"chunk_delay_ms": "1"}}', "extra.chunk_delay_ms"),
        (b'{"extra": {"chunk_delay_ms": true}}', "extra.chunk_delay_ms"),
        (b'{"extra": {"chunk_delay_ms": -1}}', "extra.chunk_delay_ms"),
        (b'{"extra": 1}', "'extra'"),
        (b'{"status": 99}', "'status'"),
        (b'{"status": 600}', "'status'"),
        (b'{"status": true}', "'status'"),
        (b'{"status": 503, "times": 0}', "'times'"),
        (b'{"status": 503, "every": 0}', "'every'"),
        (b'{"status": 503, "skip": -1}', "'skip'"),
        (b'{"delay_ms": 0.5}', "'delay_ms'"),
        (b'{"status": 503, "path": "("}', "'path'"),
        (b'{"status": 503, "path": 5}', "'path'"),
        (b'{"status": 503, "method": 5}', "'method'"),
        (b'{"status": 503, "headers": {"a": 1}}', "'headers'"),
        (b'{"drop": "later"}', "'drop'"),
        (b'{"method": "GET"}', "does nothing"),
        (b'{"delay_ms": 1, "headers": {"a": "b"}}', "'status'"),
        (b'{"status": 503, "drop": "mid"}', "'drop'"),
    ],
)
def test_bad_rules(body: bytes, named: str) -> None:
    """A rule that cannot be taken is refused with the key that is wrong, and none is added."""

    async def check(client: Client, echo: Echo) -> None:
        async with client.post(PATH, data=body) as reply:
            assert reply.status == 400
            assert named in (await reply.json())["error"]
        assert await counters(client) == []

    trying(check)


def test_wrong_method() -> None:
    """The administration takes GET, POST and DELETE."""

    async def check(client: Client, echo: Echo) -> None:
        async with client.put(PATH) as reply:
            assert reply.status == 405

    trying(check)
