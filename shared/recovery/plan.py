"""The plan of a rebuild: what was asked for, what it will take, and the guard that stops one. Pure."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from shared.body import json_object, no_unknown
from shared.errors import BadRequest, Refused
from shared.recovery.manifest import Entry

Source = Literal["primary", "secondary"]

FIELDS = frozenset({"reason", "source", "dry_run", "force", "resume"})
SOURCES: tuple[Source, ...] = ("primary", "secondary")
REASON_CHARACTERS = 200
BYTES_PER_CHUNK = 700.0  # of plain text, where nothing of the kind has been seen yet
BYTES_PER_CHUNK_OF = {".pdf": 4_000.0, ".docx": 2_500.0, ".pptx": 20_000.0, ".xlsx": 2_500.0}  # packed formats


@dataclass(frozen=True, slots=True)
class RebuildRequest:
    """What the operator asked for. `force` overrides the guards; `resume` goes on with an unfinished generation."""

    reason: str
    source: Source
    dry_run: bool
    force: bool
    resume: bool


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """Which generation shall answer again; None: the newest verified one beside the live one."""

    reason: str
    generation: str | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the rebuild will take.

    `chunks` and `tokens` are exact for documents whose embeddings are stored, and estimated from sizes for the others.
    Minutes are None where nothing says how fast it goes: no quota is set, or no rebuild has been measured yet.
    """

    chunks: int
    stored_documents: int
    stored_chunks: int
    tokens_to_embed: int
    embedding_minutes: float | None
    embedding_cost: float | None
    indexing_minutes: float | None


@dataclass(frozen=True, slots=True)
class RebuildPlan:
    """A rebuild as planned: its id, the generation to be built, and what the lake listed.

    `bytes` is the documents' size. `last_sync_time` (ISO, UTC) and `newer` are for a rebuild from the secondary.
    `swapped` says that the generation answers already: this rebuild was cut off after its swap. `pipeline` is the app's
    when it was planned.
    """

    id: str
    generation: str
    previous: str | None
    source: Source
    resumed: bool
    pages: int
    documents: int
    bytes: int
    estimate: Estimate
    last_sync_time: str | None = None
    newer_count: int = 0
    newer: list[dict[str, str]] = field(default_factory=list)
    swapped: bool = False
    pipeline: str = ""


def parse_rebuild_request(body: bytes) -> RebuildRequest:
    """Return the request; an empty body means every default. Raises BadRequest naming the value and the way out."""
    value = parse_object(body, FIELDS, '{"reason": "drill"}')
    source = value.get("source", "primary")
    if source not in SOURCES:
        raise BadRequest(f"source {source!r} cannot be read; it must be one of {list(SOURCES)}")
    return RebuildRequest(
        parse_reason(value), source, _switch(value, "dry_run"), _switch(value, "force"), _switch(value, "resume")
    )


def parse_rollback_request(body: bytes) -> RollbackRequest:
    """Return the request; an empty body means every default. Raises BadRequest."""
    value = parse_object(body, frozenset({"reason", "generation"}), '{"generation": "documents-20260101120000"}')
    generation = value.get("generation")
    if generation is not None and not isinstance(generation, str):
        raise BadRequest(f"generation must be the name of a generation, not {generation!r}")
    return RollbackRequest(parse_reason(value), generation)


def parse_cancel_request(body: bytes) -> str:
    """Return the reason for cancelling. Raises BadRequest."""
    return parse_reason(parse_object(body, frozenset({"reason"}), '{"reason": "started by mistake"}'))


def parse_object(body: bytes, known: frozenset[str], example: str) -> dict[str, Any]:
    """Return a body that is an object with known fields, {} for an empty one. Raises BadRequest."""
    if not body.strip(b" \t\r\n"):  # the white space of JSON, and no other
        return {}
    value = json_object(body, example)
    no_unknown(value, known, "the request")
    return value


def parse_reason(value: dict[str, Any]) -> str:
    """Return the reason given for an act, "" where there is none. Raises BadRequest."""
    reason = value.get("reason", "")
    if not isinstance(reason, str) or len(reason) > REASON_CHARACTERS:
        raise BadRequest(f"reason must be a text of at most {REASON_CHARACTERS} characters")
    return reason


