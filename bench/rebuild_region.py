"""A region to measure in: services and functions host as `make run` starts them, over a lake that raises events only
where that is asked for.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import ResourceExistsError

from local.children import Child
from local.processes import free_port
from local.region import DOCUMENTS, EMBEDDINGS, ROOT, ModelChoice, Region, new_region
from shared.clients import Services
from shared.settings import Settings

NEVER = "0 0 0 29 2 *"  # as seldom as a schedule can be: nothing else runs while it is measured
POLL_SECONDS = 0.5  # each look costs the host some milliseconds, which are not to be measured


class MeasuredRegion:
    """A region whose functions host is started apart, so that each measurement can have a fresh one.

    `events` lets the lake raise them; `faults` lets the search and the model service fail on purpose; `forgetful` lets
    the model compute a text every time that it comes, as a real one does.
    """

    def __init__(
        self,
        folder: Path,
        dimensions: int,
        overrides: Mapping[str, str] | None = None,
        events: bool = False,
        faults: bool = False,
        forgetful: bool = False,
    ) -> None:
        port = free_port()
        region = new_region("bench", folder, port, ModelChoice(dimensions=dimensions), "[]")
        self.region: Region = dataclasses.replace(region, faults=faults)
        self.log = folder / "region.log"
        settings = self.region.settings()
        schedules = {name: NEVER for name in settings if name.endswith("_SCHEDULE")}
        self.environ = {**settings, **schedules, **(overrides or {})}
        self._events = events
        self._forgetful = forgetful

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["MeasuredRegion"]:
        """Run everything but the host for the length of the block."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        services = self.region.children(self._line)
        if not self._events:
            services = [self._quiet_lake() if one.name == "lake" else one for one in services]
        if self._forgetful:
            services = [self._forgetful_model() if one.name == "model" else one for one in services]
        services = [one for one in services if one.name != "host"]
        try:
            for child in services:
                await child.start(ROOT)
            made = self.services()
            for container in (DOCUMENTS, EMBEDDINGS):
                with contextlib.suppress(ResourceExistsError):  # a region that ran before has kept what it had
                    await made.lake_account.create_container(container)
            await made.state.create()
            await made.close()
            yield self
        finally:
            for child in reversed(services):
                await child.stop()

    def services(self) -> Services:
        """Return clients of this region, as the app makes them."""
        return Services(Settings.from_env(self.environ))

    @contextlib.asynccontextmanager
    async def host(self) -> AsyncIterator[Child]:
        """Run a fresh functions host for the length of the block."""
        environ = {**self.environ, "FUNCTIONS_HOST_LEASE_SECONDS": "10"}
        child = Child("host", "local.functions_host", ["start", "--port", str(self.region.port)], self._line, environ)
        await child.start(ROOT)
        try:
            yield child
        finally:
            await child.stop()

    async def rebuild(self, **body: Any) -> dict[str, Any]:
        """Run one rebuild through the host; returns its report."""
        return await asyncio.to_thread(self._rebuild, body)

    def _rebuild(self, body: Mapping[str, Any]) -> dict[str, Any]:
        started = self.request("/api/recovery/rebuild", body)
        while (report := self.request(started["url"]))["status"] == "running":
            time.sleep(POLL_SECONDS)
        return report

    def history_events(self, instance: str) -> int:
        """Return the number of events in an orchestration's history."""
        path = f"/runtime/webhooks/durabletask/instances/{quote(instance, safe='')}?showHistory=true"
        return len(self.request(path)["historyEvents"])

    def request(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the JSON that the app answers; with a body it is a POST. Raises OSError, HTTPError among them."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.region.url + path, data=data), timeout=60) as reply:
            value: dict[str, Any] = json.loads(reply.read())
            return value

    def _quiet_lake(self) -> Child:
        """Return the lake without its events: what is measured is the rebuild alone."""
        region = self.region
        arguments = ["--port", str(region.lake_port), "--azurite-blob-port", str(region.lake_storage.blob)]
        data = ["--data", str(region.folder / "lake")]
        return Child("lake", "local.lake", [*arguments, *data], self._line)

    def _forgetful_model(self) -> Child:
        """Return the model without its memory."""
        faults = ["--faults"] if self.region.faults else []
        arguments = ["--port", str(self.region.model_port), "--vectors-kept", "0", *faults]
        return Child("model", "local.model_service", arguments, self._line)

    def _line(self, name: str, text: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{name:8} {text}\n")


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process has held so far, as the kernel counts it (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    (peak,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return peak * 1024 / 1e6


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
