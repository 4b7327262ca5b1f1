"""The two regions of a drill and what they share: a geo-replicated lake, and settings that are the same in both."""

import asyncio
import contextlib
import dataclasses
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from azure.core.exceptions import ResourceExistsError

from local.azurite import ACCOUNT
from local.children import Child
from local.drill import power
from local.processes import free_port
from local.region import DOCUMENTS, EMBEDDINGS, ROOT, TRIGGER, ModelChoice, Region, new_region
from shared.clients import Services
from shared.settings import Settings

REGIONAL = ("storage", "search", "model", "host")
NEVER = "0 0 0 29 2 *"  # as seldom as a schedule can be
DRILL_SETTINGS = {
    # A drill has few documents: smaller pages make more of them, so that windows, catching up and verifying have work.
    "REBUILD_PAGE_DOCUMENTS": "10",
    # What a drill shows must not depend on the quarter of an hour in which it runs.
    "RECONCILE_SCHEDULE": NEVER,
    "COLLECT_SCHEDULE": NEVER,
}


class Stamp:
    """One region: its services as child processes, which can be lost, and its settings.

    `app` is the folder that the host runs; another release is another folder.
    """

    def __init__(self, region: Region, lake_storage: str, overrides: Mapping[str, str]) -> None:
        self.region = region
        self.name = region.name
        self.log = region.folder / "region.log"
        self.app = ROOT
        self.environ = {**region.settings(), **DRILL_SETTINGS, "LAKE_STORAGE": lake_storage, **overrides}
        self._running: dict[str, Child] = {}

    @property
    def url(self) -> str:
        """Where the app answers."""
        return f"http://127.0.0.1:{self.region.port}"

    def services(self) -> Services:
        """Return clients of this region, as the app makes them. Close them."""
        return Services(Settings.from_env(self.environ))

    async def start(self, *names: str) -> None:
        """Start services side by side, and wait until they are ready. Raises StartFailed."""
        self.region.folder.mkdir(parents=True, exist_ok=True)
        children = {name: self._child(name) for name in names}
        self._running.update(children)
        await asyncio.gather(*(child.start(self.app if name == "host" else ROOT) for name, child in children.items()))

    async def deploy(self) -> None:
        """Start everything that is the region's own, the host last; the host finds its container made."""
        await self.start(*(name for name in REGIONAL if name != "host"))
        made = self.services()
        try:
            await made.state.create()
        finally:
            await made.close()
        await self.start("host")

    def lose(self, *names: str) -> int:
        """Kill services at once, all where none is named; returns how many processes died."""
        return power.lose(self._taken(names))

    def freeze(self, *names: str) -> None:
        """Stop services where they are."""
        power.freeze(self._running[name] for name in names)

    def thaw(self, *names: str) -> None:
        """Let frozen services go on."""
        power.thaw(self._running[name] for name in names)

    async def stop(self, *names: str) -> None:
        """Stop services, all where none is named, the last started first."""
        for child in reversed(self._taken(names)):
            await child.stop()

    def wipe(self, name: str) -> None:
        """Remove what a service that has ended had stored: it is started again as a new one."""
        shutil.rmtree(self.region.folder / name)

    def _taken(self, names: Iterable[str]) -> list[Child]:
        chosen = list(names) or list(self._running)
        return [self._running.pop(name) for name in chosen if name in self._running]

    def _child(self, name: str) -> Child:
        region = self.region
        if name == "lake":
            return self._lake()
        if name == "host":
            lease = {"FUNCTIONS_HOST_LEASE_SECONDS": "10"}
            arguments = ["start", "--port", str(region.port)]
            return Child("host", "local.functions_host", arguments, self.line, {**self.environ, **lease})
        return next(child for child in region.children(self.line) if child.name == name)

    def _lake(self) -> Child:
        """Return the lake of this region, with a journal for its replica; its events go to this region."""
        region = self.region
        webhook = f"{self.url}/runtime/webhooks/blobs?functionName=Host.Functions.{TRIGGER}"
        queue = self.environ["DELETIONS_QUEUE"]
        arguments = [
            *("--port", str(region.lake_port), "--azurite-blob-port", str(region.lake_storage.blob)),
            *("--data", str(region.folder / "lake"), "--container", DOCUMENTS, "--events-webhook", webhook),
            *("--deletions-connection", region.storage_connection, "--deletions-queue", queue),
            *("--replicated", "--faults"),
        ]
        return Child("lake", "local.lake", arguments, self.line)

    def line(self, name: str, text: str) -> None:
        """Keep a line of a service in the region's log."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {name:8} {text}\n")


@dataclasses.dataclass(slots=True)
class Estate:
    """Everything that a drill runs: two regions, the lake's replica, and Traffic Manager, which outlive any region."""

    one: Stamp
    two: Stamp
    replica: Child
    replica_url: str
    traffic: Child
    traffic_url: str

    async def start(self) -> None:
        """Start region one with the lake, the replica and Traffic Manager."""
        await self.one.start("storage", "blobs", "search", "model")
        await self.one.start("lake")
        await self.replica.start(ROOT)
        made = self.one.services()
        try:
            for container in (DOCUMENTS, EMBEDDINGS):
                with contextlib.suppress(ResourceExistsError):
                    await made.lake_account.create_container(container)
            await made.state.create()
        finally:
            await made.close()
        await self.one.start("host")
        await self.traffic.start(ROOT)

    async def stop(self) -> None:
        """Stop whatever still runs."""
        await self.traffic.stop()
        await asyncio.gather(self.one.stop(), self.two.stop())
        await self.replica.stop()


def new_estate(folder: Path, lag: float, traffic: Iterable[str] = ()) -> Estate:
    """Return two regions from the same settings, on free ports, with data below `folder`.

    `lag` is in seconds; `traffic` has further options of Traffic Manager.
    """
    model = ModelChoice()
    regions = [
        dataclasses.replace(new_region(name, folder / name, free_port(), model, "[]"), faults=True)
        for name in ("one", "two")
    ]
    replica_port, traffic_port = free_port(), free_port()
    secondary = f"BlobSecondaryEndpoint=127.0.0.1:{replica_port}/{ACCOUNT}-secondary;"
    lake_storage = regions[0].lake_connection + secondary
    one, two = (Stamp(region, lake_storage, {}) for region in regions)
    # As the runbook has it: nothing is written to the lake until its account can be written again.
    two.environ["LAKE_READ_ONLY"] = "true"
    shared = folder / "shared"
    shared.mkdir(parents=True, exist_ok=True)

    def line(name: str, text: str) -> None:
        with (shared / "shared.log").open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {name:8} {text}\n")

    source = f"http://127.0.0.1:{regions[0].lake_port}"
    following = ["--replica-of", source, "--data", str(shared / "replica"), "--lag", str(lag)]
    replica = Child("replica", "local.lake", [*following, "--port", str(replica_port)], line)
    endpoints = [part for stamp in (one, two) for part in ("--endpoint", f"{stamp.name}={stamp.url}")]
    options = ["--port", str(traffic_port), *endpoints, *traffic]
    manager = Child("traffic", "local.traffic_manager", options, line)
    return Estate(one, two, replica, f"http://127.0.0.1:{replica_port}", manager, f"http://127.0.0.1:{traffic_port}")
