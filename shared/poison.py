"""Documents whose events failed again and again: they are put where a person sees them, and tried by the reconciler."""

import json
import logging
from datetime import UTC, datetime

from shared.clients import Services
from shared.errors import WarmlakeError
from shared.follow import converge_everywhere
from shared.lake.model import is_document, path_of_event
from shared.problems import Problem

logger = logging.getLogger(__name__)

REASON = "failed"


def path_of_message(body: bytes, container: str) -> str | None:
    """Return the path that a poisoned message is about; None when it is about another container or about no document.

    The blob trigger's messages name container and blob; those of the deletions are Event Grid's own. Raises ValueError
    for anything else.
    """
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError(f"a poisoned message is no object: {body[:200]!r}")
    if "BlobName" in value:
        path = value["BlobName"] if value.get("ContainerName") == container else None
    else:
        path = path_of_event(value, container)
    return path if path is not None and is_document(path) else None


async def give_up(services: Services, body: bytes) -> str | None:
    """Try the document of a poisoned message once more, and list it as a problem when that fails too.

    Returns the fault, None when all is well. The entry names no version, so the next event, the reconciler or a retry
    tries again.
    """
    path = path_of_message(body, services.settings.lake_container)
    if path is None:
        return None
    try:
        await converge_everywhere(services, path)  # without a generation, the rebuild to come sees the lake as it is
    except Exception as fault:
        logger.exception("poison document=%s", path)
        await services.indexer.problems.record(_problem(services, path, fault))
        return str(fault)
    return None


def _problem(services: Services, path: str, fault: Exception) -> Problem:
    told = str(fault) if isinstance(fault, WarmlakeError) else f"{type(fault).__name__}: {fault}"
    return Problem(
        document_id=services.indexer.document_id(path),
        path=path,
        etag="",
        version_id="",
        pipeline=services.pipeline,
        reason=REASON,
        message=f"a service failed at every try, last with: {told}",
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
