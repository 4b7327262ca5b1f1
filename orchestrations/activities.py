"""The activities of a rebuild: each unpacks its input, calls one step of `shared.recovery`, and packs the result."""

from dataclasses import asdict
from typing import Any

import azure.durable_functions as df

from orchestrations import names
from orchestrations.names import Payload
from shared.clients import services
from shared.errors import Refused
from shared.recovery import steps
from shared.recovery.plan import RebuildPlan, RebuildRequest

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
    await steps.create_generation(services(), RebuildPlan(**plan))


@bp.activity_trigger(input_name="page", activity=names.INDEX_PAGE)
async def index_page(page: Payload) -> dict[str, Any]:
    """Converge one page."""
    return asdict(await steps.index_page(services(), page["generation"], page["id"], page["number"]))


@bp.activity_trigger(input_name="generation", activity=names.CATCH_UP)
async def catch_up(generation: str) -> dict[str, Any]:
    """Converge what differs by now."""
    return asdict(await steps.catch_up(services(), generation))


@bp.activity_trigger(input_name="generation", activity=names.VERIFY_GENERATION)
async def verify_generation(generation: str) -> dict[str, Any]:
    """Compare every document with the lake."""
    return (await steps.verify_generation(services(), generation)).summary()


@bp.activity_trigger(input_name="generation", activity=names.SWAP_ALIAS)
async def swap_alias(generation: str) -> None:
    """Let the generation answer."""
    await steps.swap_alias(services(), generation)


@bp.activity_trigger(input_name="nothing", activity=names.RETIRE_GENERATIONS)
async def retire_generations(nothing: Any) -> list[str]:
    """Delete generations that are no longer kept."""
    return await steps.retire_generations(services())


@bp.activity_trigger(input_name="report", activity=names.WRITE_REPORT)
async def write_report(report: Payload) -> None:
    """Keep the report."""
    await steps.write_report(services(), report["id"], report)
