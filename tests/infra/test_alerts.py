"""The alerts' queries over what the app would have said: each goes off at what it is for, and silence is noticed."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from shared.telemetry import record
from tests.infra.evaluate import INFRA
from tests.infra.kql import Row, run

QUERIES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((INFRA / "queries").glob("*.kql"))}
# A region that is well, as shared/observe.py tells of it.
WELL = {
    "region": "eastus2",
    "ready": True,
    "healthy": 1,
    "rebuild_needed": 0,
    "rebuild_seconds": 0,
    "index_lag_seconds": 0,
    "replica_lag_seconds": 240,
    "reconciled_seconds": 600,
    "reconciled_missing": 0,
    "reconciled_stale": 0,
}


def said(event: str, *facts: Mapping[str, Any]) -> list[Row]:
    """Return lines of the log five minutes apart, written as the app writes them."""
    lines: list[Row] = []

    class Keep(logging.Handler):
        def emit(self, entry: logging.LogRecord) -> None:
            lines.append({"TimeGenerated": len(lines), "Message": entry.getMessage()})

    logger = logging.Logger("told")
    logger.addHandler(Keep())
    for one in facts:
        record(logger, event, one)
    return lines


def told(reports: int = 12, **facts: Any) -> list[Row]:
    """Return an hour of a region's reports on itself, or as many as are wanted."""
    return said("observe", *[{**WELL, **facts}] * reports)


def asked(path: str, *codes: int) -> list[Row]:
    """Return requests, one after the other."""
    return [
        {"TimeGenerated": number, "Url": f"https://x{path}", "ResultCode": str(code)}
        for number, code in enumerate(codes)
    ]


def of_a_well_region(name: str) -> list[Row]:
    """Return what a query finds in a region that is well."""
    return told() if "AppTraces" in QUERIES[name] else asked("/api/health", 200) + asked("/api/chat", *[200] * 20)


QUARANTINED = [{"document": f"a folder/{number}.pdf", "result": "quarantined"} for number in range(21)]
# alert: rows at which it goes off
FIRES: list[tuple[str, list[Row]]] = [
    ("index-lag", told(index_lag_seconds=1801)),
    ("not-following", told(reconciled_seconds=3601)),
    ("not-following", told(reconciled_missing=15, reconciled_stale=6)),
    ("not-following", told(9, reconciled_seconds=-1, reconciled_missing=-1, reconciled_stale=-1)),
    ("not-following", said("observe", *[{"ready": True}] * 9)),
    ("replica-lag", told(replica_lag_seconds=1801)),
    ("replica-lag", told(3, replica_lag_seconds=-1)),
    ("replica-lag", said("observe", {"ready": True})),
    ("rebuild-needed", told(rebuild_needed=1)),
    ("quarantine-growth", said("converge", *QUARANTINED)),
    *(
        ("rebuild-failed", said("rebuild", {"id": "1", "status": status}))
        for status in ("failed", "verification_failed")
    ),
    ("rebuild-failed", said("rebuild", {"id": "1", "status": "given_up", "resumes": 3})),
    ("rebuild-open", told(rebuild_seconds=86_401)),
    ("health-flapping", asked("/api/health", 200, 503, 200, 503, 200, 503)),
    ("silence", []),
    ("chat-errors", asked("/api/chat", *[200] * 18, 500, 500)),
]
# alert: rows at which it must not go off, though they come near it
QUIET: list[tuple[str, list[Row]]] = [
    ("index-lag", told(index_lag_seconds=1800)),
    ("index-lag", told(ready=False, index_lag_seconds=1801)),
    ("not-following", told(8, reconciled_seconds=-1, reconciled_missing=-1, reconciled_stale=-1)),
    ("not-following", told(ready=False, reconciled_seconds=-1, reconciled_missing=-1, reconciled_stale=-1)),
    ("replica-lag", [*told(2, replica_lag_seconds=-1), *told(1)]),
    ("quarantine-growth", said("converge", *QUARANTINED[:20], *QUARANTINED[:5])),
    ("rebuild-failed", said("rebuild", {"id": "1", "status": "completed"})),
    ("rebuild-open", told(rebuild_seconds=86_400)),
    ("rebuild-open", said("observe", *[{**WELL, "rebuild_seconds": 90_000}] * 11, WELL)),
    ("health-flapping", asked("/api/health", 200, 503, 200, 503, 200)),
    ("chat-errors", asked("/api/chat", *[500] * 19)),
]


def test_every_alert_is_tried() -> None:
    """Each query has rows at which it goes off."""
    assert {name for name, _ in FIRES} == set(QUERIES)


@pytest.mark.parametrize(("name", "rows"), FIRES)
def test_alert_goes_off(name: str, rows: list[Row]) -> None:
    """What it is for makes a row."""
    assert len(run(QUERIES[name], rows)) == 1


@pytest.mark.parametrize(("name", "rows"), [*QUIET, *((name, of_a_well_region(name)) for name in QUERIES)])
def test_alert_stays_quiet(name: str, rows: list[Row]) -> None:
    """Nothing below the mark makes a row, nor does a region that is well."""
    assert run(QUERIES[name], rows) == []


def test_silence_is_one_alert_and_no_storm() -> None:
    """Where nothing is said at all, exactly one alert tells of it: it stands for all that are made from those lines."""
    assert [name for name in QUERIES if run(QUERIES[name], [])] == ["silence"]


def test_an_operator_that_is_not_known_is_an_error() -> None:
    """A query that uses more than is understood here does not pass for one that found nothing."""
    with pytest.raises(ValueError, match="join is not used"):
        run("AppTraces\n| join (x) on y", [])
    with pytest.raises(ValueError, match="percentile is not used"):
        run("AppTraces\n| summarize p = percentile(x, 95)", [])
