"""What a person sees of the region: which generation answers, what it holds, what is wrong."""

import asyncio
from typing import Any

from azure.core.exceptions import AzureError

from shared.clients import Services
from shared.errors import NotReady, WarmlakeError
from shared.lake.replica import last_sync_time
from shared.reconcile import last_report

REPLICA_SECONDS = 2.0  # a replica that does not answer must not hold up the status


async def status(services: Services, rebuild: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return region, generation, counts, newest version, lags, models and problems, as JSON-ready data.

    `rebuild` is the progress of the one that is running.
    """
    settings = services.settings
    problems, reconciled, last_change, synced, rebuild_needed = await asyncio.gather(
        services.indexer.problems.count(),
        last_report(services),
        services.freshness.last(),
        _last_sync_time(services),
        services.built.rebuild_needed(),
    )
    view: dict[str, Any] = {
        "region": settings.region,
        "ready": False,
        "generation": None,
        "documents": 0,
        "chunks": 0,
        "newest": None,
        "model": settings.openai_model,
        "embedding_model": settings.openai_embedding_model,
        "pipeline": services.pipeline,
        "rebuild_needed": rebuild_needed,
        "problems": problems,
        # How long the last change took from the lake into the index, which change, and when.
        "index_lag_seconds": last_change and last_change["seconds"],
        "last_change": last_change,
        "last_sync_time": synced,
        "rebuild": rebuild,
        "reconciled": reconciled,
    }
    try:
        generation = await services.generations.require_live()
    except NotReady:
        return view
    client = services.search_client(generation)
    heads = await client.search(
        search_text="*",
        filter="ordinal eq 0",
        order_by=["last_modified desc"],
        select=["path", "version_id", "last_modified"],
        include_total_count=True,
        top=1,
    )
    newest = [head async for head in heads]
    view.update(
        ready=True,
        generation=generation,
        documents=await heads.get_count(),
        chunks=await client.get_document_count(),
    )
    if newest:
        view["newest"] = {name: newest[0][name] for name in ("path", "version_id", "last_modified")}
    return view


async def _last_sync_time(services: Services) -> str | None:
    """Return up to when the lake's replica has every write, or None where there is no replica or it cannot say."""
    try:
        async with asyncio.timeout(REPLICA_SECONDS):
            return (await last_sync_time(services.lake_replica_account)).isoformat()
    except (AzureError, WarmlakeError, TimeoutError):
        return None
