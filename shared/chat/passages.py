"""Passages: from search results to what one answer is given. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from shared.chat.duplicates import Fingerprint, fingerprint
from shared.index.schema import IndexedChunk

SNIPPET_CHARACTERS = 400
CURRENT = "current"  # stands for a version id where the lake keeps no versions
JOIN = "\n\n"  # between the texts of chunks that follow each other

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result: a chunk and the score that the service gave it."""

    chunk: IndexedChunk
    score: float

    @property
    def path(self) -> str:
        """The document's path."""
        return self.chunk.path

    @property
    def allowed_groups(self) -> tuple[str, ...]:
        """Groups that may see the document; none: everybody."""
        return self.chunk.allowed_groups


@dataclass(frozen=True, slots=True)
class Passage:
    """A numbered passage, as the model and the user see it. `n` counts from 1.

    `chunk` is the best hit in it, `parts` are all of its chunks in the order of the text, `also_in` are hits in other
    documents that say the same and were left out for it.
    """

    n: int
    chunk: IndexedChunk
    score: float
    parts: tuple[IndexedChunk, ...] = ()
    also_in: tuple[IndexedChunk, ...] = ()

    @property
    def text(self) -> str:
        """The whole text."""
        return JOIN.join(part.content for part in self.parts) if self.parts else self.chunk.content

    @property
    def pages(self) -> tuple[int, ...]:
        """The pages on which its chunks begin, where the document has pages."""
        return tuple(sorted({part.page for part in self.parts or (self.chunk,) if part.page is not None}))

    def citation(self) -> dict[str, Any]:
        """Return the citation: path, title, heading, page, version, snippet and a link that opens that version.

        `newer_unreadable` is why a newer version of the document is not shown; "" while this is the newest.
        """
        chunk, parts = self.chunk, self.parts or (self.chunk,)
        return {
            "n": self.n,
            "document_id": chunk.document_id,
            "path": chunk.path,
            "title": chunk.title,
            "heading": chunk.heading,
            "page": chunk.page,
            "pages": list(self.pages),
            "ordinals": [parts[0].ordinal, parts[-1].ordinal],
            "version_id": chunk.version_id,
            "last_modified": _iso(chunk.last_modified),
            "newer_unreadable": chunk.newer_unreadable,
            "snippet": chunk.content[:SNIPPET_CHARACTERS],
            "passage": self.text,
            "url": version_url(chunk.document_id, chunk.version_id),
            "also_in": [
                {"path": other.path, "page": other.page, "url": version_url(other.document_id, other.version_id)}
                for other in self.also_in
            ],
        }


def version_url(document_id: str, version_id: str) -> str:
    """Return the app's own link to one version of a document."""
    return f"/api/documents/{document_id}/versions/{quote(version_id or CURRENT, safe='')}"


def newest_versions(hits: Iterable[Hit]) -> list[Hit]:
    """Drop superseded versions: where hits hold several versions of one document, only the newest one's stay."""
    found = list(hits)
    newest: dict[str, tuple[datetime, str]] = {}
    for hit in found:
        version = (hit.chunk.last_modified, hit.chunk.version_id)
        newest[hit.chunk.document_id] = max(version, newest.get(hit.chunk.document_id, version))
    return [hit for hit in found if (hit.chunk.last_modified, hit.chunk.version_id) == newest[hit.chunk.document_id]]


def choose(hits: Sequence[Hit], most: int, token_budget: int, count_tokens: CountTokens) -> tuple[Passage, ...]:
    """Take hits in their order while they fit the budget, at most `most` passages.

    What says the same as a passage before it is taken once; a hit beside a passage in its document joins it.
    The first is always taken: an answer from one long passage beats none.
    """
    chosen: list[Passage] = []
    prints: list[Fingerprint] = []
    used = 0
    for hit in hits:
        own = fingerprint(hit.chunk.content)
        same = next((at for at, other in enumerate(prints) if own.says_the_same(other)), None)
        if same is not None:
            chosen[same] = _also(chosen[same], hit.chunk)
            continue
        cost = count_tokens(hit.chunk.content)
        if chosen and used + cost > token_budget:
            continue
        beside = next((at for at, passage in enumerate(chosen) if _adjoins(passage, hit.chunk)), None)
        if beside is not None:
            chosen[beside] = with_part(chosen[beside], hit.chunk)
        elif len(chosen) < most:
            chosen.append(Passage(len(chosen) + 1, hit.chunk, hit.score, (hit.chunk,)))
            prints.append(own)
        else:
            continue
        used += cost
    return tuple(chosen)


def missing_neighbours(passages: Sequence[Passage], reach: int) -> list[tuple[str, str, range]]:
    """Return, as (document id, version id, ordinals), the chunks within `reach` of a passage that it does not have."""
    wanted = []
    for passage in passages:
        parts = passage.parts
        first, last = parts[0].ordinal, parts[-1].ordinal
        before = range(max(0, first - reach), first)
        after = range(last + 1, min(parts[-1].chunk_count, last + reach + 1))
        wanted += [(parts[0].document_id, parts[0].version_id, part) for part in (before, after) if part]
    return wanted


def join_neighbours(
    passages: Sequence[Passage], neighbours: Iterable[IndexedChunk], token_budget: int, count_tokens: CountTokens
) -> tuple[Passage, ...]:
    """Return the passages with the chunks beside them, as far as the budget goes: the best passage is served first.

    A chunk belongs to one passage only; of the two sides the one that follows comes first, as text runs on.
    """
    used = sum(count_tokens(passage.text) for passage in passages)
    taken = {part.id for passage in passages for part in passage.parts}
    free = [chunk for chunk in neighbours if chunk.id not in taken]
    joined: list[Passage] = []
    for passage in passages:
        grown = passage
        while (chunk := next((one for one in free if _adjoins(grown, one)), None)) is not None:
            free.remove(chunk)
            if used + count_tokens(chunk.content) <= token_budget:
                used += count_tokens(chunk.content)
                grown = with_part(grown, chunk)
        joined.append(grown)
    return tuple(joined)


def with_part(passage: Passage, chunk: IndexedChunk) -> Passage:
    """Return the passage with one more chunk of its document, in its place."""
    parts = sorted((*passage.parts, chunk), key=lambda part: part.ordinal)
    return replace(passage, parts=tuple(parts))


def _adjoins(passage: Passage, chunk: IndexedChunk) -> bool:
    first, last = passage.parts[0], passage.parts[-1]
    same = (chunk.document_id, chunk.version_id) == (first.document_id, first.version_id)
    return same and chunk.ordinal in (first.ordinal - 1, last.ordinal + 1)


def _also(passage: Passage, chunk: IndexedChunk) -> Passage:
    """Note where else the same is said; the same document is no other place."""
    known = {passage.chunk.document_id, *(other.document_id for other in passage.also_in)}
    return passage if chunk.document_id in known else replace(passage, also_in=(*passage.also_in, chunk))


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
