"""The process dies before or after each of its calls to a service, and the rebuild is verified all the same."""

import asyncio
import functools
import json
import logging
import random
from collections.abc import Coroutine, Iterator
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from orchestrations import control
from orchestrations.control import MOST_RESUMES
from shared.ids import document_id
from tests.orchestrations.machine import Host, Machine
from tests.soak import clock
from tests.soak.blobs import EPOCH
from tests.soak.process import Network, Process
from tests.soak.world import sorted_in_memory

DOCUMENTS = {f"d{n}.md": "\n".join(f"line {i} of document {n}" for i in range(n % 3 + 1)) for n in range(5)}
CHUNKS = sum(text.count("\n") + 1 for text in DOCUMENTS.values())
GONE = "gone.md"
PAGE = 6  # chunks of a page at most: two documents of three lines
WINDOW = 2
LIVES = 4  # of hosts, until the rebuild must have ended
LEASES_LAPSE = 20.0  # seconds


async def _warm(machine: Machine) -> None:
    """Fill the lake and the embedding store, and leave a live generation that an earlier rebuild has made."""
    for path, text in DOCUMENTS.items():
        machine.lake.put(path, text.encode(), {}, 0.0)
    machine.lake.put(GONE, b"soon gone", {}, 0.0)
    await Host(machine).request()
    machine.lake.delete(GONE)


async def _rebuilt(machine: Machine) -> None:
    """Ask for a rebuild; whenever the host dies, the next one does what its timer does."""
    for life in range(LIVES):
        host = Host(machine)
        work = asyncio.create_task(host.request() if life == 0 else _go_on(host))
        host.process.main = work
        await asyncio.gather(work, return_exceptions=True)
        if not host.process.dead:
            work.result()
            return
        await asyncio.sleep(LEASES_LAPSE)
    raise AssertionError(f"the rebuild has not ended in {LIVES} lives")


async def _go_on(host: Host) -> None:
    if await host.resume() is None and not await _ended(host):
        await host.request()  # it died before it had accepted the request: the operator asks again


async def _ended(host: Host) -> bool:
    return await _reports(host) >= 2  # the first one is the earlier rebuild's


async def _reports(host: Host) -> int:
    return len([name for name in await host.services.state.names("recovery/") if name.endswith("/report.json")])


