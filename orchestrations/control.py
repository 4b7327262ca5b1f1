"""Starting, watching, cancelling and undoing rebuilds, through the durable client."""

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import azure.durable_functions as df
from durabletask.client import OrchestrationState, OrchestrationStatus

from orchestrations import names
from shared.clients import Services
from shared.errors import Conflict, NotFound
from shared.recovery import audit
from shared.recovery.plan import RebuildRequest, RollbackRequest
from shared.recovery.steps import (
    UNFINISHED,
    cancel_name,
    new_rebuild_id,
    report_name,
    report_names,
    verified_name,
    write_report,
)

RUNNING = frozenset({OrchestrationStatus.PENDING, OrchestrationStatus.RUNNING, OrchestrationStatus.SUSPENDED})
BEYOND_CANCELLING = frozenset({"swapping", "retiring", "completed"})
LATEST = "latest"
START_LOCK = "rebuild-start"
STOP_SECONDS = 30  # longest wait for a cancelled orchestration to end
SHOWN_REPORTS = 20


async def start_rebuild(
    services: Services, client: df.DurableFunctionsClient, request: RebuildRequest, who: str
) -> dict[str, Any]:
    """Start a rebuild and return its id. Raises Conflict while another one runs."""
    # The lock closes the gap between looking and starting: of two requests at once, one sees the other's rebuild.
    async with services.state.lease(START_LOCK):
        state = await _state(client)
        if state and state.runtime_status in RUNNING:
            raise Conflict(f"rebuild {_custom(state).get('id', 'starting')} is running; there is one at a time")
        rebuild_id = await _new_id(services)
        await audit.record(services.state, "rebuild", who, request.reason, rebuild=rebuild_id, request=asdict(request))
        start = {
            "id": rebuild_id,
            "request": asdict(request),
            "window": services.settings.rebuild_window,
            "max_failed_share": services.settings.rebuild_max_failed_share,
        }
        if state:  # a finished instance has to go before its id can be used again
            await client.purge_orchestration(names.REBUILD_INSTANCE, recursive=True)
        await client.schedule_new_orchestration(names.REBUILD, input=start, instance_id=names.REBUILD_INSTANCE)
    return {"id": rebuild_id, "status": "running", "url": f"/api/recovery/{rebuild_id}"}


async def show_rebuild(services: Services, client: df.DurableFunctionsClient, rebuild_id: str) -> dict[str, Any]:
    """Return the progress of the running rebuild, or a finished one's report. Raises NotFound."""
    running = await running_rebuild(client)
    if running and rebuild_id in (LATEST, running.get("id")):
        return running
    if rebuild_id == LATEST:
        reports = await report_names(services)
        rebuild_id = reports[-1].split("/")[1] if reports else LATEST
    report = await services.state.read(report_name(rebuild_id)) if rebuild_id.isalnum() else None
    if not isinstance(report, dict):
        raise NotFound(f"there is no rebuild {rebuild_id!r}; /api/recovery/latest shows the last one")
    return report


async def overview(services: Services, client: df.DurableFunctionsClient) -> dict[str, Any]:
    """Return what an operator starts from: the running rebuild, an interrupted one, generations, the last reports."""
    running, unfinished, live, existing, reports = await asyncio.gather(
        running_rebuild(client),
        services.state.read(UNFINISHED),
        services.generations.live(),
        services.generations.list(),
        report_names(services),
    )
    verified = await asyncio.gather(*(services.state.read(verified_name(name)) for name in existing))
    read = await asyncio.gather(*(services.state.read(name) for name in reversed(reports[-SHOWN_REPORTS:])))
    shown = ("id", "status", "error", "reason", "source", "started", "finished", "documents", "chunks", "seconds")
    return {
        "region": services.settings.region,
        "running": running,
        "interrupted": unfinished if unfinished and not running else None,
        "generations": [
            {"name": name, "live": name == live, "verified": note is not None, "since": (note or {}).get("at")}
            for name, note in zip(existing, verified, strict=True)
        ],
        "reports": [{name: report.get(name) for name in shown} for report in read if isinstance(report, dict)],
        "acts": await audit.latest(services.state),
    }


