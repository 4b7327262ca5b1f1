"""Starting a rebuild and looking at one, through the durable client."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import azure.durable_functions as df
from durabletask.client import OrchestrationState, OrchestrationStatus

from orchestrations import names
from shared.clients import Services
from shared.errors import Conflict, NotFound
from shared.recovery.plan import RebuildRequest
from shared.recovery.steps import new_rebuild_id, report_name

RUNNING = frozenset({OrchestrationStatus.PENDING, OrchestrationStatus.RUNNING, OrchestrationStatus.SUSPENDED})
LATEST = "latest"


async def start_rebuild(
    services: Services, client: df.DurableFunctionsClient, request: RebuildRequest
) -> dict[str, Any]:
    """Start a rebuild and return its id. Raises Conflict while another one runs."""
    # The lock closes the gap between looking and starting: of two requests at once, one sees the other's rebuild.
    async with services.state.lease("rebuild-start"):
        state = await client.get_orchestration_state(names.REBUILD_INSTANCE, fetch_payloads=True)
        if state and state.runtime_status in RUNNING:
            raise Conflict(f"rebuild {_custom(state).get('id', 'starting')} is running; there is one at a time")
        rebuild_id = new_rebuild_id(datetime.now(UTC))
        start = {"id": rebuild_id, "request": asdict(request), "window": services.settings.rebuild_window}
        if state:  # a finished instance has to go before its id can be used again
            await client.purge_orchestration(names.REBUILD_INSTANCE)
        await client.schedule_new_orchestration(names.REBUILD, input=start, instance_id=names.REBUILD_INSTANCE)
    return {"id": rebuild_id, "status": "running", "url": f"/api/recovery/{rebuild_id}"}


async def show_rebuild(services: Services, client: df.DurableFunctionsClient, rebuild_id: str) -> dict[str, Any]:
    """Return the progress of the running rebuild, or a finished one's report. Raises NotFound."""
    state = await client.get_orchestration_state(names.REBUILD_INSTANCE, fetch_payloads=True)
    if state and state.runtime_status in RUNNING:
        progress = _custom(state) or {"phase": "starting"}
        if rebuild_id in (LATEST, progress.get("id")):
            return {"status": "running", **progress}
    if rebuild_id == LATEST:
        reports = [name for name in await services.state.names("recovery/") if name.endswith("/report.json")]
        rebuild_id = reports[-1].split("/")[1] if reports else LATEST
    report = await services.state.read(report_name(rebuild_id)) if rebuild_id.isalnum() else None
    if not isinstance(report, dict):
        raise NotFound(f"there is no rebuild {rebuild_id!r}; /api/recovery/latest shows the last one")
    return report


def _custom(state: OrchestrationState) -> dict[str, Any]:
    value = json.loads(state.serialized_custom_status) if state.serialized_custom_status else None
    return value if isinstance(value, dict) else {}
