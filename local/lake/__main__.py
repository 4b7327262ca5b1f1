"""`python -m local.lake --port N --azurite-blob-port N --data DIR [--container NAME ...] [--events-webhook URL]`, or a
replica of one: `python -m local.lake --replica-of URL --lag SECONDS --port N --data DIR`.
"""

import sys
from pathlib import Path

from aiohttp import web
from azure.storage.queue.aio import QueueClient

from local.azurite import ACCOUNT, KEY
from local.lake.events import Dispatcher
from local.lake.proxy import LakeProxy
from local.lake.replica import SECONDARY, Replica, ReplicaApp
from local.lake.versions import VersionStore
from local.processes import free_port
from local.serve import Arguments, log_to_stderr, serve


def main() -> int:
    """Run the lake; returns the exit code."""
    parser = Arguments(prog="local.lake", description="a versioned lake in front of Azurite")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--azurite-blob-port", type=int, default=0, help="where Azurite's blob service listens")
    parser.add_argument("--data", type=Path, required=True, help="folder for the record of versions and events")
    parser.add_argument("--container", action="append", default=[], help="container whose changes raise events")
    parser.add_argument("--events-webhook", default="", help="address that gets BlobCreated events")
    parser.add_argument("--deletions-connection", default="", help="connection string of the account with the queue")
    parser.add_argument("--deletions-queue", default="", help="queue that gets BlobDeleted events")
    parser.add_argument("--replicated", action="store_true", help="keep a journal, so that a replica can follow")
    parser.add_argument("--replica-of", default="", help="address of a replicated lake: be its secondary endpoint")
    parser.add_argument("--lag", type=float, default=0.0, help="seconds that the replica is behind")
    parser.add_argument("--faults", action="store_true", help="faults can be injected at /-/faults")
    options = parser.parse_args()
    if bool(options.azurite_blob_port) == bool(options.replica_of):
        parser.error("give --azurite-blob-port for a lake, or --replica-of for its replica")
    if options.lag < 0 or (options.lag and not options.replica_of):
        parser.error("--lag is a replica's, and at least 0")
    if bool(options.deletions_connection) != bool(options.deletions_queue):
        parser.error("--deletions-connection and --deletions-queue go together")
    subscribed = options.events_webhook or options.deletions_queue
    if bool(options.container) != bool(subscribed):
        parser.error("--container needs --events-webhook or --deletions-queue, and they need it")
    log_to_stderr()
    port = options.port or free_port()  # known from the start: events name the lake's own address

    async def make_replica() -> web.Application:
        options.data.mkdir(parents=True, exist_ok=True)
        replica = Replica(options.replica_of, options.data, options.lag)
        return ReplicaApp(replica, f"http://127.0.0.1:{port}/{SECONDARY}", options.faults).application()

    async def make() -> web.Application:
        options.data.mkdir(parents=True, exist_ok=True)
        store = VersionStore(options.data / "versions.db", journal=options.replicated)
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
            replicated=options.replicated,
            faults=options.faults,
        ).application()

        async def close(_: web.Application) -> None:
            store.close()
            if queue:
                await queue.close()

        app.on_cleanup.append(close)
        return app

    return serve(make_replica if options.replica_of else make, port, "lake")


if __name__ == "__main__":
    sys.exit(main())
