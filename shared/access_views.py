"""What operators' views show to whom: a path is shown only to those who may see the document there.

Counts are for everybody, so that a problem is never invisible; its name is not.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from azure.core.exceptions import AzureError

from shared.access import Access
from shared.clients import Services
from shared.errors import NotReady
from shared.identity import OPERATOR_ROLE, Caller

HIDDEN = "a document that is not open to you"
LOOKS = 8  # documents asked for at once
LOOK_SECONDS = 3.0  # a lake that does not answer by then is away: what is not known to be open is not shown
# What everybody sees of a reconciler's report. The rest are names of documents and what became of them.
RECONCILED = ("started", "generation", "documents", "found", "results", "finished", "ended")
NAMES = ("document_id", "path", "etag", "version_id")  # of a problem: what leads to the document


async def shown_problems(services: Services, who: Caller) -> list[dict[str, Any]]:
    """Return the quarantined documents; of those that the caller may not see only when and why. Operators see all."""
    entries = [asdict(problem) for problem in await services.indexer.problems.list()]
    if OPERATOR_ROLE in who.roles:
        return entries
    open_ = await open_paths(services, who.groups, (entry["path"] for entry in entries))
    return [entry if entry["path"] in open_ else _hidden(entry) for entry in entries]


async def shown_status(services: Services, view: dict[str, Any], who: Caller) -> dict[str, Any]:
    """Return a region's status without the paths that the caller may not see. Operators see all."""
    if OPERATOR_ROLE in who.roles:
        return view
    if view["reconciled"]:
        view = {**view, "reconciled": {name: view["reconciled"][name] for name in RECONCILED}}
    named = [name for name in ("newest", "last_change") if view[name]]
    open_ = await open_paths(services, who.groups, (view[name]["path"] for name in named))
    closed = {name: {**view[name], "path": None} for name in named if view[name]["path"] not in open_}
    return {**view, **closed}


async def open_paths(services: Services, groups: frozenset[str], paths: Iterable[str]) -> frozenset[str]:
    """Return those of some paths whose documents are open to a caller in `groups`: as the lake has them now, and as
    they are indexed, which is an earlier version while that of the lake cannot be read.
    """
    try:
        access = await services.access_rules.access(groups)
    except NotReady:
        return frozenset()
    slots = asyncio.Semaphore(LOOKS)

    async def look(path: str) -> str | None:
        async with slots:
            return path if await _is_open(services, access, path) else None

    found = await asyncio.gather(*(look(path) for path in set(paths)))
    return frozenset(path for path in found if path is not None)


async def _is_open(services: Services, access: Access, path: str) -> bool:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            document, closed = await asyncio.gather(services.lake.head(path), _is_closed(services, access, path))
    except (AzureError, TimeoutError):
        return False
    return document is not None and access.allows(document) and not closed


async def _is_closed(services: Services, access: Access, path: str) -> bool:
    """Whether something of the document is indexed that the caller may not see."""
    generation = await services.generations.live()
    if generation is None:
        return False
    results = await services.search_client(generation).search(
        search_text="*",
        filter=f"document_id eq '{services.indexer.document_id(path)}' and not ({access.filter()})",
        select=["id"],
        top=1,
    )
    return bool([result async for result in results])


def _hidden(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, **dict.fromkeys(NAMES, ""), "message": HIDDEN}
