"""The app with one known bug of its peers each. A suite that lets one of them pass is worth nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from shared.index.chunks import Chunks
from shared.index.schema import IndexedChunk
from shared.index.writer import BulkWriter
from shared.lake.model import LakeDocument
from shared.state import Lease, RegionalState
from shared.sync import Outcome, Prepared
from tests.soak.watch import document_of
from tests.soak.world import Variant, Watched


class DeletesFirst(Watched):
    """Takes the old chunks away before it writes the new ones."""

    async def _write(self, ready: Prepared, index: Chunks) -> Outcome:
        await index.delete(chunk.id for chunk in ready.have)
        return await super()._write(replace(ready, have=()), index)


class MarksFirst(Watched):
    """Notes a version as done before it is, and trusts the note."""

    async def _step(
        self,
        path: str,
        key: str,
        document: LakeDocument | None,
        have: tuple[IndexedChunk, ...],
        index: Chunks,
        retry_problems: bool,
    ) -> Outcome:
        etag = document.etag if document else ""
        if await self._state.read(f"done/{key}.json") == etag:
            return Outcome(path, "unchanged")
        await self._state.write(f"done/{key}.json", etag)
        return await super()._step(path, key, document, have, index, retry_problems)


class TrustsTheEvent(Watched):
    """Indexes what the event is about, not what the lake holds by now: an old event undoes a newer one."""

    async def _converge_held(self, path: str, key: str, index: Chunks, retry_problems: bool, rewrite: bool) -> Outcome:
        if self.event is None:  # the reconciler has no event
            return await super()._converge_held(path, key, index, retry_problems, rewrite)
        document = document_of(self.event.blob) if self.event.blob else None
        return await self._step(path, key, document, await index.of_document(key), index, retry_problems)


class OverwritesInPlace(Watched):
    """Gives chunks the number of their place as key, as most peers do: a new version is written over the old one."""

    async def _write(self, ready: Prepared, index: Chunks) -> Outcome:
        want = [replace(chunk, id=f"{ready.key}-{chunk.ordinal}") for chunk in ready.want]
        await index.upload(want, ready.loaded.record.vectors)
        await index.delete({chunk.id for chunk in ready.have} - {chunk.id for chunk in want})
        return Outcome(ready.document.path, "indexed", len(want))


class _Credulous:
    """A search client whose every accepted batch has only accepted actions."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def index_documents(self, batch: Any, **options: Any) -> list[Any]:
        """Send a batch, and do not look at what became of its actions."""
        results = await self._client.index_documents(batch, **options)
        return [SimpleNamespace(key=result.key, succeeded=True) for result in results]


class TakesBatchForActions(BulkWriter):
    """Takes an accepted batch for accepted actions."""

    def __init__(self, client: Any, concurrency: int) -> None:
        super().__init__(cast(Any, _Credulous(client)), concurrency)


class LetsEverybodyIn(RegionalState):
    """Has locks that do not lock."""

    @contextlib.asynccontextmanager
    async def lease(self, name: str, wait_seconds: float = 60.0) -> AsyncIterator[Lease]:
        """Let the caller in."""
        held = Lease(name)
        held.renewed(asyncio.get_running_loop().time() + 1e6)
        yield held


class NeverDoubtsItsLease(RegionalState):
    """Goes on writing after its lock has lapsed."""

    @contextlib.asynccontextmanager
    async def lease(self, name: str, wait_seconds: float = 60.0) -> AsyncIterator[Lease]:
        """Take the lock, and trust it for ever."""
        async with super().lease(name, wait_seconds) as held:
            held.renewed(asyncio.get_running_loop().time() + 1e6)
            yield held


PLANTED = (
    Variant("deletes old chunks first", indexer=DeletesFirst),
    Variant("marks a version as done first", indexer=MarksFirst),
    Variant("trusts the event", indexer=TrustsTheEvent),
    Variant("writes new chunks over old ones", indexer=OverwritesInPlace),
    Variant("does not look at the status of actions", writer=TakesBatchForActions),
    Variant("has no lock", state=LetsEverybodyIn),
    Variant("writes after its lock has lapsed", state=NeverDoubtsItsLease),
)
