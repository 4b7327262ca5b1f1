"""What a rebuild counts, and that it counts nothing twice."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrations import names
from orchestrations.progress import SHOWN_FAILURES, Progress
from shared.recovery import steps
from tests.orchestrations.machine import Host, Machine
from tests.soak import clock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNREADABLE = b"?"  # what the model of extraction cannot read


class Changing(Host):
    """A host in whose lake something happens before an activity runs for the first time."""

    def __init__(self, machine: Machine, happens: dict[str, Any]) -> None:
        super().__init__(machine)
        self._happens = happens

    async def activity(self, name: str, value: Any) -> Any:
        """Run an activity, after what happens before it."""
        if happens := self._happens.pop(name, None):
            happens()
        return await super().activity(name, value)


def done(**parts: Any) -> dict[str, Any]:
    """Return what an activity converged."""
    nothing = {"added": 0, "removed": 0, "embedded": 0, "waited": 0.0, "tokens_embedded": 0, "tokens_reused": 0}
    return {"results": {}, "failures": {}, **nothing, **parts}


def progress() -> Progress:
    """Return the progress of a rebuild that has just begun."""
    return Progress("1", {"reason": "test", "source": "primary"}, NOW.isoformat(), NOW.isoformat())


def test_every_failure_has_its_reason_counted() -> None:
    """Paths are listed up to a number; reasons and the count are those of all failures."""
    made = progress()
    for page in range(4):
        reason = "corrupt" if page < 3 else "empty"
        made.add(done(failures={f"{page}-{n}.md": reason for n in range(100)}))
    told = made.report("completed", NOW)["failures"]
    assert (told["count"], told["reasons"]) == (400, {"corrupt": 300, "empty": 100})
    assert len(told["paths"]) == SHOWN_FAILURES


def test_a_failure_is_counted_once() -> None:
    """A document that fails again is not another one, and has the reason that it failed for last."""
    made = progress()
    made.add(done(failures={"a.md": "corrupt", "b.md": "empty"}))
    made.add_later(done(failures={"a.md": "too_large"}))
    assert made.report("completed", NOW)["failures"] == {
        "count": 2,
        "reasons": {"empty": 1, "too_large": 1},
        "paths": {"a.md": "too_large", "b.md": "empty"},
    }


def test_what_changed_meanwhile_is_counted_apart() -> None:
    """Every planned document is counted once, whatever its page is repeated for; what was done again has counts of its
    own, and failures are those of the lake as it was verified.
    """
    machine = Machine()
    for n in range(6):
        machine.lake.put(f"d{n}.md", f"document {n}".encode(), {}, 0.0)
    machine.lake.put("bad.md", UNREADABLE, {}, 0.0)
    machine.lake.put("mended.md", UNREADABLE, {}, 0.0)

    def while_indexing() -> None:
        machine.lake.put("d1.md", b"edited", {}, 1.0)
        machine.lake.put("mended.md", b"readable", {}, 1.0)

    def while_verifying() -> None:
        machine.lake.put("d2.md", b"edited late", {}, 2.0)

    host = Changing(machine, {names.CATCH_UP: while_indexing, names.PROBE: while_verifying})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.orchestrations.machine.SETTINGS.rebuild_max_failed_share", 0.5)
        clock.run(asyncio.wait_for(host.request(), 60))
    (report,) = machine.reports
    assert report["status"] == "completed"
    assert report["documents"] == {"indexed": 6, "quarantined": 2}
    assert report["chunks"] == {"added": 6, "removed": 0, "embedded": 6}
    assert report["changed_meanwhile"] == {
        "documents": {"indexed": 3},
        "chunks": {"added": 3, "removed": 2, "embedded": 3},
    }
    assert report["failures"] == {"count": 1, "reasons": {"corrupt": 1}, "paths": {"bad.md": "corrupt"}}


def test_catching_up_that_was_cut_off_forgets_no_page() -> None:
    """The step dies after it has brought a page up to date and before it has noted that: its second run converges that
    page all the same.
    """

    async def scenario() -> None:
        machine = Machine()
        for n in range(4):
            machine.lake.put(f"d{n}.md", f"document {n}".encode(), {}, 0.0)
        host = Host(machine)
        write = host.services.state.write
        ran = 0

        async def cut_off(name: str, value: Any) -> None:
            nonlocal ran
            if "/rounds/" in name and not ran:
                ran += 1
                raise ConnectionError("cut off")
            await write(name, value)

        async def catch_up_twice(services: Any, plan: Any, round_: int) -> int:
            if round_ == 1:
                machine.lake.put("d1.md", b"edited", {}, 1.0)
                with pytest.raises(ConnectionError):
                    await again(services, plan, round_)
            return await again(services, plan, round_)

        again = steps.catch_up
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(host.services.state, "write", cut_off)
            patched.setattr(steps, "catch_up", catch_up_twice)
            await host.request()
        (report,) = machine.reports
        assert (report["status"], ran) == ("completed", 1)
        held = machine.search.indexes[machine.search.alias or ""].documents
        assert sorted(json.dumps(one["content"]) for one in held.values()) == [
            '"document 0"',
            '"document 2"',
            '"document 3"',
            '"edited"',
        ]

    clock.run(asyncio.wait_for(scenario(), 60))