def _switch(value: dict[str, Any], name: str) -> bool:
    given = value.get(name, False)
    if not isinstance(given, bool):
        raise BadRequest(f"{name} must be true or false, not {given!r}")
    return given


EMPTY = 'the lake lists no document; if it really is empty, send {"force": true}'


def guard(listed: int, live: int | None, stored: int, min_share: float, force: bool) -> None:
    """Stop a rebuild whose listing is empty or much smaller than the lake has been. Raises Refused with the numbers.

    All count documents: `live` those of the live index, None where there is none; `stored` those whose embeddings are
    stored and whose deletion nobody has seen, which says how large the lake was where no index does. A lake that lost
    most of its documents is more often a wrong setting or a partial listing than the truth; `force` says that it is the
    truth.
    """
    if force:
        return
    if listed == 0:
        raise Refused(EMPTY)
    known, witness = (stored, "the embedding store") if live is None else (live, "the live index")
    if listed < min_share * known:
        raise Refused(
            f"the lake lists {listed} documents but {witness} has {known}, under the share of {min_share} "
            'that REBUILD_MIN_SHARE asks for; if that is right, send {"force": true}'
        )


def guard_failures(failed: int, documents: int, max_share: float, force: bool) -> str:
    """Return why too many documents could not be read for the rebuild to go on, or "" when it may."""
    if force or failed <= max_share * documents:
        return ""
    return (
        f"{failed} of {documents} documents could not be read, over the share of {max_share} that "
        'REBUILD_MAX_FAILED_SHARE allows; look at the failures, then resume with {"resume": true, "force": true}'
    )


class Estimator:
    """Adds up entries as they are planned: one pass, constant memory."""

    def __init__(self, tokens_per_chunk: int) -> None:
        self.documents = 0
        self.bytes = 0
        self._tokens_per_chunk = tokens_per_chunk
        self._stored_documents = 0
        self._stored_chunks = 0
        self._seen: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])  # suffix -> bytes, chunks of known ones
        self._unknown: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])  # suffix -> bytes, documents

    def add(self, entry: Entry) -> None:
        """Count one entry."""
        suffix = _suffix(entry)
        self.documents += 1
        self.bytes += entry.document.size
        if entry.stored:
            self._stored_documents += 1
            self._stored_chunks += entry.stored.chunks
            self._seen[suffix][0] += entry.document.size
            self._seen[suffix][1] += entry.stored.chunks
        else:
            self._unknown[suffix][0] += entry.document.size
            self._unknown[suffix][1] += 1

    def chunks_of(self, entry: Entry) -> int:
        """Return how many chunks a document will have: known, or by its size and those seen so far."""
        if entry.stored:
            return entry.stored.chunks
        return max(1, round(entry.document.size / self._bytes_per_chunk(_suffix(entry))))

    def estimate(
        self, tokens_per_minute: int, price_per_million_tokens: float, chunks_per_second: float | None
    ) -> Estimate:
        """Return what was added up. 0 tokens a minute means that no quota is known; a price is for 1,000,000 tokens."""
        unknown = sum(
            max(documents, round(size / self._bytes_per_chunk(suffix)))
            for suffix, (size, documents) in self._unknown.items()
        )
        tokens = unknown * self._tokens_per_chunk
        chunks = self._stored_chunks + unknown
        return Estimate(
            chunks=chunks,
            stored_documents=self._stored_documents,
            stored_chunks=self._stored_chunks,
            tokens_to_embed=tokens,
            embedding_minutes=round(tokens / tokens_per_minute, 2) if tokens_per_minute else None,
            embedding_cost=round(tokens / 1e6 * price_per_million_tokens, 4) if price_per_million_tokens else None,
            indexing_minutes=round(chunks / chunks_per_second / 60, 2) if chunks_per_second else None,
        )

    def _bytes_per_chunk(self, suffix: str) -> float:
        size, chunks = self._seen[suffix]
        return max(1.0, size / chunks) if chunks else BYTES_PER_CHUNK_OF.get(suffix, BYTES_PER_CHUNK)


def _suffix(entry: Entry) -> str:
    return PurePosixPath(entry.document.path).suffix.lower()


def plan_from(value: dict[str, Any]) -> RebuildPlan:
    """Return the plan that `dataclasses.asdict` made data of."""
    return RebuildPlan(**{**value, "estimate": Estimate(**value["estimate"])})
