"""Passages: from search results to what one answer is given. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from shared.index.schema import IndexedChunk

SNIPPET_CHARACTERS = 400
CURRENT = "current"  # stands for a version id where the lake keeps no versions


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result: a chunk and the score that the service gave it."""

    chunk: IndexedChunk
    score: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A numbered passage, as the model and the user see it. `n` counts from 1."""

    n: int
    chunk: IndexedChunk
    score: float

    def citation(self) -> dict[str, Any]:
        """Return the citation: path, title, heading, page, version, snippet and a link that opens that version."""
        chunk = self.chunk
        return {
            "n": self.n,
            "document_id": chunk.document_id,
            "path": chunk.path,
            "title": chunk.title,
            "heading": chunk.heading,
            "page": chunk.page,
            "version_id": chunk.version_id,
            "last_modified": _iso(chunk.last_modified),
            "snippet": chunk.content[:SNIPPET_CHARACTERS],
            "passage": chunk.content,
            "url": version_url(chunk.document_id, chunk.version_id),
        }


def version_url(document_id: str, version_id: str) -> str:
    """Return the app's own link to one version of a document."""
    return f"/api/documents/{document_id}/versions/{quote(version_id or CURRENT, safe='')}"


def visible(hits: Iterable[Hit], groups: frozenset[str]) -> list[Hit]:
    """Keep what a caller in `groups` may see. The search filter has done so already; a fault there must not leak."""
    return [hit for hit in hits if not hit.chunk.allowed_groups or groups & set(hit.chunk.allowed_groups)]


def newest_versions(hits: Iterable[Hit]) -> list[Hit]:
    """Drop superseded versions: where hits hold several versions of one document, only the newest one's stay."""
    found = list(hits)
    newest: dict[str, tuple[datetime, str]] = {}
    for hit in found:
        version = (hit.chunk.last_modified, hit.chunk.version_id)
        newest[hit.chunk.document_id] = max(version, newest.get(hit.chunk.document_id, version))
    return [hit for hit in found if (hit.chunk.last_modified, hit.chunk.version_id) == newest[hit.chunk.document_id]]


def choose(
    hits: Sequence[Hit], most: int, token_budget: int, count_tokens: Callable[[str], int]
) -> tuple[Passage, ...]:
    """Take hits in their order while they fit the budget, at most `most`; equal texts are taken once.

    The first is always taken: an answer from one long passage beats none.
    """
    chosen: list[Passage] = []
    seen: set[str] = set()
    used = 0
    for hit in hits:
        if len(chosen) == most:
            break
        text = " ".join(hit.chunk.content.split())
        cost = count_tokens(hit.chunk.content)
        if text in seen or (chosen and used + cost > token_budget):
            continue
        seen.add(text)
        used += cost
        chosen.append(Passage(len(chosen) + 1, hit.chunk, hit.score))
    return tuple(chosen)


def access_filter(groups: frozenset[str]) -> str:
    """Return the OData filter for a caller in `groups`: documents without groups, or with one of the caller's."""
    everybody = "not allowed_groups/any()"
    if not groups:
        return everybody
    names = "|".join(sorted(groups)).replace("'", "''")
    return f"({everybody} or allowed_groups/any(g: search.in(g, '{names}', '|')))"


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
