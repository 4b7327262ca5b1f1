"""Try quarantined documents again: after a limit was raised, a reader mended, or just because a person asks."""

import asyncio
from typing import Any

from shared.clients import Services
from shared.errors import BadRequest, NotFound
from shared.recovery.plan import parse_object

FIELDS = frozenset({"path"})


def parse_retry_request(body: bytes) -> str | None:
    """Return the path that is to be tried again, or None for every quarantined document. Raises BadRequest."""
    path = parse_object(body, FIELDS, '{"path": "folder/file.pdf"}').get("path")
    if path is not None and (not isinstance(path, str) or not path):
        raise BadRequest(f"path must be the path of a document, not {path!r}")
    return path


async def retry(services: Services, path: str | None) -> dict[str, Any]:
    """Converge one quarantined document or all of them, although they are known to be unreadable.

    Raises NotFound when the path is not quarantined, NotReady when no generation answers yet.
    """
    generation = await services.generations.require_live()
    quarantined = [problem.path for problem in await services.indexer.problems.list()]
    if path is not None and path not in quarantined:
        raise NotFound(f"{path!r} is not quarantined; GET /api/documents/problems lists what is")
    slots = asyncio.Semaphore(services.settings.converge_concurrency)

    async def one(which: str) -> dict[str, Any]:
        async with slots:
            outcome = await services.indexer.converge(which, generation, retry_problems=True)
            return {"path": which, "result": outcome.result, "reason": outcome.reason, "embedded": outcome.embedded}

    return {"retried": await asyncio.gather(*(one(which) for which in ([path] if path else quarantined)))}
