"""Try quarantined documents again: after a limit was raised, a reader mended, or just because a person asks."""

import logging
from typing import Any

from shared.bounded import said, within
from shared.clients import Services
from shared.errors import BadRequest, NotFound, NotReady
from shared.follow import converge_everywhere
from shared.reconcile import RUN_SECONDS
from shared.recovery.plan import parse_object
from shared.recovery.steps import unfinished_generation
from shared.sync import Outcome

logger = logging.getLogger(__name__)

FIELDS = frozenset({"path"})


def parse_retry_request(body: bytes) -> str | None:
    """Return the path that is to be tried again, or None for every quarantined document. Raises BadRequest."""
    path = parse_object(body, FIELDS, '{"path": "folder/file.pdf"}').get("path")
    if path is not None and (not isinstance(path, str) or not path):
        raise BadRequest(f"path must be the path of a document, not {path!r}")
    return path


async def retry(services: Services, path: str | None, run_seconds: float = RUN_SECONDS) -> dict[str, Any]:
    """Converge one quarantined document or all of them, although they are known to be unreadable.

    Returns what became of each, also where a service failed, and how many are `left` for another call because the time
    was over. Where no generation answers yet, the one that a rebuild has left unfinished is converged.

    Raises NotFound when the path is not quarantined, NotReady when there is no generation at all.
    """
    quarantined = [problem.path for problem in await services.indexer.problems.list()]
    if path is not None and path not in quarantined:
        raise NotFound(f"{path!r} is not quarantined; GET /api/documents/problems lists what is")

    async def one(which: str) -> Outcome:
        outcome = await converge_everywhere(services, which, retry_problems=True)
        if outcome is None:
            unfinished = await unfinished_generation(services)
            if unfinished is None:
                raise NotReady("there is no generation yet; start one with POST /api/recovery/rebuild")
            outcome = await services.indexer.converge(which, unfinished, retry_problems=True)
        return outcome

    paths = [path] if path else quarantined
    outcomes = await within(run_seconds, paths, one, services.settings.converge_concurrency)
    for outcome in outcomes:
        if isinstance(outcome, NotReady):
            raise outcome
    shown = [_shown(which, outcome) for which, outcome in zip(paths, outcomes, strict=True) if outcome is not None]
    return {"retried": shown, "left": outcomes.count(None)}


def _shown(path: str, outcome: Outcome | BaseException) -> dict[str, Any]:
    if isinstance(outcome, BaseException):
        logger.warning("retry document=%s fault=%r", path, outcome)
        return {"path": path, "result": "failed", "reason": said(outcome), "embedded": 0}
    return {"path": path, "result": outcome.result, "reason": outcome.reason, "embedded": outcome.embedded}
