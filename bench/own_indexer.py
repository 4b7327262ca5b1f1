"""The app's own indexing as a process that a benchmark tells what to do, line by line, and may kill.

A line with `changes` has paths that changed in the lake, as events have them; one with `whole` asks for what the timer
does: compare the lake with the index. `rebuild` asks for a new generation: planned, indexed, verified, swapped.
"""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from shared.clients import Services
from shared.reconcile import reconcile
from shared.recovery import steps
from shared.recovery.compare import faults
from shared.recovery.plan import RebuildRequest
from shared.settings import Settings


async def follow(services: Services, changes: list[dict[str, Any]]) -> None:
    """Converge what changed, several documents at once, as the triggers do."""
    live = await services.generations.require_live()
    slots = asyncio.Semaphore(services.settings.converge_concurrency)

    async def one(path: str) -> None:
        async with slots:
            await services.indexer.converge(path, live)

    await asyncio.gather(*(one(change["path"]) for change in changes))


async def rebuild(services: Services) -> None:
    """Do what the orchestration of a rebuild does, in its order."""
    request = RebuildRequest("bench", "primary", dry_run=False, force=True, resume=False)
    plan = await steps.plan_rebuild(services, request, steps.new_rebuild_id(datetime.now(UTC)))
    await steps.create_generation(services, plan)
    for number in range(plan.pages):
        await steps.index_page(services, plan, number)
    await steps.catch_up(services, plan, 1)
    for number in range(plan.pages):
        if wrong := faults((await steps.verify_page(services, plan, number))["summary"]):
            raise RuntimeError(f"{wrong} documents of page {number} are not as in the lake")
    await steps.join_live(services, plan)
    await steps.swap_alias(services, plan)


async def begin(services: Services) -> None:
    """Let an empty generation answer where none does."""
    if await services.generations.live() is None:
        first = services.generations.name_at(datetime.now(UTC))
        await services.generations.create(first)
        await services.generations.go_live(first)


async def act(services: Services, asked: dict[str, Any]) -> None:
    """Do what a line asks for."""
    if asked.get("rebuild"):
        await rebuild(services)
        return
    await begin(services)
    if asked.get("whole"):
        report = await reconcile(services)
        if report["failed"]:
            raise RuntimeError(f"not reconciled: {report['failed']}")
    else:
        await follow(services, asked["changes"])


async def main() -> None:
    """Do what each line says; answer it with one."""
    services = Services(Settings.from_env(os.environ))
    await services.state.create()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            await act(services, json.loads(line))
            print("done", flush=True)
        except Exception as fault:
            print(f"failed: {fault!r}"[:200].replace("\n", " "), flush=True)
    await services.close()


if __name__ == "__main__":
    asyncio.run(main())
