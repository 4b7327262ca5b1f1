"""How the orchestrator hands out the pages of a rebuild."""

import asyncio
from collections import Counter
from dataclasses import asdict
from typing import Any

import pytest

from orchestrations import names, rebuild
from orchestrations.rebuild import VERIFIED_TOGETHER
from shared.recovery.compare import KINDS
from shared.recovery.steps import Converged
from tests.orchestrations.machine import REQUEST, Engine

PAGES = 2 * VERIFIED_TOGETHER + 3
PLAN = {"generation": "g", "pages": PAGES, "documents": PAGES, "swapped": False, "estimate": {}}
SUMMARY = {kind: {"count": 0, "paths": []} for kind in (*KINDS, "quarantined")}


class Activities:
    """Activities that always succeed, and what they were asked for: calls by name, pages by number."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.indexed: Counter[int] = Counter()
        self.verified: Counter[int] = Counter()

    def run(self) -> dict[str, Any]:
        """Run a rebuild over them; returns its report."""
        start = {"id": "1", "request": asdict(REQUEST), "window": 4, "max_failed_share": 0.01}
        return asyncio.run(Engine(self._activity).run(start))

    async def _activity(self, name: str, value: Any) -> Any:
        self.calls[name] += 1
        if name == names.PLAN_REBUILD:
            return {"plan": PLAN}
        if name == names.INDEX_PAGE:
            self.indexed[value["number"]] += 1
            return asdict(Converged({"indexed": 1}, added=1))
        if name == names.VERIFY_PAGES:
            self.verified.update(range(value["number"], value["number"] + value["count"]))
            return {"summary": SUMMARY, "failures": {}}
        return {names.CATCH_UP: 0, names.PROBE: []}.get(name, {})


def test_every_page_is_indexed_by_itself_and_verified_once() -> None:
    """A page is one activity's to index; a few are verified together, so that starting activities costs little."""
    activities = Activities()
    assert activities.run()["status"] == "completed"
    assert activities.indexed == activities.verified == Counter(range(PAGES))
    assert (activities.calls[names.INDEX_PAGE], activities.calls[names.VERIFY_PAGES]) == (PAGES, 3)


def test_a_long_rebuild_continues_as_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more pages than one execution may hand out, the next one goes on behind them: none is left out or done
    twice, whatever the phase.
    """
    monkeypatch.setattr(rebuild, "CHILDREN_AN_EXECUTION", 2)
    activities = Activities()
    report = activities.run()
    assert (report["status"], report["chunks"]["added"]) == ("completed", PAGES)
    assert activities.indexed == activities.verified == Counter(range(PAGES))
