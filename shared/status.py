"""What a person sees of the region: which generation answers, what it holds, what is wrong."""

from typing import Any

from shared.clients import Services
from shared.errors import NotReady
from shared.reconcile import last_report


async def status(services: Services) -> dict[str, Any]:
    """Return region, generation, counts, newest version, models and problems, as JSON-ready data."""
    settings = services.settings
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
        "problems": len(await services.indexer.problems.list()),
        "reconciled": await last_report(services),
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
