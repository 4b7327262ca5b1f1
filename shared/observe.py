"""How this region is, told to operators every few minutes: one line in the log and gauges, which alerts are made from.

What happens (a document converged, a rebuild ended) tells of itself. This tells of what does not happen: an index that
stays behind, a replica that is not written, a region that says nothing at all.
"""

import logging
from datetime import UTC, datetime
from typing import Any

from opentelemetry import metrics

from shared.clients import Services
from shared.health import HealthCheck
from shared.recovery.steps import STARTED
from shared.status import status
from shared.telemetry import record

RECENT_SECONDS = 3_600.0  # a slow change of long ago is no lag of today
UNKNOWN = -1  # no number below is ever negative, so alerts on "more than" are silent about what is not known

logger = logging.getLogger(__name__)

_meter = metrics.get_meter("warmlake")
_gauges = {
    "healthy": _meter.create_gauge("warmlake.region.healthy", "1", "1 when the region can answer, else 0."),
    "rebuild_needed": _meter.create_gauge(
        "warmlake.index.rebuild_needed", "1", "1 when another pipeline has built the live index, else 0."
    ),
    "rebuild_seconds": _meter.create_gauge(
        "warmlake.recovery.age", "s", "Time since the rebuild that has not ended was accepted; 0 where there is none."
    ),
    "documents": _meter.create_gauge("warmlake.index.documents", "{document}", "Documents in the live index."),
    "problems": _meter.create_gauge("warmlake.index.problems", "{document}", "Documents that could not be indexed."),
    "index_lag_seconds": _meter.create_gauge("warmlake.index.recent_lag", "s", "Lag of the last change of this hour."),
    "replica_lag_seconds": _meter.create_gauge("warmlake.lake.replica_lag", "s", "Age of the replica's last sync."),
    "reconciled_missing": _meter.create_gauge("warmlake.reconcile.missing", "{document}", "Documents it had to add."),
    "reconciled_stale": _meter.create_gauge("warmlake.reconcile.stale", "{document}", "Documents it had to renew."),
    "reconciled_seconds": _meter.create_gauge("warmlake.reconcile.age", "s", "Time since the last reconciliation."),
}


async def observe(services: Services, health: HealthCheck, now: datetime | None = None) -> dict[str, Any]:
    """Look at the region and tell; returns what was told. Seconds that nobody knows are -1."""
    now = now or datetime.now(UTC)
    found = await health.run()
    view = await status(services)
    started = await services.state.read(STARTED)
    change, reconciled = view["last_change"], view["reconciled"]
    lag = 0
    if change and _age(change["at"], now) < RECENT_SECONDS:
        lag = round(change["seconds"])
    facts: dict[str, Any] = {
        "region": view["region"],
        "ready": view["ready"],
        "healthy": int(found.healthy),
        "failing": ",".join(name for name, fault in found.checks.items() if fault) or "-",
        "generation": view["generation"] or "-",
        "rebuild_needed": int(bool(view["rebuild_needed"])),
        "rebuild_seconds": round(_age(started["started"], now)) if started else 0,
        "documents": view["documents"],
        "problems": view["problems"],
        "index_lag_seconds": lag,
        "replica_lag_seconds": round(_age(view["last_sync_time"], now)) if view["last_sync_time"] else UNKNOWN,
        "reconciled_seconds": round(_age(reconciled["ended"], now)) if reconciled else UNKNOWN,
        # What the reconciler still found: where events do not arrive, nothing changes, and nothing else would tell.
        "reconciled_missing": reconciled["found"]["missing"] if reconciled else UNKNOWN,
        "reconciled_stale": reconciled["found"]["stale"] if reconciled else UNKNOWN,
    }
    record(logger, "observe", facts)
    for name, gauge in _gauges.items():
        if facts[name] != UNKNOWN:
            gauge.set(facts[name], {"region": view["region"]})
    return facts


def _age(moment: str, now: datetime) -> float:
    """Return how many seconds ago an ISO time was, never less than none."""
    return max(0.0, (now - datetime.fromisoformat(moment)).total_seconds())
