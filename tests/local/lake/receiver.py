"""A receiver of Event Grid events, in a thread of the test."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

WAIT_SECONDS = 120.0


class Receiver:
    """What arrived. `status` is answered to events; `hang_on` names a blob whose events get no answer."""

    def __init__(self) -> None:
        self.validations: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.refused = 0
        self.status = 200
        self.hang_on = ""
        self.port = 0
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """The webhook's address."""
        return f"http://127.0.0.1:{self.port}/hook?code=key"

    def names(self) -> list[str]:
        """Return the names of the blobs whose events arrived."""
        return [event["subject"].split("/blobs/", 1)[1] for event in self.events]

    def wait_for(self, names: set[str]) -> None:
        """Return when an event for each of the blobs has arrived."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: names <= set(self.names()), WAIT_SECONDS)
        assert arrived, f"missing: {names - set(self.names())}"

    def wait_for_refusals(self, count: int) -> None:
        """Return when so many deliveries were refused."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.refused >= count, WAIT_SECONDS)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one delivery as a subscriber does."""
        [event] = json.loads(await request.read())
        kind = request.headers["aeg-event-type"]
        if kind == "SubscriptionValidation":
            self.validations.append(event)
            return web.json_response({"validationResponse": event["data"]["validationCode"]})
        if self.hang_on and event["subject"].endswith(self.hang_on):
            await asyncio.Event().wait()
        with self._changed:
            if self.status == 200:
                self.events.append(event)
            else:
                self.refused += 1
            self._changed.notify_all()
        return web.Response(status=self.status)


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """Run the receiver for the length of the block, on the port it had before or a free one."""
    loop = asyncio.new_event_loop()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", receiver.port).start()
        receiver.port = runner.addresses[0][1]

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield receiver
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(WAIT_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
