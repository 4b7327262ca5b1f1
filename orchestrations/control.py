"""Starting, watching, cancelling and undoing rebuilds, through the durable client."""

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import azure.durable_functions as df
from azure.core.exceptions import AzureError
from durabletask.client import OrchestrationState, OrchestrationStatus

from orchestrations import names
from shared.built import verified_name
from shared.clients import Services
from shared.errors import Conflict, NotFound, WarmlakeError
from shared.follow import join, leave
from shared.reconcile import bring_up
from shared.recovery import audit
from shared.recovery.plan import RebuildRequest, RollbackRequest
from shared.recovery.steps import (
    STARTED,
    UNFINISHED,
    cancel_name,
    new_rebuild_id,
    report_name,
    report_names,
    require_documents,
    tidy_up,
    write_report,
)
from shared.telemetry import given_up

RUNNING = frozenset({OrchestrationStatus.PENDING, OrchestrationStatus.RUNNING, OrchestrationStatus.SUSPENDED})
BEYOND_CANCELLING = frozenset({"swapping", "following", "retiring", "completed"})
LATEST = "latest"
START_LOCK = "rebuild-start"
MOST_RESUMES = 3  # what ends the host every time shall be looked at by a person
RESUMER = "warmlake"  # who resumes, for the audit record
STOP_SECONDS = 30  # longest wait for a cancelled orchestration to end
ROLLBACK_SECONDS = 40.0  # each for withdrawing, for converging, and for converging after: within one HTTP call
SHOWN_REPORTS = 20


async def start_rebuild(
    services: Services, client: df.DurableFunctionsClient, request: RebuildRequest, who: str
) -> dict[str, Any]:
    """Start a rebuild and return its id. Raises Conflict while another one runs, Refused where the lake is empty."""
    # The lock closes the gap between looking and starting: of two requests at once, one sees the other's rebuild.
    async with services.state.lease(START_LOCK):
        state = await _state(client)
        if state and state.runtime_status in RUNNING:
            raise Conflict(f"rebuild {_input(state).get('id')} is running; there is one at a time")
        rebuild_id = await _new_id(services)
        await require_documents(services, request)
        if not request.dry_run and (before := await services.state.read(STARTED)) is not None:
            await _close(services, before, f"rebuild {rebuild_id} was started in its place")
        act = "plan" if request.dry_run else "rebuild"
        await audit.record(services.state, act, who, request.reason, rebuild=rebuild_id, request=asdict(request))
        note = {"id": rebuild_id, "request": asdict(request), "started": _now(), "resumes": 0}
        await _schedule(services, client, note, state)
    return {"id": rebuild_id, "status": "running", "url": f"/api/recovery/{rebuild_id}"}


async def resume_interrupted(services: Services, client: df.DurableFunctionsClient) -> str | None:
    """Go on with a rebuild that was accepted and that nothing runs any more; returns its id, or None.

    Where orchestrations are kept in storage they go on by themselves after a crash. This is for what they do not
    survive: the loss of the task hub, a local host's restart, an orchestration that failed without a report. The id
    stays, so whoever follows the rebuild sees it go on.
    """
    async with services.state.lease(START_LOCK):
        note = await services.state.read(STARTED)
        if note is None or await running_rebuild(client):
            return None
        if await _reported(services, note):
            await tidy_up(services, note["id"])
            return None
        if note["resumes"] >= MOST_RESUMES:
            given_up(note["id"], note["resumes"])
            return None
        unfinished = await services.state.read(UNFINISHED)
        own = unfinished is not None and unfinished["rebuild"] == note["id"]
        request = {**note["request"], "resume": note["request"]["resume"] or own}
        note = {**note, "request": request, "resumes": note["resumes"] + 1}
        await audit.record(
            services.state, "resume", RESUMER, "interrupted", rebuild=note["id"], attempt=note["resumes"]
        )
        await _schedule(services, client, note, await _state(client))
    return str(note["id"])


