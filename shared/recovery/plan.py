"""The plan of a rebuild, and the guard that stops one. Pure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from shared.errors import BadRequest, Refused

FIELDS = frozenset({"reason", "source", "dry_run", "force", "resume"})
SOURCES = ("primary",)
REASON_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class RebuildRequest:
    """What the operator asked for. `force` overrides the guard; `resume` goes on with an unfinished generation."""

    reason: str
    source: str
    dry_run: bool
    force: bool
    resume: bool


@dataclass(frozen=True, slots=True)
class RebuildPlan:
    """A rebuild as planned: its id, the generation to be built, and what the lake listed. `bytes` is the documents'
    size.
    """

    id: str
    generation: str
    previous: str | None
    pages: int
    documents: int
    bytes: int


def parse_rebuild_request(body: bytes) -> RebuildRequest:
    """Return the request; an empty body means every default. Raises BadRequest naming the value and the way out."""
    try:
        value: Any = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as fault:
        raise BadRequest(f"the body is not JSON: {fault}") from fault
    if not isinstance(value, dict):
        raise BadRequest('the body must be an object such as {"reason": "drill"}')
    if unknown := sorted(set(value) - FIELDS):
        raise BadRequest(f"unknown fields {unknown}; known are {sorted(FIELDS)}")
    reason = value.get("reason", "")
    if not isinstance(reason, str) or len(reason) > REASON_CHARACTERS:
        raise BadRequest(f"reason must be a text of at most {REASON_CHARACTERS} characters")
    source = value.get("source", "primary")
    if source not in SOURCES:
        raise BadRequest(f"source {source!r} cannot be read; it must be one of {list(SOURCES)}")
    return RebuildRequest(reason, source, _switch(value, "dry_run"), _switch(value, "force"), _switch(value, "resume"))


def _switch(value: dict[str, Any], name: str) -> bool:
    given = value.get(name, False)
    if not isinstance(given, bool):
        raise BadRequest(f"{name} must be true or false, not {given!r}")
    return given


def guard(listed: int, live: int, min_share: float, force: bool) -> None:
    """Stop a rebuild whose listing is empty or much smaller than the live index. Raises Refused with the numbers.

    `listed` and `live` count documents. A lake that lost most of its documents is more often a wrong setting or a
    partial listing than the truth; `force` says that it is the truth.
    """
    if force or (live == 0 and listed > 0):
        return
    if listed == 0:
        raise Refused('the lake lists no document; if it really is empty, send {"force": true}')
    if listed < min_share * live:
        raise Refused(
            f"the lake lists {listed} documents but the live index has {live}, under the share of {min_share} "
            'that REBUILD_MIN_SHARE asks for; if that is right, send {"force": true}'
        )


def pages(paths: Iterable[str], size: int) -> Iterator[list[str]]:
    """Cut a listing into pages of at most `size` paths, in order."""
    page: list[str] = []
    for path in paths:
        page.append(path)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page
