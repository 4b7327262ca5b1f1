"""The garbage collector of the embedding store: marks what nothing refers to, and removes it a grace period later.

A record is needed while a pointer names it; a pointer is needed while the lake has its document. What is not needed
is first *marked* with the time, in its metadata. A later run removes it when the mark is older than the grace period
and it is still not needed; what has come into use again loses its mark.

Why a concurrent writer loses nothing. A worker that is about to point to a record it did not write *adopts* it, which
removes a mark and so changes the ETag. Every change here is bound to the ETag that was listed, before the pointers
were read. So: adopted after the listing, the removal fails and the record stays; removed before the adoption, the
worker finds no record and makes it again. A record that was not marked when it was adopted cannot be removed before
the grace period is over, and by then its pointer is written: hence the least grace period.
"""

import logging
from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient

from shared.embeddings.store import UNNEEDED_SINCE
from shared.errors import Refused
from shared.listing import ListedBlob, list_blobs

logger = logging.getLogger(__name__)

LEAST_GRACE = timedelta(hours=1)  # far longer than a worker takes from adopting a record to pointing to it

type Decision = Literal["keep", "mark", "unmark", "remove"]


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run found and did; with `dry_run`, what it would have done. `raced` counts what changed underneath."""

    dry_run: bool = False
    pointers: int = 0
    records: int = 0
    marked: int = 0
    unmarked: int = 0
    removed_pointers: int = 0
    removed_records: int = 0
    removed_bytes: int = 0
    raced: int = 0


def decide(needed: bool, marked: datetime | None, now: datetime, grace: timedelta) -> Decision:
    """Return what happens to a blob that is needed or not, and was marked at a time or not."""
    if needed:
        return "keep" if marked is None else "unmark"
    if marked is None:
        return "mark"
    return "remove" if now - marked >= grace else "keep"


async def collect(
    container: ContainerClient,
    pipeline: str,
    living: Set[str],
    now: datetime,
    grace: timedelta,
    *,
    dry_run: bool = False,
    force: bool = False,
) -> Collected:
    """Collect the garbage of one pipeline; returns what was done.

    `living` has the ids of all documents that the lake has; count those that can still be undeleted, and their
    restoration costs nothing. Raises ValueError for a grace period below LEAST_GRACE, and Refused when the lake seems
    empty while there are pointers, unless forced: an empty listing is more often a fault than a fact.
    """
    if grace < LEAST_GRACE:
        raise ValueError(f"a grace period of {grace} is too short; at least {LEAST_GRACE}")
    run = _Run(container, now, grace, Collected(dry_run))
    # Records before pointers: a pointer written later is to a record that is new, or adopted after this listing.
    records = [item async for item in list_blobs(container, f"{pipeline}/records/", ("metadata",))]
    pointers = [item async for item in list_blobs(container, f"{pipeline}/pointers/", ("metadata",))]
    if pointers and not living and not force:
        raise Refused(f"the lake lists no document but the store has {len(pointers)} pointers; force if that is true")
    needed = await run.pointers(pointers, living)
    if needed is None:
        return run.done  # a pointer that cannot be read may name any record
    await run.records(records, needed)
    logger.info("embedding_store collected=%s", run.done)
    return run.done


class _Run:
    """One run: `done` is its account so far."""

    def __init__(self, container: ContainerClient, now: datetime, grace: timedelta, done: Collected) -> None:
        self.done = done
        self._container = container
        self._now = now
        self._grace = grace

    async def pointers(self, items: list[ListedBlob], living: Set[str]) -> set[str] | None:
        """Settle the pointers; returns the names of records that those that stay refer to, or None if one cannot be
        read.
        """
        needed: set[str] = set()
        readable = True
        for item in items:
            removed = await self._settle(item, PurePosixPath(item.name).stem in living, "removed_pointers")
            key = item.metadata.get("content_key")
            if removed:
                continue
            if key is None:
                logger.error("embedding_store damaged=metadata blob=%s; no record is removed", item.name)
                readable = False
            else:
                needed.add(unquote(key))
        self.done = replace(self.done, pointers=len(items))
        return needed if readable else None

    async def records(self, items: list[ListedBlob], needed: Set[str]) -> None:
        """Settle the records."""
        for item in items:
            await self._settle(item, PurePosixPath(item.name).name in needed, "removed_records")
        self.done = replace(self.done, records=len(items))

    async def _settle(self, item: ListedBlob, needed: bool, counter: str) -> bool:
        """Do what is decided for one blob; returns whether it is gone."""
        decision = decide(needed, _marked(item), self._now, self._grace)
        if decision == "keep":
            return False
        if not self.done.dry_run and not await self._act(item, decision):
            self._count("raced")
            return False
        if decision == "remove":
            self._count(counter)
            self._count("removed_bytes", item.size)
            return True
        self._count(f"{decision}ed")
        return False

    async def _act(self, item: ListedBlob, decision: Decision) -> bool:
        """Change the blob if it is still as listed; returns whether it was."""
        blob = self._container.get_blob_client(item.name)
        condition: dict[str, Any] = {"etag": item.etag, "match_condition": MatchConditions.IfNotModified}
        others = {name: value for name, value in item.metadata.items() if name != UNNEEDED_SINCE}
        try:
            if decision == "remove":
                await blob.delete_blob(**condition)
            elif decision == "mark":
                await blob.set_blob_metadata({**others, UNNEEDED_SINCE: self._now.isoformat()}, **condition)
            else:
                await blob.set_blob_metadata(others, **condition)
        except (ResourceModifiedError, ResourceNotFoundError):
            return False
        return True

    def _count(self, name: str, more: int = 1) -> None:
        self.done = replace(self.done, **{name: getattr(self.done, name) + more})


def _marked(item: ListedBlob) -> datetime | None:
    """Return when the blob was marked; a mark that is no time counts as none, and is made anew."""
    try:
        return datetime.fromisoformat(item.metadata[UNNEEDED_SINCE])
    except (KeyError, ValueError):
        return None
