"""The lake's replica in the other region: how far it is, and the lake as it was then.

Geo-replication is asynchronous. Last Sync Time says up to when every write has arrived; newer ones may be there or not.
https://learn.microsoft.com/azure/storage/common/last-sync-time-get
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

from azure.storage.blob.aio import BlobServiceClient

from shared.errors import NotReady
from shared.lake.container import Lake
from shared.lake.model import LakeDocument

SHOWN = 50  # documents listed by path; the count is complete


async def last_sync_time(account: BlobServiceClient) -> datetime:
    """Return up to when the replica has every write, in UTC. Raises NotReady while the service cannot say."""
    stats = await account.get_service_stats()
    replication = stats["geo_replication"]
    moment = replication["last_sync_time"]
    if moment is None:
        raise NotReady(f"the replica has no Last Sync Time; its state is {replication['status']!r}")
    return moment  # type: ignore[no-any-return]


@dataclass(slots=True)
class Newer:
    """What was written after a cut: how many documents, and the first of them in the order of paths."""

    count: int = 0
    first: list[LakeDocument] = field(default_factory=list)

    def add(self, document: LakeDocument) -> None:
        """Count one."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(document)


class Cut:
    """The lake as it was at a moment. `newer` counts what was written after it, as the listing goes."""

    def __init__(self, lake: Lake, moment: datetime) -> None:
        self.newer = Newer()
        self.moment = moment
        self._lake = lake

    async def list(self) -> AsyncIterator[LakeDocument]:
        """Yield every document at its newest version that is not newer than the cut."""
        async for then, newer in self._lake.list_at(self.moment):
            if newer is not None:
                self.newer.add(newer)
            if then is not None:
                yield then
