"""What an operator is told between the acceptance of a rebuild and its first step."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from azure.core.exceptions import ServiceRequestError

from orchestrations import control
from shared.errors import Conflict, NotFound, Refused
from shared.follow import JOINED
from shared.recovery import audit, steps
from shared.recovery.plan import RollbackRequest
from tests.orchestrations.machine import REQUEST, Host, Machine
from tests.soak import clock
from tests.soak.process import Network, Process


def test_a_rebuild_that_has_not_begun_is_known_by_its_id() -> None:
    """Before the orchestration has set a status, the address that the caller was given shows it as starting, and so
    does the overview; a second one is refused with the first one's id.
    """

    async def scenario() -> None:
        host = Host(Machine(Network(random.Random(0), quick=True)))
        host.machine.lake.put("a.md", b"one", {}, 0.0)
        client = cast(Any, host)
        started = await control.start_rebuild(host.services, client, REQUEST, "operator")
        for name in (started["id"], control.LATEST):
            shown = await control.show_rebuild(host.services, client, name)
            assert (shown["id"], shown["status"], shown["phase"]) == (started["id"], "running", "starting")
        with pytest.raises(Conflict, match=started["id"]):
            await control.start_rebuild(host.services, client, REQUEST, "operator")
        overview = await control.overview(host.services, client)
        assert (overview["running"]["id"], overview["interrupted"]) == (started["id"], None)

    clock.run(asyncio.wait_for(scenario(), 60))


def test_a_generation_that_is_rolled_back_to_answers_for_the_lake_of_today() -> None:
    """Since it was left, a document was deleted, one was closed to most, one was edited and one has become unreadable:
    the first are right before the alias moves, and the answer of the call says what was done.
    """

    async def scenario() -> None:
        machine = Machine(Network(random.Random(0), quick=True))
        for name in ("gone.md", "closed.md", "edited.md", "spoilt.md", "same.md"):
            machine.lake.put(name, name.encode(), {}, 0.0)
        host = Host(machine)
        client = cast(Any, host)
        for _ in range(2):
            await host.request()
        before, live = sorted(machine.search.indexes)
        assert machine.search.alias == live
        machine.lake.delete("gone.md")
        machine.lake.put("closed.md", b"closed.md", {"allowed_groups": "board"}, 1.0)
        machine.lake.put("edited.md", b"edited", {}, 1.0)
        machine.lake.put("spoilt.md", b"?", {"allowed_groups": "board"}, 1.0)
        for name in ("gone.md", "closed.md", "edited.md", "spoilt.md"):
            await host.services.indexer.converge(name, live)

        moved: list[dict[str, Any]] = []
        go_live = host.services.generations.go_live

        async def noted(name: str) -> None:
            moved.append(dict(machine.search.indexes[name].documents))
            await go_live(name)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(host.services.generations, "go_live", noted)
            request = RollbackRequest("wrong answers", None)
            said = await control.rollback(host.services, client, request, "operator")
        assert (said["generation"], said["previous"], machine.search.alias) == (before, live, before)
        assert moved == [machine.search.indexes[live].documents] == [machine.search.indexes[before].documents]
        assert said["withdrawn"]["results"] == {"deleted": 1, "indexed": 1, "deferred": 2}
        assert said["before"]["results"] == {"indexed": 1, "quarantined": 1}
        assert (said["after"]["results"], said["after"]["finished"]) == ({}, True)
        assert await host.services.state.read(JOINED) is None

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_lake_that_is_away_keeps_nobody_from_going_back() -> None:
    """Nothing can be compared then, and the answer says so."""

    async def scenario() -> None:
        machine = Machine(Network(random.Random(0), quick=True))
        machine.lake.put("a.md", b"one", {}, 0.0)
        host = Host(machine)
        for _ in range(2):
            await host.request()
        before, _ = sorted(machine.search.indexes)

        def away() -> None:
            raise ServiceRequestError("the lake is away")

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(host.services.lake, "list", away)
            request = RollbackRequest("wrong answers", before)
            said = await control.rollback(host.services, cast(Any, host), request, "operator")
        assert machine.search.alias == before
        assert {name: said[name]["error"] for name in ("withdrawn", "before", "after")} == dict.fromkeys(
            ("withdrawn", "before", "after"), "the lake is away"
        )

    asyncio.run(asyncio.wait_for(scenario(), 60))


class Interrupted(Process):
    """A process in which something else happens before its call `at`."""

    def __init__(self, network: Network, at: int, happens: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(network)
        self.at = at
        self._happens = happens

    async def call[T](self, effect: Callable[[], T], *, renewal: bool = False) -> T:
        """Call a service; before call `at`, let it happen."""
        self.at -= 1
        if self.at == -1:
            await self._happens()
        return await super().call(effect, renewal=renewal)


@pytest.mark.parametrize("at", range(9))
def test_a_rebuild_cancelled_while_its_generation_is_made_leaves_nothing(at: int) -> None:
    """Ending an orchestration does not end its activity. Whichever call of it the cancelling comes before, and also
    when it comes after the last, no generation and no note of one stay, and there is nothing left to cancel.
    """

    async def scenario() -> None:
        machine = Machine(Network(random.Random(0), quick=True))
        machine.lake.put("a.md", b"one", {}, 0.0)
        host = Host(machine)
        client = cast(Any, host)
        started = await control.start_rebuild(host.services, client, REQUEST, "operator")
        forced = replace(REQUEST, force=True)
        plan = await steps.plan_rebuild(host.services, forced, started["id"])
        cancelled = []

        async def cancel() -> None:
            cancelled.append(await control.cancel_rebuild(host.services, client, "mistake", "operator"))

        process = Interrupted(machine.network, at, cancel)
        with contextlib.suppress(Refused):  # raised unless it came last
            await steps.create_generation(machine.services(process), plan)
        if not cancelled:
            assert process.at >= 0
            await cancel()
        assert cancelled[0]["id"] == started["id"]
        assert (machine.search.indexes, await host.services.state.read(steps.UNFINISHED)) == ({}, None)
        with pytest.raises(NotFound):
            await control.cancel_rebuild(host.services, client, "again", "operator")

    clock.run(asyncio.wait_for(scenario(), 60))


def test_a_dry_run_leaves_an_interrupted_rebuild_as_it_is() -> None:
    """A plan that is looked at, to its end or until it is cancelled, ends no rebuild that was cut off: that goes on by
    itself under its own id, into its own generation.
    """

    async def scenario() -> None:
        machine = Machine(Network(random.Random(0), quick=True))
        for name in ("a.md", "b.md", "c.md"):
            machine.lake.put(name, name.encode(), {}, 0.0)
        first = Host(machine)
        started = await control.start_rebuild(first.services, cast(Any, first), REQUEST, "operator")
        plan = await steps.plan_rebuild(first.services, REQUEST, started["id"])
        await steps.create_generation(first.services, plan)

        dry = replace(REQUEST, dry_run=True)
        for cancelled in (False, True):
            host = Host(machine)
            await control.start_rebuild(host.services, cast(Any, host), dry, "operator")
            if cancelled:
                await control.cancel_rebuild(host.services, cast(Any, host), "enough", "operator")
            else:
                await host.run()
                assert machine.reports[-1]["status"] == "planned"
            note = await host.services.state.read(steps.STARTED)
            assert (note or {}).get("id") == started["id"]
            assert list(machine.search.indexes) == [plan.generation]
        acts = [act["act"] for act in await audit.latest(first.services.state)]
        assert sorted(acts) == ["cancel", "plan", "plan", "rebuild"]

        host = Host(machine)
        assert await host.resume() == started["id"]
        assert (machine.reports[-1]["id"], machine.reports[-1]["status"]) == (started["id"], "completed")
        assert machine.search.alias == plan.generation

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_an_empty_lake_is_refused_at_once() -> None:
    """Nothing is started and nothing goes on record; force is the way on."""

    async def scenario() -> None:
        machine = Machine(Network(random.Random(0), quick=True))
        host = Host(machine)
        with pytest.raises(Refused, match="lists no document"):
            await control.start_rebuild(host.services, cast(Any, host), REQUEST, "operator")
        assert (host.start, await host.services.state.names("recovery/"), machine.search.indexes) == (None, [], {})
        await control.start_rebuild(host.services, cast(Any, host), replace(REQUEST, force=True), "operator")
        assert host.start is not None

    clock.run(asyncio.wait_for(scenario(), 60))
