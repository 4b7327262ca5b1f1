"""Quarantine: documents that could not be indexed, with the reason an operator sees."""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from shared.state import RegionalState

PREFIX = "problems/"
READS = 16  # entries read at once
LISTINGS = 2  # prefixes that one range is listed by, at most: a few more names cost less than another request
DIGITS = 6  # of an id that a prefix has, at most: with more, no lake has several entries below one


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one version of a document is not in the index. `at` is an ISO time in UTC."""

    document_id: str
    path: str
    etag: str
    version_id: str
    pipeline: str
    reason: str
    message: str
    at: str


class Problems:
    """The list of quarantined documents, one entry a document."""

    def __init__(self, state: RegionalState) -> None:
        self._state = state

    async def record(self, problem: Problem) -> None:
        """Quarantine a version; it replaces what was known of the document before."""
        await self._state.write(f"{PREFIX}{problem.document_id}.json", asdict(problem))

    async def clear(self, document_id: str) -> None:
        """Take the document off the list."""
        await self._state.remove(f"{PREFIX}{document_id}.json")

    async def of(self, document_id: str) -> Problem | None:
        """Return the document's entry, if it has one."""
        value = await self._state.read(f"{PREFIX}{document_id}.json")
        return Problem(**value) if value else None

    async def between(self, start: str, end: str) -> list[Problem]:
        """Return the entries with document ids from `start` (inclusive) to `end` (exclusive), ordered by path."""
        listed = await asyncio.gather(*(self._state.names(f"{PREFIX}{part}") for part in prefixes(start, end)))
        names = [name for part in listed for name in part]
        return await self._read([name for name in names if start <= PurePosixPath(name).stem < end])

    async def count(self) -> int:
        """Return the number of entries."""
        return len(await self._state.names(PREFIX))

    async def _read(self, names: Iterable[str]) -> list[Problem]:
        slots = asyncio.Semaphore(READS)

        async def one(name: str) -> Any:
            async with slots:
                return await self._state.read(name)

        values = await asyncio.gather(*map(one, names))
        return sorted((Problem(**value) for value in values if value), key=lambda problem: problem.path)

    async def list(self) -> list[Problem]:
        """Return every entry, ordered by path."""
        return await self._read(await self._state.names(PREFIX))


def prefixes(start: str, end: str) -> list[str]:
    """Return the beginnings, `LISTINGS` at most, of all ids from `start` to `end`: storage lists by prefix only."""
    found = [""]
    for digits in range(1, DIGITS + 1):
        last = 16**digits - 1
        low = int(start[:digits].ljust(digits, "0"), 16)
        high = last if end > "f" * DIGITS else int(end[:digits].ljust(digits, "0"), 16)
        if high - low >= LISTINGS:
            break
        found = [f"{number:0{digits}x}" for number in range(low, high + 1)]
    return found
