"""The boundary that every pipeline's calls cross: a proxy before the model and the search service, the same for all.

It counts what is sent to the model, and after every call that it passes on it looks into the index as a reader would:
is the document that is just being changed there, and is it there in one version?
"""

import asyncio
import dataclasses
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from bench.edits import Edit

PASSED_ON = ("content-type", "api-key", "authorization", "accept", "prefer", "if-match", "if-none-match")
PASSED_BACK = ("ETag", "Location", "Retry-After", "retry-after-ms")
MOST = 1_000  # results of a probe

Hits = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class View:
    """How a pipeline's index is read: by which filter a document's chunks are found, in which field their text is, what
    of a chunk was embedded beside it, and which of the hits a reader would use.
    """

    index: str
    path_filter: Callable[[str], str]
    text: str
    heading: Callable[[dict[str, Any]], str] = lambda hit: ""
    used: Callable[[Hits], Hits] = lambda hits: hits


@dataclass(slots=True)
class Seen:
    """What crossed the boundary for one pipeline."""

    calls: Counter[str] = field(default_factory=Counter)
    characters: int = 0
    tokens: int = 0
    inputs: int = 0
    absent: set[int] = field(default_factory=set)
    mixed: set[int] = field(default_factory=set)
    probes: int = 0


class Boundary:
    """The proxy. One change at a time is watched for each pipeline."""

    def __init__(self, model: str, search: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.seen: dict[str, Seen] = {}
        self.url = ""
        self._targets = {"model": model, "search": search}
        self._views: dict[str, View] = {}
        self._watched: dict[str, tuple[int, Edit]] = {}
        self._at_write: dict[str, Callable[[], None]] = {}
        self._session: aiohttp.ClientSession | None = None

    def endpoint(self, who: str, service: str) -> str:
        """Return the address of a service for one pipeline."""
        return f"{self.url}/{who}/{service}"

    def add(self, who: str, view: View) -> Seen:
        """Count for a pipeline from now on."""
        self._views[who] = view
        self.seen[who] = Seen()
        return self.seen[who]

    @contextmanager
    def watching(self, who: str, number: int, edit: Edit) -> Iterator[Seen]:
        """Look into the index after every call of the block."""
        self._watched[who] = (number, edit)
        try:
            yield self.seen[who]
        finally:
            del self._watched[who]

    @contextmanager
    def at_write(self, who: str, number: int, happens: Callable[[], None]) -> Iterator[None]:
        """Let something happen once, after the pipeline's write number `number` from now, before it has its reply."""
        left = [number]

        def count() -> None:
            left[0] -= 1
            if left[0] == 0:
                happens()

        self._at_write[who] = count
        try:
            yield
        finally:
            del self._at_write[who]

    def documents(self, who: str, index: str, path_field: str) -> dict[str, list[str]]:
        """Return the texts that a reader of an index would use, by document. Call it from another thread."""
        view = dataclasses.replace(self._views[who], index=index)
        hits: dict[str, Hits] = defaultdict(list)
        for hit in asyncio.run_coroutine_threadsafe(self._hits(view, None), self.loop).result():
            hits[hit[path_field]].append(hit)
        return {path: [hit[view.text] for hit in view.used(found)] for path, found in hits.items()}

    def texts(self, who: str) -> list[str]:
        """Return what was embedded of every chunk that the pipeline's index holds now. Call it from another thread."""
        view = self._views[who]
        hits = asyncio.run_coroutine_threadsafe(self._hits(view, None), self.loop).result()
        return [view.heading(hit) + hit[view.text] for hit in hits]

    async def handle(self, request: web.Request) -> web.Response:
        """Pass a call on, count it, and look into the index."""
        who, service = request.match_info["who"], request.match_info["service"]
        body = await request.read()
        url = f"{self._targets[service]}/{request.match_info['rest']}"
        headers = {name: value for name, value in request.headers.items() if name.lower() in PASSED_ON}
        async with self._open().request(
            request.method, url, params=request.query, data=body, headers=headers
        ) as answer:
            reply = await answer.read()
            content_type = answer.headers.get("Content-Type", "application/json")
            kept = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        await self._note(who, service, request.path, body, reply, answer.status)
        if request.path.endswith("search.index") and (happens := self._at_write.get(who)):
            happens()
        return web.Response(body=reply, status=answer.status, headers={"Content-Type": content_type, **kept})

    async def _note(self, who: str, service: str, path: str, body: bytes, reply: bytes, status: int) -> None:
        seen = self.seen.get(who)
        if seen is None:
            return
        seen.calls[service] += 1
        if path.endswith("/embeddings") and status == 200:
            _count(seen, json.loads(body), json.loads(reply))
        if who in self._watched and path.endswith(("/embeddings", "search.index")):
            number, edit = self._watched[who]
            await self._probe(self._views[who], seen, number, edit)

    async def _probe(self, view: View, seen: Seen, number: int, edit: Edit) -> None:
        hits = view.used(await self._hits(view, edit.path))
        seen.probes += 1
        if not hits:
            seen.absent.add(number)
        texts = [squeezed(hit[view.text]) for hit in hits]
        old, new = squeezed(edit.before or ""), squeezed(edit.after or "")
        if any(text not in new for text in texts) and any(text not in old for text in texts):
            seen.mixed.add(number)

    async def _hits(self, view: View, path: str | None) -> Hits:
        query: dict[str, Any] = {"search": "*", "top": MOST}
        if path is not None:
            query["filter"] = view.path_filter(path.replace("'", "''"))
        url = f"{self._targets['search']}/indexes('{view.index}')/docs/search.post.search"
        found: Hits = []
        more = True
        while more:
            body = {**query, "skip": len(found)}
            async with self._open().post(
                url, json=body, params={"api-version": "2025-09-01"}, headers={"api-key": "local"}
            ) as answer:
                answer.raise_for_status()
                hits: Hits = (await answer.json())["value"]
            found += hits
            more = len(hits) == MOST
        return found

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


@contextmanager
def boundary(model: str, search: str) -> Iterator[Boundary]:
    """Serve a boundary on a free port, in a thread of its own."""
    made = Boundary(model, search)
    ready, stop, loop = threading.Event(), asyncio.Event(), made.loop

    async def serve() -> None:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_route("*", "/{who}/{service}/{rest:.*}", made.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        made.url = f"http://{host}:{port}"
        ready.set()
        await stop.wait()
        await runner.cleanup()
        await made.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def _count(seen: Seen, request: Mapping[str, Any], reply: Mapping[str, Any]) -> None:
    inputs = [request["input"]] if isinstance(request["input"], str) else request["input"]
    if not all(isinstance(text, str) for text in inputs):
        raise ValueError("a pipeline sends tokens instead of texts: its characters cannot be counted")
    seen.inputs += len(inputs)
    seen.characters += sum(map(len, inputs))
    seen.tokens += reply["usage"]["prompt_tokens"]


def squeezed(text: str) -> str:
    """Return a text without its white space: pipelines treat that each in its own way."""
    return "".join(text.split())
