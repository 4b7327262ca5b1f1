"""The activities of a rebuild: each unpacks its input, calls one step of `shared.recovery`, and packs the result."""

from dataclasses import asdict
from typing import Any

import azure.durable_functions as df

from orchestrations import names
from orchestrations.names import Payload
from shared.clients import services
from shared.errors import Refused
from shared.recovery import steps
from shared.recovery.plan import RebuildRequest, plan_from

bp = df.Blueprint()


@bp.activity_trigger(input_name="start", activity=names.PLAN_REBUILD)
async def plan_rebuild(start: Payload) -> dict[str, Any]:
    """Plan, or say why not: a refusal is an answer, and trying again would not change it."""
    try:
        plan = await steps.plan_rebuild(services(), RebuildRequest(**start["request"]), start["id"])
    except Refused as refusal:
        return {"refused": str(refusal)}
    return {"plan": asdict(plan)}


@bp.activity_trigger(input_name="plan", activity=names.CREATE_GENERATION)
async def create_generation(plan: Payload) -> None:
    """Create the generation."""
    await steps.create_generation(services(), plan_from(plan))


@bp.activity_trigger(input_name="page", activity=names.INDEX_PAGE)
async def index_page(page: Payload) -> dict[str, Any]:
    """Converge one page: the one with a number, or the one at a position in a catch-up round."""
    plan, number = plan_from(page["plan"]), page["number"]
    if page["round"] is not None:
        number = await steps.changed_page(services(), plan.id, page["round"], number)
    return asdict(await steps.index_page(services(), plan, number))


@bp.activity_trigger(input_name="round", activity=names.CATCH_UP)
async def catch_up(round: Payload) -> int:
    """List the lake again; returns how many pages changed."""
    return await steps.catch_up(services(), plan_from(round["plan"]), round["round"])


@bp.activity_trigger(input_name="page", activity=names.VERIFY_PAGE)
async def verify_page(page: Payload) -> dict[str, Any]:
    """Compare one page with the lake."""
    return await steps.verify_page(services(), plan_from(page["plan"]), page["number"])


@bp.activity_trigger(input_name="plan", activity=names.PROBE)
async def probe(plan: Payload) -> list[dict[str, str]]:
    """Ask the probe questions; returns those that failed."""
    return await steps.probe(services(), plan_from(plan))


@bp.activity_trigger(input_name="plan", activity=names.JOIN_LIVE)
async def join_live(plan: Payload) -> dict[str, Any]:
    """Let the generation take up every change, and converge what changed since the last listing."""
    try:
        return asdict(await steps.join_live(services(), plan_from(plan)))
    except Refused as refusal:
        return {"refused": str(refusal)}


@bp.activity_trigger(input_name="plan", activity=names.SWAP_ALIAS)
async def swap_alias(plan: Payload) -> dict[str, Any]:
    """Let the generation answer, unless the rebuild was cancelled meanwhile."""
    try:
        await steps.swap_alias(services(), plan_from(plan))
    except Refused as refusal:
        return {"refused": str(refusal)}
    return {}


@bp.activity_trigger(input_name="plan", activity=names.FOLLOW_LIVE)
async def follow_live(plan: Payload) -> dict[str, Any]:
    """Converge what may have been left behind in the moment of the swap."""
    return asdict(await steps.follow_live(services(), plan_from(plan)))


@bp.activity_trigger(input_name="nothing", activity=names.RETIRE_GENERATIONS)
async def retire_generations(nothing: Any) -> list[str]:
    """Delete generations that are no longer kept."""
    return await steps.retire_generations(services())


@bp.activity_trigger(input_name="report", activity=names.WRITE_REPORT)
async def write_report(report: Payload) -> None:
    """Keep the report."""
    await steps.write_report(services(), report)