async def _schedule(
    services: Services, client: df.DurableFunctionsClient, note: dict[str, Any], state: OrchestrationState | None
) -> None:
    """Start the orchestration of a rebuild, and note that it was started."""
    start = {
        "id": note["id"],
        "request": note["request"],
        "window": services.settings.rebuild_window,
        "max_failed_share": services.settings.rebuild_max_failed_share,
    }
    # First the note: whatever ends this process from here on, the rebuild is known. A dry run changes nothing, and so
    # neither what is known of a rebuild that was cut off; nobody goes on with a plan.
    if not note["request"]["dry_run"]:
        await services.state.write(STARTED, note)
    try:
        if state:  # a finished instance has to go before its id can be used again
            await client.purge_orchestration(names.REBUILD_INSTANCE, recursive=True)
        await client.schedule_new_orchestration(names.REBUILD, input=start, instance_id=names.REBUILD_INSTANCE)
    except Exception:
        if note["resumes"] == 0 and not note["request"]["dry_run"]:  # its caller is told that it was not started
            await services.state.remove(STARTED)
        raise


async def _interrupted(services: Services, client: df.DurableFunctionsClient) -> dict[str, Any] | None:
    """Return the note of a rebuild that was accepted, has no report, and is not running; or None."""
    note = await services.state.read(STARTED)
    if note is None or await running_rebuild(client):
        return None
    return None if await _reported(services, note) else dict(note)


async def _reported(services: Services, note: dict[str, Any]) -> bool:
    """Whether the rebuild has its report: then it was cut off, if at all, while it tidied up."""
    return await services.state.read(report_name(note["id"])) is not None


async def _close(services: Services, note: dict[str, Any], why: str) -> None:
    """End an interrupted rebuild that nobody goes on with: it gets a report that says so."""
    if not await _reported(services, note):
        request = note["request"]
        closed = {"reason": request["reason"], "source": request["source"], "started": note["started"]}
        ended = {"id": note["id"], "status": "interrupted", "error": why, "finished": _now(), **closed}
        await write_report(services, ended)
    await tidy_up(services, note["id"])


def _now() -> str:
    return datetime.now(UTC).isoformat()


async def show_rebuild(services: Services, client: df.DurableFunctionsClient, rebuild_id: str) -> dict[str, Any]:
    """Return the progress of the running rebuild, or a finished one's report. Raises NotFound."""
    running = await running_rebuild(client)
    if running and rebuild_id in (LATEST, running.get("id")):
        return running
    interrupted = await _interrupted(services, client)
    if interrupted and rebuild_id in (LATEST, interrupted["id"]):
        return _shown_interrupted(interrupted, await services.state.read(UNFINISHED))
    if rebuild_id == LATEST:
        reports = await report_names(services)
        rebuild_id = reports[-1].split("/")[1] if reports else LATEST
    report = await services.state.read(report_name(rebuild_id)) if rebuild_id.isalnum() else None
    if not isinstance(report, dict):
        raise NotFound(f"there is no rebuild {rebuild_id!r}; /api/recovery/latest shows the last one")
    return report


def _shown_interrupted(note: dict[str, Any] | None, unfinished: dict[str, Any] | None) -> dict[str, Any]:
    """Return what there is to go on with: a rebuild that was cut off, or a generation that one has left unfinished."""
    request = note["request"] if note else {}
    return {
        "id": note["id"] if note else (unfinished or {}).get("rebuild"),
        "status": "interrupted",
        "reason": request.get("reason"),
        "source": request.get("source"),
        "started": note["started"] if note else None,
        "generation": (unfinished or {}).get("generation"),
        "resumes_left": MOST_RESUMES - note["resumes"] if note else 0,
        "resume": 'POST /api/recovery/rebuild {"resume": true}',
    }


