"""Recovery as an operator has it: plan, rebuild, cancel, roll back, watch, over HTTP against a whole region."""

import json
from typing import Any

import pytest

from tests.region import Region, eventually


def post(region: Region, act: str, **body: Any) -> Any:
    return region.request("POST", f"/api/recovery/{act}", json.dumps(body).encode())


def finished(region: Region, url: str) -> Any:
    eventually(lambda: region.get(url)["status"] != "running", "the rebuild ends", region.log)
    return region.get(url)


def test_dry_run_plans_and_changes_nothing(region: Region) -> None:
    """The plan counts documents, chunks and what is stored; afterwards the same generations are there."""
    before = region.get("/api/recovery")["generations"]
    report = finished(region, post(region, "rebuild", dry_run=True, reason="look").json()["url"])
    status = region.get("/api/status")
    estimate = report["plan"]["estimate"]
    assert (report["status"], report["plan"]["documents"]) == ("planned", status["documents"])
    assert (estimate["chunks"], estimate["stored_documents"]) == (status["chunks"], status["documents"])
    assert estimate["tokens_to_embed"] == 0
    assert region.get("/api/recovery")["generations"] == before


def test_rollback_lets_the_generation_before_answer(region: Region) -> None:
    """After a rebuild one call goes back, one more call goes forward again, and chat answers all the time."""
    old = region.get("/api/status")["generation"]
    report = finished(region, post(region, "rebuild", reason="new").json()["url"])
    assert report["status"] == "completed", report
    new = region.get("/api/status")["generation"]
    assert new == report["plan"]["generation"] != old
    back = post(region, "rollback", reason="wrong answers").json()
    assert (back["generation"], back["previous"]) == (old, new)
    assert back["before"]["finished"] and back["after"]["finished"]
    assert back["before"]["results"] == back["after"]["results"] == {}  # the lake has not changed since
    assert region.get("/api/status")["generation"] == old
    assert region.answers("What is the limit for a hotel night?", "165 EUR")
    forward = post(region, "rollback", generation=new).json()
    assert (forward["generation"], forward["previous"]) == (new, old)


def test_probes_are_part_of_the_verification(region: Region) -> None:
    """The sample lake's questions were asked of the new generation before it was let to answer."""
    report = finished(region, post(region, "rebuild").json()["url"])
    assert (report["status"], report["failed_probes"]) == ("completed", [])
    assert report["verification"]["missing"] == {"count": 0, "paths": []}


def test_cancelled_rebuild_leaves_the_live_generation(region: Region) -> None:
    """Cancelling ends the rebuild, removes its generation and leaves the live one; nothing is left to cancel."""
    live = region.get("/api/status")["generation"]
    for n in range(60):
        (region.lake / f"filler-{n}.md").write_text(f"# Filler {n}\n\nNothing of interest stands in filler {n}.\n")
    started = post(region, "rebuild", reason="mistake").json()
    cancelled = post(region, "cancel", reason="a mistake")
    if cancelled.status == 200:  # it may have been quicker than the one who cancels
        assert (cancelled.json()["id"], cancelled.json()["status"]) == (started["id"], "cancelled")
        assert region.get(started["url"])["status"] == "cancelled"
        assert region.get("/api/status")["generation"] == live
        assert post(region, "cancel").status == 404
    names = [one["name"] for one in region.get("/api/recovery")["generations"]]
    assert (f"documents-{started['id']}" in names) is (cancelled.status != 200)


def test_acts_are_recorded(region: Region) -> None:
    """Who did what, why and when is on record, newest first."""
    post(region, "rollback", reason="for the record")
    newest = region.get("/api/recovery")["acts"][0]
    assert (newest["act"], newest["who"], newest["reason"]) == ("rollback", "function key", "for the record")


@pytest.mark.parametrize(
    ("act", "body", "status", "named"),
    [
        ("rollback", {"generation": "documents-20000101000000"}, 404, "documents-20000101000000"),
        ("rollback", {"generation": 7}, 400, "7"),
        ("cancel", {}, 404, "no rebuild"),
        ("rebuild", {"source": "tertiary"}, 400, "tertiary"),
    ],
)
def test_what_cannot_be_done_is_refused(region: Region, act: str, body: Any, status: int, named: str) -> None:
    """Unknown generations, nothing to cancel and wrong values are problem+json that names them."""
    reply = post(region, act, **body)
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert named in reply.json()["detail"]
