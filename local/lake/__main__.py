"""`python -m local.lake --port N --azurite-blob-port N --data DIR [--container NAME ...] [--events-webhook URL]`."""

import sys
from pathlib import Path

from aiohttp import web
from azure.storage.queue.aio import QueueClient

from local.azurite import ACCOUNT, KEY
from local.lake.events import Dispatcher
from local.lake.proxy import LakeProxy
from local.lake.versions import VersionStore
from local.processes import free_port
from local.serve import Arguments, log_to_stderr, serve


def main() -> int:
    """Run the lake; returns the exit code."""
    parser = Arguments(prog="local.lake", description="a versioned lake in front of Azurite")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--azurite-blob-port", type=int, required=True, help="where Azurite's blob service listens")
    parser.add_argument("--data", type=Path, required=True, help="folder for the record of versions and events")
    parser.add_argument("--container", action="append", default=[], help="container whose changes raise events")
    parser.add_argument("--events-webhook", default="", help="address that gets BlobCreated events")
    parser.add_argument("--deletions-connection", default="", help="connection string of the account with the queue")
    parser.add_argument("--deletions-queue", default="", help="queue that gets BlobDeleted events")
    options = parser.parse_args()
    if bool(options.deletions_connection) != bool(options.deletions_queue):
        parser.error("--deletions-connection and --deletions-queue go together")
    subscribed = options.events_webhook or options.deletions_queue
    if bool(options.container) != bool(subscribed):
        parser.error("--container needs --events-webhook or --deletions-queue, and they need it")
    log_to_stderr()
    port = options.port or free_port()  # known from the start: events name the lake's own address

    async def make() -> web.Application:
        options.data.mkdir(parents=True, exist_ok=True)
        store = VersionStore(options.data / "versions.db")
        queue = None
        if options.deletions_queue:
            queue = QueueClient.from_connection_string(options.deletions_connection, options.deletions_queue)
        upstream = f"http://127.0.0.1:{options.azurite_blob_port}"
        app = LakeProxy(
            upstream,
            store,
            Dispatcher(store, options.events_webhook, queue),
            f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={upstream}/{ACCOUNT};",
            f"http://127.0.0.1:{port}/{ACCOUNT}",
            frozenset(options.container),
        ).application()

        async def close(_: web.Application) -> None:
            store.close()
            if queue:
                await queue.close()

        app.on_cleanup.append(close)
        return app

    return serve(make, port, "lake")


if __name__ == "__main__":
    sys.exit(main())
