"""A server for the browser tests of the recovery page: it serves `web/` and says of rebuilds what the test tells it.

What the API really says is tested where the API is, and the page on the real app in `test_real_app.py`.
"""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from shared.site import SECURITY_HEADERS, WEB

IDLE: dict[str, Any] = {
    "region": "north",
    "rebuild_needed": "",
    "running": None,
    "interrupted": None,
}
LIVE = "documents-20261123091500"
BEFORE = "documents-20261120120000"


@dataclass(slots=True)
class Says:
    """What the app says: the overview, and one rebuild by its id. `asked` has (act, body) of every act.

    `acts` maps an act to (status, body); `key` is asked for where it is set. `down` closes the connections.
    """

    overview: dict[str, Any] = field(default_factory=dict)
    rebuilds: dict[str, dict[str, Any]] = field(default_factory=dict)
    acts: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    key: str = ""
    down: bool = False


class RecoveryServer:
    """Runs in a thread of its own while it is entered; `origin` is its loopback address."""

    def __init__(self) -> None:
        self.says = Says()
        self.origin = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="recovery-server")

    def __enter__(self) -> Self:
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/recovery", self._page)
        app.router.add_get("/web/{file}", self._file)
        app.router.add_get("/api/recovery", self._overview)
        app.router.add_get("/api/recovery/{id}", self._rebuild)
        app.router.add_post("/api/recovery/{act}", self._act)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.origin = f"http://{host}:{port}"
        return runner

    async def _page(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB / "recovery.html", headers=dict(SECURITY_HEADERS))

    async def _file(self, request: web.Request) -> web.FileResponse:
        file = WEB / request.match_info["file"]
        if not file.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(file)

    async def _overview(self, request: web.Request) -> web.Response:
        return self._guarded(request) or web.json_response(self.says.overview)

    async def _rebuild(self, request: web.Request) -> web.Response:
        if refused := self._guarded(request):
            return refused
        found = self.says.rebuilds.get(request.match_info["id"])
        return web.json_response(found) if found else _problem(404, "there is no such rebuild")

    async def _act(self, request: web.Request) -> web.Response:
        if refused := self._guarded(request):
            return refused
        act = request.match_info["act"]
        self.says.asked.append((act, await request.json()))
        status, body = self.says.acts[act]
        return web.json_response(body, status=status) if status < 400 else _problem(status, body["detail"])

    def _guarded(self, request: web.Request) -> web.Response | None:
        self._answering(request)
        given = request.headers.get("x-functions-key", "")
        return web.Response(status=401) if self.says.key and given != self.says.key else None

    def _answering(self, request: web.Request) -> None:
        if self.says.down and request.transport is not None:
            request.transport.abort()


def _problem(status: int, detail: str) -> web.Response:
    body = {"type": "about:blank", "title": "Refused", "status": status, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")


def overview(**parts: Any) -> dict[str, Any]:
    """Return an overview of a region with two verified generations, two reports and two acts."""
    return {
        **IDLE,
        "generations": [
            {"name": BEFORE, "live": False, "verified": True, "since": "2026-11-20T12:04:00+00:00"},
            {"name": LIVE, "live": True, "verified": True, "since": "2026-11-23T09:19:00+00:00"},
        ],
        "reports": [short(report()), short(report(id="20261120120000", reason="first start"))],
        "acts": [
            {"act": "rebuild", "who": "ada@example.org", "reason": "drill", "at": "2026-11-23T09:15:00.123+00:00"},
            {
                "act": "rollback",
                "who": "function key",
                "reason": "wrong answers",
                "at": "2026-11-21T10:00:00.000+00:00",
            },
        ],
        **parts,
    }


def progress(**parts: Any) -> dict[str, Any]:
    """Return a rebuild that runs."""
    return {
        "status": "running",
        "id": "20261123100000",
        "phase": "indexing",
        "reason": "index lost",
        "source": "primary",
        "generation": "documents-20261123100000",
        "documents": 2_000,
        "documents_done": 840,
        "chunks": 100_000,
        "chunks_done": 42_000,
        "embedded": 0,
        "pages": 100,
        "pages_done": 42,
        "failures": 3,
        "chunks_per_second": 1_412.5,
        "eta_seconds": 41.2,
        "throttle_wait_seconds": 2.5,
        "seconds": {"planning": 1.2},
        "started": "2026-11-23T10:00:00+00:00",
        **parts,
    }


def report(**parts: Any) -> dict[str, Any]:
    """Return the report of a rebuild that was verified."""
    whole: dict[str, Any] = {
        "id": "20261123091500",
        "status": "completed",
        "error": None,
        "reason": "drill",
        "source": "primary",
        "started": "2026-11-23T09:15:00+00:00",
        "finished": "2026-11-23T09:19:12+00:00",
        "plan": plan(),
        "documents": {"indexed": 1_999, "quarantined": 1},
        "chunks": {"added": 100_000, "removed": 0, "embedded": 0},
        "chunks_per_second": 1_500.4,
        "throttle_wait_seconds": 0.0,
        "failures": {"count": 1, "reasons": {"corrupt": 1}, "paths": {"old/scan.pdf": "corrupt"}},
        "verification": {"missing": {"count": 0, "paths": []}, "stale": {"count": 0, "paths": []}},
        "failed_probes": [],
        "rpo": {"last_sync_time": None, "newer_versions": 0, "newer": []},
        "seconds": {"planning": 1.5, "indexing": 66.0, "verifying": 9.5},
    }
    return {**whole, **parts}


def plan(**parts: Any) -> dict[str, Any]:
    """Return a plan."""
    estimate = {
        "chunks": 101_300,
        "stored_documents": 1_990,
        "stored_chunks": 100_100,
        "tokens_to_embed": 180_000,
        "embedding_minutes": 0.51,
        "embedding_cost": 0.0036,
        "indexing_minutes": 1.13,
    }
    return {
        "id": "20261123103000",
        "generation": "documents-20261123103000",
        "previous": LIVE,
        "source": "primary",
        "resumed": False,
        "pages": 102,
        "documents": 2_000,
        "bytes": 412_345_678,
        "estimate": estimate,
        "last_sync_time": None,
        "newer_count": 0,
        "newer": [],
        "swapped": False,
        **parts,
    }


def short(whole: dict[str, Any]) -> dict[str, Any]:
    """Return as much of a report as the overview has."""
    names = ("id", "status", "error", "reason", "source", "started", "finished", "documents", "chunks", "seconds")
    return {name: whole.get(name) for name in names}
