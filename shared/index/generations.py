"""Generations and the alias: which search index answers, and which are kept.

A generation is the index `{base}-{yyyymmddhhmmss}`. The alias `{base}` names the one that answers. It moves only after
verification, so "the alias resolves" means "complete and verified".
"""

import re
from datetime import UTC, datetime

from azure.core.exceptions import ResourceNotFoundError
from azure.search.documents.indexes.aio import SearchIndexClient
from azure.search.documents.indexes.models import SearchAlias

from shared.errors import NotReady
from shared.index.schema import index_definition


class Generations:
    """The generations of one base name on one search service."""

    def __init__(self, client: SearchIndexClient, base: str, dimensions: int) -> None:
        self._client = client
        self._base = base
        self._dimensions = dimensions

    @property
    def alias(self) -> str:
        """The alias by which the live generation is read."""
        return self._base

    async def live(self) -> str | None:
        """Return the name of the generation that answers, or None when none has been verified yet."""
        try:
            alias = await self._client.get_alias(self._base)
        except ResourceNotFoundError:
            return None
        return alias.indexes[0] if alias.indexes else None

    async def require_live(self) -> str:
        """Return the live generation. Raises NotReady where there is none."""
        live = await self.live()
        if live is None:
            raise NotReady(
                f"the alias {self._base!r} names no generation yet; start one with POST /api/recovery/rebuild"
            )
        return live

    async def list(self) -> tuple[str, ...]:
        """Return every generation that exists, oldest first; unfinished ones are among them."""
        pattern = re.compile(re.escape(self._base) + r"-\d{14}")
        names = [name async for name in self._client.list_index_names()]
        return tuple(sorted(name for name in names if pattern.fullmatch(name)))

    def name_at(self, moment: datetime) -> str:
        """Return the name of the generation made at `moment` (seconds, UTC)."""
        return f"{self._base}-{moment.astimezone(UTC):%Y%m%d%H%M%S}"

    async def create(self, name: str) -> None:
        """Create the generation; one that exists already stays as it is, so that a second run does no harm."""
        await self._client.create_or_update_index(index_definition(name, self._dimensions))

    async def go_live(self, name: str) -> None:
        """Move the alias to the generation, in one step."""
        await self._client.create_or_update_alias(SearchAlias(name=self._base, indexes=[name]))

    async def delete(self, name: str) -> None:
        """Delete the generation; one that is gone already is fine."""
        await self._client.delete_index(name)
