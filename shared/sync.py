"""Converge one path: make the index say of a document what the lake says of it now.

An event, a rebuild's page and a catch-up all come here with nothing but a path. What the event meant is not asked: the
lake and the index are read, and the difference is removed. Late, duplicate, reordered and lost events therefore do no
harm.

New chunks are written before old ones are deleted, so a document is never missing; a crash at any instruction leaves a
set of chunks that is not `whole`, from which the next run converges.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from shared.access import both
from shared.documents import Extracted, chunk_sha256, count_tokens, embedding_input, reader_suffix, title_from_path
from shared.embeddings.model import Embedder
from shared.embeddings.record import Record, StoredChunk, Vectors
from shared.embeddings.store import EmbeddingStore, Pointer
from shared.errors import Throttled, UnreadableDocument
from shared.ids import chunk_key, document_id
from shared.index.chunks import Chunks
from shared.index.schema import IndexedChunk
from shared.index.writer import ChunkMissing, WriteRefused
from shared.lake.container import DocumentMoved, Lake
from shared.lake.model import LakeDocument, is_document
from shared.problems import Problem, Problems
from shared.state import RegionalState
from shared.telemetry import Stages, converged

ROUNDS = 10  # a document that changes faster than this many rounds is left to its next event

Extract = Callable[[str, bytes], Awaitable[Extracted]]  # from a path and its content; raises UnreadableDocument
Result = Literal["indexed", "unchanged", "deleted", "absent", "quarantined", "ignored", "deferred"]
AWAITING_REBUILD = "awaiting_rebuild"  # why a new version is not shown: the generation is another pipeline's


@dataclass(frozen=True, slots=True)
class Outcome:
    """What converging one path did, in counts of chunks; `embedded` counts chunks sent to the model.

    Of the rest, which does not count when outcomes are compared: `tokens_embedded` were charged by the model and
    `tokens_reused` would have been, `waited` is the seconds that services made it wait, `stages` has seconds by stage,
    `changed` is when the version that was indexed was written.
    """

    path: str
    result: Result
    added: int = 0
    kept: int = 0
    removed: int = 0
    embedded: int = 0
    waited: float = field(default=0.0, compare=False)
    reason: str = ""
    version_id: str = field(default="", compare=False)
    changed: datetime | None = field(default=None, compare=False)
    tokens_embedded: int = field(default=0, compare=False)
    tokens_reused: int = field(default=0, compare=False)
    stages: Stages = field(default_factory=Stages, compare=False)


@dataclass(frozen=True, slots=True)
class _Vectors:
    """A vector for each chunk, and what they took: chunks and tokens embedded, tokens reused, seconds waited."""

    vectors: Vectors
    embedded: int = 0
    tokens_embedded: int = 0
    tokens_reused: int = 0
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A document's content, and what its vectors took."""

    record: Record
    content_sha256: str
    took: _Vectors


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is still to be written of a document: the chunks that the index shall hold, those that it has, and what the
    content took. `problem` says why that is not the newest version.
    """

    document: LakeDocument
    key: str
    have: tuple[IndexedChunk, ...]
    want: tuple[IndexedChunk, ...]
    loaded: _Loaded
    stages: Stages
    problem: Problem | None = None


def is_whole(chunks: Sequence[IndexedChunk], etag: str, pipeline: str) -> bool:
    """Whether the chunks are all of one version of a document and nothing else. A half-written set never is."""
    return bool(chunks) and (
        all(chunk.etag == etag and chunk.pipeline == pipeline for chunk in chunks)
        and all(chunk.chunk_count == len(chunks) for chunk in chunks)
        and {chunk.ordinal for chunk in chunks} == set(range(len(chunks)))
    )


def distrusted(chunk: IndexedChunk) -> IndexedChunk:
    """Return the chunk as one that no pipeline has written: whoever is given it writes its document again, whole."""
    return replace(chunk, pipeline="")


def relabelled(chunk: IndexedChunk, document: LakeDocument) -> IndexedChunk:
    """Return the chunk as one of another version with the same content."""
    return replace(
        chunk,
        version_id=document.version_id,
        etag=document.etag,
        last_modified=document.last_modified,
        allowed_groups=document.allowed_groups,
        tags=document.tags,
        newer_unreadable="",
    )


def indexed_chunks(
    document: LakeDocument, document_key: str, record: Record, content_sha256: str, pipeline: str
) -> tuple[IndexedChunk, ...]:
    """Return what the index shall hold for this version, in the order of the text."""
    seen: Counter[str] = Counter()
    made: list[IndexedChunk] = []
    name, groups, tags = title_from_path(document.path), document.allowed_groups, document.tags
    for ordinal, chunk in enumerate(record.chunks):
        digest = chunk_sha256(chunk)
        made.append(
            IndexedChunk(
                id=chunk_key(document_key, digest, seen[digest]),
                document_id=document_key,
                path=document.path,
                name=name,
                title=record.title or name,
                heading=chunk.heading,
                content=chunk.text,
                ordinal=ordinal,
                chunk_count=len(record.chunks),
                page=chunk.page,
                version_id=document.version_id,
                etag=document.etag,
                last_modified=document.last_modified,
                content_sha256=content_sha256,
                allowed_groups=groups,
                pipeline=pipeline,
                tags=tags,
            )
        )
        seen[digest] += 1
    return tuple(made)


def outline_sha256(chunks: Sequence[IndexedChunk]) -> str:
    """Return the hash of what the text's own hash does not cover: the title, and the chunks' order and pages.

    `chunks` are those of one version, in the order of the text.
    """
    title = chunks[0].title if chunks else ""
    return hashlib.sha256("\0".join([title, *(f"{chunk.id} {chunk.page}" for chunk in chunks)]).encode()).hexdigest()


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
        extract: Extract,
        max_bytes: int,
    ) -> None:
        self.lake = lake
        self.pipeline = pipeline
        self.problems = Problems(state)
        self._store = store
        self._embedder = embedder
        self._state = state
        self._chunks_of = chunks_of
        self._extract = extract
        self._max_bytes = max_bytes

    def document_id(self, path: str) -> str:
        """Return the id under which the document at `path` is indexed."""
        return document_id(self.lake.container_name, path)

    def chunks(self, generation: str) -> Chunks:
        """Return access to the chunks of a generation."""
        return self._chunks_of(generation)

    async def converge(
        self, path: str, generation: str, *, retry_problems: bool = False, rewrite: bool = False
    ) -> Outcome:
        """Make `generation` true to the lake for one path, and say what that took.

        A generation that another pipeline has built gets no new content: a mixture would answer from vectors that
        cannot be compared. Deletions and what a version says of itself are followed there; new content is `deferred`
        to the rebuild that such a generation waits for.

        A document that cannot be read is quarantined and its earlier chunks stay; `retry_problems` tries it again
        although this version is known to be unreadable. `rewrite` writes every chunk again, whatever the index has.
        Raises what the services raise, so that the trigger tries again.
        """
        if not is_document(path):
            return Outcome(path, "ignored")
        started = time.monotonic()
        key = self.document_id(path)
        async with self._state.lease(f"{generation}/{key}") as lease:
            index = self._chunks_of(generation).fenced(lease.check)
            outcome = await self._converge_held(path, key, index, retry_problems, rewrite)
        converged(outcome, generation, time.monotonic() - started)
        return outcome

    async def withdraw(self, path: str, generation: str) -> Outcome:
        """Do of `converge` what readers must not wait for and what needs no new content: take out a document that is
        gone, and show an earlier version only to those who may see the newest, saying that it awaits its content.
        """
        key = self.document_id(path)
        async with self._state.lease(f"{generation}/{key}") as lease:
            index = self._chunks_of(generation).fenced(lease.check)
            document, have = await asyncio.gather(self.lake.head(path), index.of_document(key))
            if document is None:
                return await self._step(path, key, None, have, index, False)
            return await self._keep(document, have, index)

    async def _converge_held(self, path: str, key: str, index: Chunks, retry_problems: bool, rewrite: bool) -> Outcome:
        done = Outcome(path, "absent")
        for round_ in range(ROUNDS):
            with done.stages.stage("look"):
                document, have = await asyncio.gather(self.lake.head(path), index.of_document(key))
            if rewrite and round_ == 0:
                have = tuple(distrusted(chunk) for chunk in have)
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
            await self._store.take_out(key)  # first: whatever is cut off after this, nothing brings it back
            await index.delete(chunk.id for chunk in have)
            await self.problems.clear(key)
            return Outcome(path, "deleted" if have else "absent", removed=len(have))
        if is_whole(have, document.etag, self.pipeline):
            await self.problems.clear(key)  # a crash may have come between the last write and this
            return Outcome(path, "unchanged", kept=len(have), version_id=document.version_id)
        known, other = await asyncio.gather(self.problems.of(key), index.other_pipeline(self.pipeline))
        if other is not None:
            return await self._keep(document, have, index)
        return await self.bring(document, key, have, index, None if retry_problems else known, bool(known))

    async def _keep(self, document: LakeDocument, have: Sequence[IndexedChunk], index: Chunks) -> Outcome:
        """Follow a document in a generation of another pipeline, as far as that needs no new content."""
        if await self._is_content_of(document, have):
            want = tuple(relabelled(chunk, document) for chunk in have)
            result: Result = "indexed"
        else:
            want = await self._labelled(document, have, AWAITING_REBUILD)
            result = "deferred"
        wrong = [chunk for chunk, before in zip(want, have, strict=True) if chunk != before]
        waited = await index.merge(wrong)
        return Outcome(
            document.path,
            "unchanged" if result == "indexed" and not wrong else result,
            kept=len(have),
            waited=waited,
            reason=AWAITING_REBUILD if result == "deferred" else "",
            version_id=document.version_id,
            changed=document.last_modified,
        )

    async def _is_content_of(self, document: LakeDocument, have: Sequence[IndexedChunk]) -> bool:
        """Whether the chunks are, whole, the content of this version, whichever version they were written from."""
        if not have or not is_whole(have, have[0].etag, have[0].pipeline):
            return False
        if have[0].etag == document.etag:
            return True
        if document.size > self._max_bytes:
            return False
        content = await self.lake.read(document)
        return {chunk.content_sha256 for chunk in have} == {hashlib.sha256(content).hexdigest()}

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
        ready = await self.prepare(document, key, have, index, known, pointer)
        if isinstance(ready, Outcome):
            return ready
        return await self.write(ready, index, clear_problem)

    async def prepare(
        self,
        document: LakeDocument,
        key: str,
        have: Sequence[IndexedChunk],
        index: Chunks,
        known: Problem | None,
        pointer: Pointer | None = None,
    ) -> Outcome | Prepared:
        """Do the first part of `bring`: read what is to be written. An Outcome says that nothing is left to write."""
        path = document.path
        if is_whole(have, document.etag, self.pipeline):
            return Outcome(path, "unchanged", kept=len(have), version_id=document.version_id)
        stages = Stages()
        if known and (known.etag, known.pipeline) == (document.etag, self.pipeline):
            return await self._fall_back(document, key, have, index, known, stages)
        try:
            loaded = await self._load(document, key, pointer, stages)
        except UnreadableDocument as fault:
            return await self._fall_back(document, key, have, index, self._problem(document, key, fault), stages)
        want = indexed_chunks(document, key, loaded.record, loaded.content_sha256, self.pipeline)
        return Prepared(document, key, tuple(have), want, loaded, stages)

    async def write(self, ready: Prepared, index: Chunks, clear_problem: bool) -> Outcome:
        """Do the second part of `bring`: write what was read. What the service refuses is a problem of this document's
        own, like one that cannot be read.
        """
        try:
            outcome = await self._write(ready, index)
        except WriteRefused as fault:
            return await self._withdraw_refused(ready, index, UnreadableDocument("refused", fault.message))
        if ready.problem:
            # Only now: once a problem is listed, nobody looks at the document's chunks again.
            await self.problems.record(ready.problem)
        elif clear_problem:
            await self.problems.clear(ready.key)
        return outcome

    async def _withdraw_refused(self, ready: Prepared, index: Chunks, fault: UnreadableDocument) -> Outcome:
        """Take out what was written of a version of which the service refused a part; what was there before stays."""
        problem = ready.problem or self._problem(ready.document, ready.key, fault)
        await index.delete(sorted({chunk.id for chunk in ready.want} - {chunk.id for chunk in ready.have}))
        want = await self._labelled(ready.document, ready.have, problem.reason)
        await index.merge(want)
        await self.problems.record(problem)
        return self._quarantined(ready.document, problem.reason, ready.stages, kept=len(want))

    async def _fall_back(
        self,
        document: LakeDocument,
        key: str,
        have: Sequence[IndexedChunk],
        index: Chunks,
        problem: Problem,
        stages: Stages,
    ) -> Outcome | Prepared:
        """Return what is to be written of the last version that could be read, where the newest cannot be.

        The embedding store knows that version, so that events and a rebuild fall back on the same one. Where the store
        may not be written it can be behind the index: what that has stays.
        """
        want, loaded = await self._earlier(document, key, have, problem.reason)
        if loaded is not None and set(want) != set(have):
            return Prepared(document, key, tuple(have), want, loaded, stages, problem)
        held = set(have)
        await index.merge([chunk for chunk in want if chunk not in held])
        await index.delete(sorted({chunk.id for chunk in have} - {chunk.id for chunk in want}))
        await self.problems.record(problem)
        return self._quarantined(document, problem.reason, stages, kept=len(want))

    async def fallback(
        self, document: LakeDocument, key: str, have: Sequence[IndexedChunk], reason: str
    ) -> tuple[IndexedChunk, ...]:
        """Return what an index that has these chunks of a document shall hold of it, when this newest version cannot be
        read: the last one that could be, labelled; nothing, where that was deleted; else what it has, labelled.
        """
        want, _ = await self._earlier(document, key, have, reason)
        return want

    async def _earlier(
        self, document: LakeDocument, key: str, have: Sequence[IndexedChunk], reason: str
    ) -> tuple[tuple[IndexedChunk, ...], _Loaded | None]:
        """Return what `fallback` returns, and the content where it is of a version from the store."""
        pointer = await self._store.pointer(key)
        shown = have[0].version_id if have and is_whole(have, have[0].etag, self.pipeline) else ""
        good = None if pointer is None or shown > pointer.version_id else pointer
        if good and good.taken_out:
            return (), None
        if good and (last := await self._load_earlier(document, good)) is not None:
            before, loaded = last
            chunks = indexed_chunks(before, key, loaded.record, loaded.content_sha256, self.pipeline)
            return await self._labelled(document, chunks, reason), loaded
        return await self._labelled(document, have, reason), None

    async def _load_earlier(self, document: LakeDocument, good: Pointer) -> tuple[LakeDocument, _Loaded] | None:
        """Return an earlier version of a document with its stored content, or None where one of them is gone."""
        before, record = await asyncio.gather(
            self.lake.at(document.path, good.version_id), self._store.record(good.content_key)
        )
        if before is None or before.etag != good.etag or before.version_id >= document.version_id or record is None:
            return None
        return before, _Loaded(record, good.content_sha256, _Vectors(record.vectors, tokens_reused=good.tokens))

    def _quarantined(self, document: LakeDocument, reason: str, stages: Stages, kept: int) -> Outcome:
        return Outcome(
            document.path, "quarantined", kept=kept, reason=reason, version_id=document.version_id, stages=stages
        )

    async def _labelled(
        self, document: LakeDocument, have: Sequence[IndexedChunk], reason: str
    ) -> tuple[IndexedChunk, ...]:
        """Return an earlier version's chunks as they say why the newest one is not shown, and are shown only to those
        who may see both: whom the newest shuts out must not go on reading, and whom the earlier one shut out must not
        begin to.
        """
        versions = {chunk.version_id for chunk in have}
        own = {version: await self.lake.at(document.path, version) for version in versions}

        def labelled(chunk: IndexedChunk) -> IndexedChunk:
            # What a version names itself is asked of the lake: the index's word is narrower once a newer one was
            # unreadable. It stands in for a version that the lake has lost: so such a one is never opened wider.
            before = (own[chunk.version_id] or chunk).allowed_groups
            return replace(chunk, newer_unreadable=reason, allowed_groups=both(before, document.allowed_groups))

        return tuple(labelled(chunk) for chunk in have)

    async def _write(self, ready: Prepared, index: Chunks) -> Outcome:
        """Write new chunks, relabel those that stay, then delete the rest: in that order."""
        document, have, want, loaded = ready.document, ready.have, ready.want, ready.loaded
        # A chunk of another pipeline may have another vector under the same text: it is written whole.
        present = {chunk.id for chunk in have if chunk.pipeline == self.pipeline}
        new = [position for position, chunk in enumerate(want) if chunk.id not in present]
        stay = [chunk for chunk in want if chunk.id in present]
        gone = {chunk.id for chunk in have} - {chunk.id for chunk in want}
        with ready.stages.stage("write"):
            waited = await index.upload([want[position] for position in new], loaded.record.vectors[new])
            waited += await index.merge(stay)
            waited += await index.delete(sorted(gone))
        return Outcome(
            document.path,
            "quarantined" if ready.problem else "indexed",
            added=len(new),
            kept=len(stay),
            removed=len(gone),
            embedded=loaded.took.embedded,
            waited=loaded.took.waited + waited,
            reason=ready.problem.reason if ready.problem else "",
            version_id=document.version_id,
            changed=document.last_modified,
            tokens_embedded=loaded.took.tokens_embedded,
            tokens_reused=loaded.took.tokens_reused,
            stages=ready.stages,
        )

    async def _load(self, document: LakeDocument, key: str, pointer: Pointer | None, stages: Stages) -> _Loaded:
        """Return the document's chunks and vectors, computing only what the embedding store does not hold.

        Raises UnreadableDocument, and DocumentMoved when this version is gone.
        """
        with stages.stage("store"):
            pointer = pointer or await self._store.pointer(key)
            if pointer and pointer.etag == document.etag:
                stored = await self._store.record(pointer.content_key)
                if stored:
                    reused = _Vectors(stored.vectors, tokens_reused=pointer.tokens)
                    return _Loaded(stored, pointer.content_sha256, reused)
        if document.size > self._max_bytes:
            raise UnreadableDocument("too_large", f"{document.size} bytes; DOCUMENT_MAX_BYTES is {self._max_bytes}")
        with stages.stage("download"):
            content = await self.lake.read(document)
        digest = hashlib.sha256(content).hexdigest()
        # The extension chooses the reader, so equal bytes that another reader is to read are another content.
        content_key = f"{digest}{reader_suffix(document.path)}"
        with stages.stage("store"):
            record = await self._store.adopt(content_key)
        if record is None:
            with stages.stage("extract"):
                extracted = await self._extract(document.path, content)
            chunks = tuple(
                StoredChunk(chunk.text, chunk.heading, chunk.page, chunk.start, chunk.end) for chunk in extracted.chunks
            )
            with stages.stage("embed"):
                took = await self._embed(chunks, pointer)
            made = Record(extracted.title, chunks, took.vectors)
            with stages.stage("store"):
                record = await self._store.save(content_key, made)
        else:
            took = _Vectors(record.vectors, tokens_reused=sum(map(_tokens, record.chunks)))
        tokens = took.tokens_embedded + took.tokens_reused
        outline = outline_sha256(indexed_chunks(document, key, record, digest, self.pipeline))
        pointer = Pointer(
            path=document.path,
            etag=document.etag,
            version_id=document.version_id,
            content_key=content_key,
            content_sha256=digest,
            chunks=len(record.chunks),
            tokens=tokens,
            outline_sha256=outline,
        )
        with stages.stage("store"):
            await self._store.point(key, pointer)
        return _Loaded(record, digest, took)

    async def _embed(self, chunks: tuple[StoredChunk, ...], previous: Pointer | None) -> _Vectors:
        """Return a vector for each chunk; the version before lends what is unchanged."""
        known: dict[str, Vectors] = {}
        before = await self._store.record(previous.content_key) if previous else None
        if before:
            known = {chunk_sha256(chunk): vector for chunk, vector in zip(before.chunks, before.vectors, strict=True)}
        wanted = {chunk_sha256(chunk): chunk for chunk in chunks}
        missing = [digest for digest in wanted if digest not in known]
        reused = sum(_tokens(chunk) for digest, chunk in wanted.items() if digest in known)
        fresh = await self._embedder.measured([embedding_input(wanted[digest]) for digest in missing])
        known.update(zip(missing, fresh.vectors, strict=True))
        vectors = np.stack([known[chunk_sha256(chunk)] for chunk in chunks])
        return _Vectors(vectors, len(missing), fresh.tokens, reused, fresh.waited)

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


def _tokens(chunk: StoredChunk) -> int:
    return count_tokens(embedding_input(chunk))


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
        version_id=before.version_id if confirmed else step.version_id,
        changed=step.changed or before.changed,
        tokens_embedded=before.tokens_embedded + step.tokens_embedded,
        tokens_reused=before.tokens_reused + step.tokens_reused,
        stages=before.stages + step.stages,
    )