def _in_virtual_time[T](main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the virtual clock, which also names the rebuilds."""

    def named(_: datetime) -> str:
        return f"{EPOCH + timedelta(seconds=asyncio.get_running_loop().time()):%Y%m%d%H%M%S}"

    random.seed(0)
    with (
        patch("shared.recovery.manifest.sorted_entries", sorted_in_memory),
        patch("orchestrations.control.new_rebuild_id", named),
    ):
        return clock.run(main)


def _run(call: int | None, when: str) -> tuple[Machine, int]:
    """Rebuild with a death at one call; returns the machine and the number of calls of a rebuild."""

    async def scenario() -> tuple[Machine, int]:
        machine = Machine(Network(random.Random(0), quick=True))
        await _warm(machine)
        first = machine.network.calls
        uploads, texts = machine.search.uploads, machine.texts_embedded
        if call is not None:
            machine.network.crashes[first + call] = when
        await _rebuilt(machine)
        machine.search.uploads -= uploads
        assert machine.texts_embedded == texts, "a rebuild with stored embeddings embeds nothing"
        return machine, machine.network.calls - first

    return _in_virtual_time(scenario())


@functools.cache
def _calls() -> int:
    """Return how many calls a rebuild makes that nothing disturbs."""
    machine, calls = _run(None, "")
    assert machine.search.uploads == CHUNKS
    return calls


def _parts(parts: int) -> Iterator[tuple[int, str]]:
    for part in range(parts):
        yield from ((part, "before"), (part, "after"))


PARTS = 8  # of the calls, so that a failure names its neighbourhood


@pytest.mark.parametrize(("part", "when"), list(_parts(PARTS)))
def test_death_at_every_call(part: int, when: str) -> None:
    """Whichever call is the host's last: the rebuild ends verified and live, and holds every document and nothing else;
    nothing is embedded, and no more is uploaded twice than the pages that were under way."""
    for call in range(part, _calls(), PARTS):
        machine, _ = _run(call, when)
        _require_true(machine, f"died {when} call {call}")


def _require_true(machine: Machine, what: str) -> None:
    written = sorted(name for name in machine.state.blobs if name.endswith("/report.json"))
    report = json.loads(machine.state.blobs[written[-1]].data)
    assert machine.network.crashed == 1, what
    assert report["status"] == "completed", (what, report)
    assert report["tokens_embedded"] == 0, what
    live = machine.search.alias
    assert live is not None
    held = machine.search.indexes[live].documents
    assert {one["path"] for one in held.values()} == set(DOCUMENTS), what
    assert len(held) == CHUNKS, what
    assert all(one["document_id"] == document_id("documents", one["path"]) for one in held.values()), what
    assert all(one["content_vector"] for one in held.values()), what
    assert machine.search.uploads <= CHUNKS + WINDOW * PAGE, (what, machine.search.uploads)
    assert len(machine.search.indexes) <= 2, what
    left = [name for name in machine.state.blobs if name.startswith("recovery/") and not name.endswith("/report.json")]
    assert left == [], (what, left)


def test_three_deaths_in_a_row_are_survived_and_the_fourth_waits_for_a_person(caplog: pytest.LogCaptureFixture) -> None:
    """The timer resumes a rebuild three times; then it stays interrupted, is shown so with the call that resumes it,
    and says so in the line that an alert is made from."""

    async def scenario() -> None:
        machine = Machine(Network(random.Random(0), quick=True))
        await _warm(machine)
        for life in range(MOST_RESUMES + 1):
            host = Host(machine)
            machine.network.crashes = {machine.network.calls + 60: "after"}
            work = asyncio.create_task(host.request() if life == 0 else host.resume())
            host.process.main = work
            await asyncio.gather(work, return_exceptions=True)
            assert host.process.dead
            await asyncio.sleep(LEASES_LAPSE)
        host = Host(machine)
        with caplog.at_level(logging.INFO, "shared.telemetry"):
            assert await host.resume() is None
        shown = (await control.overview(host.services, host))["interrupted"]  # type: ignore[arg-type]
        assert (shown["status"], shown["resumes_left"]) == ("interrupted", 0)
        assert "resume" in shown["resume"]
        line = caplog.records[-1].getMessage()
        assert line == f"rebuild id={shown['id']} status=given_up resumes={MOST_RESUMES}"

    _in_virtual_time(scenario())


def test_a_worker_that_dies_alone_costs_its_pages_only() -> None:
    """Where the orchestration survives, the activity that died is run again in another process; the rest goes on."""

    async def scenario(call: int, when: str) -> Machine:
        machine = Machine(Network(random.Random(0), quick=True))
        await _warm(machine)
        uploads, texts = machine.search.uploads, machine.texts_embedded
        machine.network.crashes[machine.network.calls + call] = when
        host = Surviving(machine)
        try:
            await host.request()
        except asyncio.CancelledError:
            return machine  # it died as it took the request
        machine.search.uploads -= uploads
        assert machine.texts_embedded == texts
        _require_true(machine, f"worker died {when} call {call}")
        return machine

    for call in range(0, _calls(), 3):
        for when in ("before", "after"):
            _in_virtual_time(scenario(call, when))


class Surviving(Host):
    """A host whose orchestrations are kept in storage: an activity of a process that died is run by another one."""

    async def activity(self, name: str, value: object) -> object:
        """Run an activity until it has ended."""
        while True:
            process = self.process
            work = asyncio.ensure_future(super().activity(name, value))
            self._of(process).add(work)
            try:
                return await work
            except asyncio.CancelledError:
                if not process.dead:
                    raise
            if self.process is process:
                self.process = Process(self.machine.network)
                self.services = self.machine.services(self.process)
            await asyncio.sleep(LEASES_LAPSE)

    def _of(self, process: Process) -> "Activities":
        if not isinstance(process.main, Activities):
            process.main = Activities()  # type: ignore[assignment]
        return process.main  # type: ignore[return-value]


class Activities(set[asyncio.Future[object]]):
    """What a process does: all of it ends when the process dies."""

    def cancel(self) -> None:
        """End all of it."""
        for one in self:
            one.cancel()
