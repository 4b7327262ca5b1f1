"""Converge one path: make the index say of a document what the lake says of it now.

An event, a rebuild's page and a catch-up all come here with nothing but a path. What the event meant is not asked: the
lake and the index are read, and the difference is removed. Late, duplicate, reordered and lost events therefore do no
harm.

New chunks are written before old ones are deleted, so a document is never missing; a crash at any instruction leaves a
set of chunks that is not `whole`, from which the next run converges.
"""

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from shared.documents import (
    ChunkLimits,
    chunk_document,
    chunk_sha256,
    count_tokens,
    embedding_input,
    read_document,
    title_from_path,
)
from shared.embeddings.model import Embedder
from shared.embeddings.record import Record, StoredChunk, Vectors
from shared.embeddings.store import EmbeddingStore, Pointer
from shared.errors import Throttled, UnreadableDocument
from shared.ids import chunk_key, document_id
from shared.index.chunks import Chunks
from shared.index.schema import IndexedChunk
from shared.index.writer import ChunkMissing
from shared.lake.container import DocumentMoved, Lake
from shared.lake.model import LakeDocument, is_document
from shared.problems import Problem, Problems
from shared.state import RegionalState

logger = logging.getLogger(__name__)

ROUNDS = 10  # a document that changes faster than this many rounds is left to its next event

