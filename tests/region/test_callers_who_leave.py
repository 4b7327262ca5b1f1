"""Through the whole host: a caller who leaves before the answer begins stops what is done for them."""

import asyncio
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

from bench.rebuild_region import MeasuredRegion
from tests.region import eventually
from tests.region.test_killed_rebuilds import finished
from tests.region.test_storm import rule

BODY = json.dumps({"messages": [{"role": "user", "content": "How much does box 1 weigh?"}]}).encode()
LEFT = "the caller went away before the answer"
WRITES_SECONDS = 600  # the model takes so long for its first word: longer than anybody waits here


def ask_and_leave(port: int, path: str) -> None:
    """Send a question, and close the connection before anything comes."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(BODY)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode() + BODY)
        connection.settimeout(1)
        try:
            connection.recv(1)
        except TimeoutError:
            return
        raise AssertionError("there was an answer already")


def logged(log: Path, times: int) -> None:
    """Wait until the log says so many times that a caller has left."""
    eventually(lambda: log.read_text().count(LEFT) == times, f"{times} callers have left", log)


def test_who_leaves_early_stops_the_work(tmp_path: Path) -> None:
    """On /api/chat while the model writes, on /api/chat/stream while the passages are looked for."""

    async def scenario() -> None:
        region = MeasuredRegion(tmp_path, 384, {"CHAT_TIMEOUT_SECONDS": "600"}, faults=True)
        async with region.running():
            services = region.services()
            container = services.lake_account.get_container_client(services.settings.lake_container)
            await container.upload_blob("box.md", b"# Box 1\n\nBox 1 weighs 7 kilograms.")
            await services.close()
            async with region.host():
                begun = await asyncio.to_thread(region.request, "/api/recovery/rebuild", {"reason": "test"})
                port = urlsplit(begun["url"]).port or region.region.port
                await finished(region, begun["url"])
                model = f"http://127.0.0.1:{region.region.model_port}"
                for path, slow in (("/api/chat", "/chat/completions$"), ("/api/chat/stream", "/embeddings$")):
                    left = region.log.read_text().count(LEFT) + 1
                    rule(model, path=slow, delay_ms=WRITES_SECONDS * 1000)
                    await asyncio.to_thread(ask_and_leave, port, path)
                    await asyncio.to_thread(logged, region.log, left)

    asyncio.run(scenario())
