"""How the orchestrator hands out the pages of a rebuild."""

import asyncio
from collections import Counter
from dataclasses import asdict
from typing import Any

import pytest

from orchestrations import names, rebuild
from shared.recovery.compare import KINDS
from shared.recovery.steps import Converged
from tests.orchestrations.machine import REQUEST, Engine

PAGES = 11
PLAN = {"generation": "g", "pages": PAGES, "documents": PAGES, "swapped": False, "estimate": {}}
SUMMARY = {kind: {"count": 0, "paths": []} for kind in (*KINDS, "quarantined")}


class Activities:
    """Activities that always succeed, and what they were asked for: pages by number."""

    def __init__(self) -> None:
        self.indexed: Counter[int] = Counter()
        self.verified: Counter[int] = Counter()

    def run(self) -> dict[str, Any]:
        """Run a rebuild over them; returns its report."""
        start = {"id": "1", "request": asdict(REQUEST), "window": 4, "max_failed_share": 0.01}
        return asyncio.run(Engine(self._activity).run(start))

    async def _activity(self, name: str, value: Any) -> Any:
        if name == names.PLAN_REBUILD:
            return {"plan": PLAN}
        if name == names.INDEX_PAGE:
            self.indexed[value["number"]] += 1
            return asdict(Converged({"indexed": 1}, added=1))
        if name == names.VERIFY_PAGE:
            self.verified[value["number"]] += 1
            return {"summary": SUMMARY, "failures": {}}
        return {names.CATCH_UP: 0, names.PROBE: []}.get(name, {})


def test_every_page_is_indexed_and_verified_once() -> None:
    """A page is one activity's, so that a fault costs no other page another try."""
    activities = Activities()
    assert activities.run()["status"] == "completed"
    assert activities.indexed == activities.verified == Counter(range(PAGES))


def test_a_long_rebuild_continues_as_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more pages than one execution may hand out, the next one goes on behind them: none is left out or done
    twice, whatever the phase.
    """
    monkeypatch.setattr(rebuild, "PAGES_AN_EXECUTION", 2)
    activities = Activities()
    report = activities.run()
    assert (report["status"], report["chunks"]["added"]) == ("completed", PAGES)
    assert activities.indexed == activities.verified == Counter(range(PAGES))