async def running_rebuild(client: df.DurableFunctionsClient) -> dict[str, Any] | None:
    """Return the progress of the rebuild that is running, or None."""
    state = await _state(client)
    if state is None or state.runtime_status not in RUNNING:
        return None
    return {"status": "running", **(_custom(state) or {"phase": "starting"})}


async def cancel_rebuild(
    services: Services, client: df.DurableFunctionsClient, reason: str, who: str
) -> dict[str, Any]:
    """Stop the running or interrupted rebuild and remove its generation; the live one is untouched.

    Raises NotFound when there is none, and Conflict when it is too late: the alias is moving.
    """
    async with services.state.lease(START_LOCK):
        running = await running_rebuild(client)
        unfinished = await services.state.read(UNFINISHED)
        if running is None and unfinished is None:
            raise NotFound("no rebuild is running or interrupted")
        if running and running["phase"] in BEYOND_CANCELLING:
            raise Conflict(f"rebuild {running['id']} is {running['phase']}; POST /api/recovery/rollback undoes it")
        rebuild_id = (running or {}).get("id") or await _new_id(services)
        await audit.record(services.state, "cancel", who, reason, rebuild=rebuild_id)
        await services.state.write(cancel_name(rebuild_id), {"reason": reason})  # a swap to come looks for it
        if running:
            await client.terminate_orchestration(names.REBUILD_INSTANCE, output="cancelled", recursive=True)
            await client.wait_for_orchestration_completion(names.REBUILD_INSTANCE, timeout=STOP_SECONDS)
        live = await services.generations.live()
        generation = (running or {}).get("generation") or (unfinished or {}).get("generation")
        if generation is not None and generation == live:
            raise Conflict("the rebuild had just moved the alias; POST /api/recovery/rollback undoes it")
        if generation is not None:
            await services.generations.delete(generation)
        await services.state.remove(UNFINISHED)
        report = {**(running or {}), "id": rebuild_id, "status": "cancelled", "error": reason or "cancelled"}
        report["finished"] = datetime.now(UTC).isoformat()
        await write_report(services, report)
    return report


async def rollback(
    services: Services, client: df.DurableFunctionsClient, request: RollbackRequest, who: str
) -> dict[str, Any]:
    """Let an earlier generation answer again: the one named, or the newest verified one beside the live one.

    Raises NotFound when there is no such generation, Conflict while a rebuild runs or when it was never verified.
    """
    async with services.state.lease(START_LOCK):
        if running := await running_rebuild(client):
            raise Conflict(f"rebuild {running.get('id')} is running; cancel it first: POST /api/recovery/cancel")
        live = await services.generations.live()
        existing = [name for name in await services.generations.list() if name != live]
        verified = [name for name in existing if await services.state.read(verified_name(name))]
        target = request.generation or next(reversed(verified), None)
        if target is None:
            raise NotFound("there is no other verified generation to go back to")
        if target not in existing:
            others = ", ".join(existing) or "none"
            raise NotFound(f"there is no generation {target!r} beside the live one; there are: {others}")
        if target not in verified:
            raise Conflict(f"generation {target!r} was never verified, so it must not answer")
        await audit.record(services.state, "rollback", who, request.reason, generation=target, previous=live)
        await services.generations.go_live(target)
    return {"generation": target, "previous": live}


async def _new_id(services: Services) -> str:
    """Return an id that no rebuild has had: seconds name generations, and two may start within one."""
    while True:
        rebuild_id = new_rebuild_id(datetime.now(UTC))
        used = f"{services.generations.alias}-{rebuild_id}" in await services.generations.list()
        if not used and await services.state.read(report_name(rebuild_id)) is None:
            return rebuild_id
        await asyncio.sleep(1.0)


async def _state(client: df.DurableFunctionsClient) -> OrchestrationState | None:
    return await client.get_orchestration_state(names.REBUILD_INSTANCE, fetch_payloads=True)


def _custom(state: OrchestrationState) -> dict[str, Any]:
    value = json.loads(state.serialized_custom_status) if state.serialized_custom_status else None
    return value if isinstance(value, dict) else {}
