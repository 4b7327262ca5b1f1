"""A stand-in for Azure AI Document Intelligence: its protocol, with pages that a test has prepared."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PREFIX = "/documentintelligence/documentModels/prebuilt-layout"


@dataclass(slots=True)
class Recogniser:
    """Answers with `pages`, each a page's Markdown; `refusals` are statuses that come first."""

    pages: list[str] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def analyze(self, request: web.Request) -> web.Response:
        """Accept a document; the result is at another address."""
        if self.refusals:
            status = self.refusals.pop(0)
            body = {"error": {"code": "InvalidRequest", "message": "The file is corrupted."}}
            return web.json_response(body, status=status, headers={"Retry-After": "0"} if status != 400 else {})
        self.asked.append(await request.read())
        self.queries.append(dict(request.query))
        where = f"{self.url}{PREFIX}/analyzeResults/{len(self.asked)}?api-version=2024-11-30"
        return web.Response(status=202, headers={"Operation-Location": where, "Retry-After": "0"})

    async def result(self, request: web.Request) -> web.Response:
        """Return the result."""
        content, pages = "", []
        wanted = self.queries[int(request.match_info["id"]) - 1].get("pages", "")
        for number, text in enumerate(self.pages, start=1):
            if wanted and str(number) not in wanted.split(","):
                continue
            span = {"offset": len(content), "length": len(text)}
            pages.append({"pageNumber": number, "spans": [span], "words": [], "lines": []})
            content += f"{text}\n\n<!-- PageBreak -->\n\n"
        found: dict[str, Any] = {
            "apiVersion": "2024-11-30",
            "modelId": "prebuilt-layout",
            "stringIndexType": "unicodeCodePoint",
            "contentFormat": "markdown",
            "content": content,
            "pages": pages,
        }
        return web.json_response({"status": "succeeded", "analyzeResult": found})


@contextmanager
def recogniser(*pages: str, refusals: list[int] | None = None) -> Iterator[Recogniser]:
    """Serve a recogniser on a free port, in a thread of its own."""
    made = Recogniser(list(pages), refusals or [])
    ready, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        app = web.Application()
        app.router.add_post(PREFIX + ":analyze", made.analyze)
        app.router.add_get(PREFIX + "/analyzeResults/{id}", made.result)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        made.url = f"http://{host}:{port}"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
