"""Remove from the embedding store what no document in the lake needs, a grace period after it was last needed."""

import logging
from datetime import UTC, datetime, timedelta

from shared.clients import Services
from shared.embeddings.collector import Collected, collect

logger = logging.getLogger(__name__)


async def collect_unneeded(services: Services, now: datetime | None = None) -> Collected | None:
    """Collect once; returns what was done, None where nothing may be written to the lake's account.

    One run at a time in a region: raises Throttled while another one goes on. Runs in two regions do no harm to each
    other, since every change is bound to what was listed.
    """
    settings = services.settings
    if settings.lake_read_only:
        logger.info("embedding_store collected=nothing reason=LAKE_READ_ONLY")
        return None
    async with services.state.lease("collect", wait_seconds=0.0):
        living = {services.indexer.document_id(document.path) async for document in services.lake.list()}
        store = services.lake_account.get_container_client(settings.embeddings_container)
        grace = timedelta(hours=settings.embedding_grace_hours)
        return await collect(store, services.pipeline, living, now or datetime.now(UTC), grace)
