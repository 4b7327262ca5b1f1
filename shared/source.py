"""One side of the lake that an index can be built from: the primary, or the replica in the other region."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime

from azure.storage.blob.aio import BlobServiceClient

from shared.embeddings.store import EmbeddingStore
from shared.lake.container import Lake
from shared.lake.model import LakeDocument
from shared.lake.replica import Cut, Newer, last_sync_time
from shared.sync import Indexer


@dataclass(frozen=True, slots=True)
class View:
    """The lake as it is to be indexed.

    `moment` is the cut (Last Sync Time) on the replica, None on the primary. `newer` fills while `documents` is read:
    what was written after the cut.
    """

    documents: Callable[[], AsyncIterator[LakeDocument]]
    moment: datetime | None = None
    newer: Newer = field(default_factory=Newer)


@dataclass(frozen=True, slots=True)
class Source:
    """Documents, stored embeddings and what indexes them, all read at the same side."""

    account: BlobServiceClient
    lake: Lake
    store: EmbeddingStore
    indexer: Indexer
    replica: bool

    async def view(self) -> View:
        """Return the lake as it is now, or on the replica as it was at Last Sync Time."""
        if not self.replica:
            return View(self.lake.list)
        cut = Cut(self.lake, await last_sync_time(self.account))
        return View(cut.list, cut.moment, cut.newer)
