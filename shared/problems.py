"""Quarantine: documents that could not be indexed, with the reason an operator sees."""

from dataclasses import asdict, dataclass

from shared.state import RegionalState

PREFIX = "problems/"


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

    async def list(self) -> list[Problem]:
        """Return every entry, ordered by path."""
        values = [await self._state.read(name) for name in await self._state.names(PREFIX)]
        return sorted((Problem(**value) for value in values if value), key=lambda problem: problem.path)