async def overview(services: Services, client: df.DurableFunctionsClient) -> dict[str, Any]:
    """Return what an operator starts from: the running rebuild, an interrupted one, generations, the last reports."""
    running, note, unfinished, live, existing, reports = await asyncio.gather(
        running_rebuild(client),
        _interrupted(services, client),
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
        "rebuild_needed": await services.built.rebuild_needed(),
        "running": running,
        "interrupted": _shown_interrupted(note, unfinished) if not running and (note or unfinished) else None,
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
    # Until its first step there is no status of its own; its input has the id from the beginning.
    given = _input(state)
    known = {"id": given.get("id"), "dry_run": bool(given.get("request", {}).get("dry_run"))}
    return {"status": "running", **known, **(_custom(state) or {"phase": "starting"})}


async def cancel_rebuild(
    services: Services, client: df.DurableFunctionsClient, reason: str, who: str
) -> dict[str, Any]:
    """Stop the running or interrupted rebuild and remove its generation; the live one is untouched.

    Raises NotFound when there is none, and Conflict when it is too late: the alias is moving.
    """
    async with services.state.lease(START_LOCK):
        running = await running_rebuild(client)
        note = await _interrupted(services, client)
        unfinished = await services.state.read(UNFINISHED)
        if running is None and unfinished is None and note is None:
            raise NotFound("no rebuild is running or interrupted")
        if running and running["phase"] in BEYOND_CANCELLING:
            raise Conflict(f"rebuild {running['id']} is {running['phase']}; POST /api/recovery/rollback undoes it")
        rebuild_id = (running or note or {}).get("id") or await _new_id(services)
        await audit.record(services.state, "cancel", who, reason, rebuild=rebuild_id)
        await services.state.write(cancel_name(rebuild_id), {"reason": reason})  # a swap to come looks for it
        await leave(services)
        if running:
            await client.terminate_orchestration(names.REBUILD_INSTANCE, output="cancelled", recursive=True)
            await client.wait_for_orchestration_completion(names.REBUILD_INSTANCE, timeout=STOP_SECONDS)
        if not (running and running["dry_run"]):  # a dry run has made nothing; what another one left stays
            await _remove_unfinished(
                services, (running or {}).get("generation") or (unfinished or {}).get("generation")
            )
        report = {**(running or {}), "id": rebuild_id, "status": "cancelled", "error": reason or "cancelled"}
        report["finished"] = _now()
        await write_report(services, report)
    return report


async def _remove_unfinished(services: Services, generation: str | None) -> None:
    """Remove the generation of a rebuild that was ended. Raises Conflict when it answers already."""
    if generation is not None:
        if generation == await services.generations.live():
            raise Conflict("the rebuild had just moved the alias; POST /api/recovery/rollback undoes it")
        await services.generations.delete(generation)
    await services.state.remove(UNFINISHED)


async def rollback(
    services: Services, client: df.DurableFunctionsClient, request: RollbackRequest, who: str
) -> dict[str, Any]:
    """Let an earlier generation answer again: the one named, or the newest verified one beside the live one.

    What changed in the lake since it was left is converged in it first, as far as the time allows, and the rest after;
    the answer says what that was.

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
        if (note := await services.state.read(STARTED)) is not None:
            await _close(services, note, f"{target} was let to answer instead")
        # Since the generation was left, documents were deleted and closed to people: not one of them may answer again.
        # That comes first and costs little; new content follows, before the alias moves and after.
        await join(services, target)
        try:
            withdrawn = await _bring_up(services, target, afresh=True, content=False)
            before = await _bring_up(services, target, afresh=True)
            await services.generations.go_live(target)
        finally:
            await leave(services)
        after = await _bring_up(services, target)
    done = {"withdrawn": withdrawn, "before": before, "after": after}
    return {"generation": target, "previous": live, **done}


async def _bring_up(services: Services, generation: str, **how: bool) -> dict[str, Any]:
    """Make a generation what the lake is, for a third of the time that a call has; returns what was found and done.

    A lake that cannot be read keeps nobody from going back: the answer says that nothing was compared.
    """
    shown = ("documents", "found", "results", "finished")
    try:
        report = await bring_up(services, generation, ROLLBACK_SECONDS, **how)
    except (AzureError, WarmlakeError) as error:
        return {"documents": 0, "found": {}, "results": {}, "finished": False, "error": str(error)}
    return {name: report[name] for name in shown}


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
    return _object(state.serialized_custom_status)


def _input(state: OrchestrationState) -> dict[str, Any]:
    return _object(state.serialized_input)


def _object(serialized: str | None) -> dict[str, Any]:
    value = json.loads(serialized) if serialized else None
    return value if isinstance(value, dict) else {}
