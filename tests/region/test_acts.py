"""The operator's other acts over HTTP: reconcile now, and try quarantined documents again."""

from typing import Any

from shared.access_views import RECONCILED
from tests.region import Region, Reply, eventually


def reconciled(region: Region) -> Any:
    """Reconcile; returns the report. While a run of the timer's goes on, the call is refused, and made again."""
    replies: list[Reply] = []

    def taken() -> bool:
        replies.append(region.request("POST", "/api/index/reconcile"))
        return replies[-1].status != 503

    eventually(taken, "no other run goes on", region.log)
    assert replies[-1].status == 200, replies[-1].body
    return replies[-1].json()


def test_reconcile_finds_nothing_where_no_event_was_lost(region: Region) -> None:
    """The whole sample lake is compared, nothing differs, and the status remembers the run."""
    eventually(lambda: region.get("/api/status")["documents"] >= 15, "the sample lake is indexed", region.log)
    report = reconciled(region)
    assert report["finished"] is True
    assert report["documents"] == region.get("/api/status")["documents"]
    assert (sum(report["found"].values()), report["failed"]) == (0, {})
    # Names of documents are for operators, who have this answer; the status tells everybody the counts.
    assert region.get("/api/status")["reconciled"] == {name: report[name] for name in RECONCILED}


def test_retry_of_an_unreadable_document(region: Region) -> None:
    """A corrupt file can be tried again; it stays quarantined with its reason. What is not quarantined is named."""
    (region.lake / "broken.pdf").write_bytes(b"%PDF-1.7 cut off")
    eventually(lambda: bool(region.get("/api/documents/problems")["problems"]), "the corrupt one is listed")
    said = region.request("POST", "/api/documents/retry", b'{"path": "broken.pdf"}').json()
    assert [(one["path"], one["result"], one["reason"]) for one in said["retried"]] == [
        ("broken.pdf", "quarantined", "corrupt")
    ]
    reply = region.request("POST", "/api/documents/retry", b'{"path": "whole.md"}')
    assert (reply.status, "whole.md" in reply.json()["detail"]) == (404, True)
