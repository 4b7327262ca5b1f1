"""Reading on around a citation: the text of a document as it is indexed, part by part, whatever its format."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.access import quoted, visible
from shared.clients import Services
from shared.errors import BadRequest, NotFound
from shared.index.schema import SCALARS, IndexedChunk

PARTS = 20  # parts in an answer where nothing else is asked for
MOST_PARTS = 50
MOST_ORDINAL = 10_000_000  # no document has so many parts; a search service takes no number of any size
FIELDS = frozenset({"from", "count"})


@dataclass(frozen=True, slots=True)
class Span:
    """Which parts are wanted: `count` of them from the one whose place in the document is `start`, counted from 0."""

    start: int = 0
    count: int = PARTS


def parse_span(query: Mapping[str, str]) -> Span:
    """Return the parts that a request's query asks for. Raises BadRequest naming the value and the way out."""
    if unknown := sorted(set(query) - FIELDS):
        raise BadRequest(f"the query has unknown fields {unknown}; known are {sorted(FIELDS)}")
    return Span(_number(query, "from", 0, 0, MOST_ORDINAL), _number(query, "count", PARTS, 1, MOST_PARTS))


def _number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    given = query.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 12 and least <= int(given) <= most):
        raise BadRequest(f"{name} must be a number from {least} to {most}, not {given!r:.40}")
    return int(given)


async def read_text(
    services: Services, document_id: str, version_id: str, span: Span, groups: frozenset[str]
) -> dict[str, Any]:
    """Return parts of one version of a document as text, in their order.

    Raises NotFound for what the caller may not see, and for a version that is not the indexed one: an older one can be
    opened as it is.
    """
    access = await services.access_rules.access(groups)
    client = services.search_client(await services.generations.require_live())
    version = f"document_id eq '{quoted(document_id)}' and version_id eq '{quoted(version_id)}'"
    parts_wanted = f"ordinal ge {span.start} and ordinal lt {span.start + span.count}"
    results = await client.search(
        search_text="*",
        filter=f"{version} and {parts_wanted} and {access.filter()}",
        select=list(SCALARS),
        top=span.count,
    )
    found = visible([IndexedChunk.from_fields(item) async for item in results], access)
    if not found:
        raise NotFound(f"version {version_id!r} of {document_id!r} is not indexed, or has no part {span.start}")
    parts = sorted(found, key=lambda chunk: chunk.ordinal)
    return {
        "document_id": document_id,
        "version_id": version_id,
        "path": parts[0].path,
        "title": parts[0].title,
        "count": parts[0].chunk_count,
        "parts": [
            {"ordinal": part.ordinal, "heading": part.heading, "page": part.page, "text": part.content}
            for part in parts
        ],
    }