Result = Literal["indexed", "unchanged", "deleted", "absent", "quarantined", "ignored"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What converging one path did, in counts of chunks; `embedded` counts chunks sent to the model, `waited` the
    seconds that services made it wait.
    """

    path: str
    result: Result
    added: int = 0
    kept: int = 0
    removed: int = 0
    embedded: int = 0
    waited: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A document's content, and how many of its chunks the model was asked for."""

    record: Record
    content_sha256: str
    embedded: int
    waited: float = 0.0


def is_whole(chunks: Sequence[IndexedChunk], etag: str, pipeline: str) -> bool:
    """Whether the chunks are all of one version of a document and nothing else. A half-written set never is."""
    return bool(chunks) and (
        all(chunk.etag == etag and chunk.pipeline == pipeline for chunk in chunks)
        and all(chunk.chunk_count == len(chunks) for chunk in chunks)
        and {chunk.ordinal for chunk in chunks} == set(range(len(chunks)))
    )


def indexed_chunks(
    document: LakeDocument, document_key: str, record: Record, content_sha256: str, pipeline: str
) -> tuple[IndexedChunk, ...]:
    """Return what the index shall hold for this version, in the order of the text."""
    seen: Counter[str] = Counter()
    made: list[IndexedChunk] = []
    for ordinal, chunk in enumerate(record.chunks):
        digest = chunk_sha256(chunk)
        made.append(
            IndexedChunk(
                id=chunk_key(document_key, digest, seen[digest]),
                document_id=document_key,
                path=document.path,
                name=title_from_path(document.path),
                title=record.title or title_from_path(document.path),
                heading=chunk.heading,
                content=chunk.text,
                ordinal=ordinal,
                chunk_count=len(record.chunks),
                page=chunk.page,
                version_id=document.version_id,
                etag=document.etag,
                last_modified=document.last_modified,
                content_sha256=content_sha256,
                allowed_groups=document.allowed_groups,
                pipeline=pipeline,
                tags=document.tags,
            )
        )
        seen[digest] += 1
    return tuple(made)


class Indexer:
    """Everything that converging needs, for one pipeline. Safe to use from many tasks and processes at once."""

    def __init__(
        self,
        lake: Lake,
        store: EmbeddingStore,
        embedder: Embedder,
        state: RegionalState,
        chunks_of: Callable[[str], Chunks],
        pipeline: str,
        limits: ChunkLimits,
        max_bytes: int,
    ) -> None:
        self.lake = lake
        self.pipeline = pipeline
        self.problems = Problems(state)
        self._store = store
        self._embedder = embedder
        self._state = state
        self._chunks_of = chunks_of
        self._limits = limits
        self._max_bytes = max_bytes

    def document_id(self, path: str) -> str:
        """Return the id under which the document at `path` is indexed."""
        return document_id(self.lake.container_name, path)

    def chunks(self, generation: str) -> Chunks:
        """Return access to the chunks of a generation."""
        return self._chunks_of(generation)

    async def converge(self, path: str, generation: str, *, retry_problems: bool = False) -> Outcome:
        """Make `generation` true to the lake for one path, and say what that took.

        A document that cannot be read is quarantined and its earlier chunks stay; `retry_problems` tries it again
        although this version is known to be unreadable. Raises what the services raise, so that the trigger tries
        again.
        """
        if not is_document(path):
            return Outcome(path, "ignored")
        started = time.monotonic()
        key = self.document_id(path)
        async with self._state.lease(f"{generation}/{key}"):
            outcome = await self._converge_held(path, key, self._chunks_of(generation), retry_problems)
        logger.info(
            "converge document=%s result=%s generation=%s added=%d kept=%d removed=%d embedded=%d ms=%d reason=%s",
            path,
            outcome.result,
            generation,
            outcome.added,
            outcome.kept,
            outcome.removed,
            outcome.embedded,
            (time.monotonic() - started) * 1000,
            outcome.reason or "-",
        )
        return outcome

    async def _converge_held(self, path: str, key: str, index: Chunks, retry_problems: bool) -> Outcome:
        done = Outcome(path, "absent")
        for round_ in range(ROUNDS):
            document, have = await asyncio.gather(self.lake.head(path), index.of_document(key))
            try:
                step = await self._step(path, key, document, have, index, retry_problems and round_ == 0)
            except (DocumentMoved, ChunkMissing):
                continue  # the world moved under us: look again
            done = _add(done, step)
            if step.result in ("unchanged", "absent"):
                return done  # this round found nothing to do: the index is what the lake is
            now = await self.lake.head(path)
            if (now.etag if now else None) == (document.etag if document else None):
                return done
        raise Throttled(f"{path!r} kept changing for {ROUNDS} rounds", retry_after=1.0)

    async def _step(
        self,
        path: str,
        key: str,
        document: LakeDocument | None,
        have: tuple[IndexedChunk, ...],
        index: Chunks,
        retry_problems: bool,
    ) -> Outcome:
        if document is None:
            await index.delete(chunk.id for chunk in have)
            await self.problems.clear(key)
            return Outcome(path, "deleted" if have else "absent", removed=len(have))
        if is_whole(have, document.etag, self.pipeline):
            return Outcome(path, "unchanged", kept=len(have))
        known = await self.problems.of(key)
        return await self.bring(document, key, have, index, None if retry_problems else known, bool(known))

    async def bring(
        self,
        document: LakeDocument,
        key: str,
        have: Sequence[IndexedChunk],
        index: Chunks,
        known: Problem | None,
        clear_problem: bool,
        pointer: Pointer | None = None,
    ) -> Outcome:
        """Make the index hold this version of a document, given what has been read: its chunks, and the problem known
        of it.

        `pointer` spares reading it, where the caller has it already. Raises DocumentMoved and ChunkMissing when the
        world moved underneath.
        """
        path = document.path
        if is_whole(have, document.etag, self.pipeline):
            return Outcome(path, "unchanged", kept=len(have))
        if known and (known.etag, known.pipeline) == (document.etag, self.pipeline):
            return Outcome(path, "quarantined", kept=len(have), reason=known.reason)
        try:
            loaded = await self._load(document, key, pointer)
        except UnreadableDocument as fault:
            await self.problems.record(self._problem(document, key, fault))
            return Outcome(path, "quarantined", kept=len(have), reason=fault.reason)
        outcome = await self._write(document, key, loaded, have, index)
        if clear_problem:
            await self.problems.clear(key)
        return outcome

    async def _write(
        self, document: LakeDocument, key: str, loaded: _Loaded, have: Sequence[IndexedChunk], index: Chunks
    ) -> Outcome:
        """Write new chunks, relabel those that stay, then delete the rest: in that order."""
        want = indexed_chunks(document, key, loaded.record, loaded.content_sha256, self.pipeline)
        # A chunk of another pipeline may have another vector under the same text: it is written whole.
        present = {chunk.id for chunk in have if chunk.pipeline == self.pipeline}
        new = [position for position, chunk in enumerate(want) if chunk.id not in present]
        stay = [chunk for chunk in want if chunk.id in present]
        gone = {chunk.id for chunk in have} - {chunk.id for chunk in want}
        waited = loaded.waited + await index.upload([want[position] for position in new], loaded.record.vectors[new])
        waited += await index.merge(stay)
        waited += await index.delete(sorted(gone))
        return Outcome(document.path, "indexed", len(new), len(stay), len(gone), loaded.embedded, waited)

    async def _load(self, document: LakeDocument, key: str, pointer: Pointer | None) -> _Loaded:
        """Return the document's chunks and vectors, computing only what the embedding store does not hold.

        Raises UnreadableDocument, and DocumentMoved when this version is gone.
        """
        pointer = pointer or await self._store.pointer(key)
        if pointer and pointer.etag == document.etag:
            stored = await self._store.record(pointer.content_key)
            if stored:
                return _Loaded(stored, pointer.content_sha256, 0)
        if document.size > self._max_bytes:
            raise UnreadableDocument("too_large", f"{document.size} bytes; DOCUMENT_MAX_BYTES is {self._max_bytes}")
        content = await self.lake.read(document)
        digest = hashlib.sha256(content).hexdigest()
        # The extension chooses the reader, so equal bytes under another extension are another content.
        content_key = f"{digest}{PurePosixPath(document.path).suffix.lower()}"
        record, embedded, waited = await self._store.adopt(content_key), 0, 0.0
        if record is None:
            title, chunks = await asyncio.to_thread(self._extract, document.path, content)
            vectors, embedded, waited = await self._embed(chunks, pointer)
            record = Record(title, chunks, vectors)
            await self._store.save(content_key, record)
        pointer = Pointer(document.path, document.etag, document.version_id, content_key, digest, len(record.chunks))
        await self._store.point(key, pointer)
        return _Loaded(record, digest, embedded, waited)

    def _extract(self, path: str, content: bytes) -> tuple[str | None, tuple[StoredChunk, ...]]:
        document = read_document(path, content)
        # A title that only echoes the file's name stays out of the record: a renamed document has another.
        title = None if document.title == title_from_path(path) else document.title
        chunks = chunk_document(document, self._limits, count_tokens)
        if not chunks:
            raise UnreadableDocument("empty", "the document has no text")
        return title, tuple(
            StoredChunk(chunk.text, chunk.heading, chunk.page, chunk.start, chunk.end) for chunk in chunks
        )

    async def _embed(self, chunks: tuple[StoredChunk, ...], previous: Pointer | None) -> tuple[Vectors, int, float]:
        """Return a vector for each chunk, how many the model was asked for, and the seconds it made us wait; the
        version before lends what is unchanged.
        """
        known: dict[str, Vectors] = {}
        before = await self._store.record(previous.content_key) if previous else None
        if before:
            known = {chunk_sha256(chunk): vector for chunk, vector in zip(before.chunks, before.vectors, strict=True)}
        wanted = {chunk_sha256(chunk): embedding_input(chunk) for chunk in chunks}
        missing = [digest for digest in wanted if digest not in known]
        fresh = await self._embedder.measured([wanted[digest] for digest in missing])
        known.update(zip(missing, fresh.vectors, strict=True))
        return np.stack([known[chunk_sha256(chunk)] for chunk in chunks]), len(missing), fresh.waited

    def _problem(self, document: LakeDocument, key: str, fault: UnreadableDocument) -> Problem:
        return Problem(
            document_id=key,
            path=document.path,
            etag=document.etag,
            version_id=document.version_id,
            pipeline=self.pipeline,
            reason=fault.reason,
            message=str(fault),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _add(before: Outcome, step: Outcome) -> Outcome:
    """Sum up rounds: counts add, and a round that only confirmed an earlier one does not hide what that one did."""
    did_work = before.result not in ("absent", "unchanged")
    confirmed = step.result in ("unchanged", "absent") and did_work
    return Outcome(
        path=step.path,
        result=before.result if confirmed else step.result,
        added=before.added + step.added,
        kept=before.kept if confirmed else step.kept,
        removed=before.removed + step.removed,
        embedded=before.embedded + step.embedded,
        waited=before.waited + step.waited,
        reason=step.reason,
    )
