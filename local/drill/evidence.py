"""Evidence that no app gives of itself: what its index really holds, and who asked the lake that is lost."""

import asyncio
import contextlib
import hashlib
import socketserver
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import PurePosixPath

import numpy as np

from local.drill.ledger import ABSENT, Write
from shared.access import RULES
from shared.clients import Services
from shared.documents import ChunkLimits, chunk_document, count_tokens, embedding_input, read_document
from shared.embeddings.record import Record, StoredChunk
from shared.embeddings.store import EmbeddingStore
from shared.index.schema import IndexedChunk
from shared.lake.model import LakeDocument
from shared.sync import indexed_chunks

FIRST_LINE_SECONDS = 2.0
POLL_SECONDS = 0.05  # until a server in a thread sees that it is to end
GONE_SECONDS = 10.0  # for a killed process to leave its port
# What may ask a lake that is gone: its replica, which tries to follow it, and the chat, which reads the rules of access
# in the lake first and then in its replica.
ALLOWED = (" /-/", f"/{RULES}")


@dataclass(frozen=True, slots=True)
class Comparison:
    """An index beside what was written: documents and chunks that were compared, and every difference in words."""

    documents: int
    chunks: int
    differences: tuple[str, ...]


async def compare_index(services: Services, expected: Mapping[str, Write]) -> Comparison:
    """Compare the index that answers with the texts that were written, field by field. `expected` is by path.

    The texts come from whoever wrote them, not from the lake, and are cut anew: what the lake or the embedding store
    may have lost or mixed up shows here.
    """
    live = await services.generations.require_live()
    found = {chunk.id: chunk async for chunk in services.indexer.chunks(live).all()}
    wanted = {chunk.id: chunk for write in expected.values() for chunk in chunks_of(services, write)}
    differences = [f"{wanted[key].path}: a chunk is missing" for key in wanted.keys() - found.keys()]
    differences += [f"{found[key].path}: a chunk too many" for key in found.keys() - wanted.keys()]
    for key in wanted.keys() & found.keys():
        wrong = [
            f"{one.name} is {getattr(found[key], one.name)!r}, not {getattr(wanted[key], one.name)!r}"
            for one in fields(IndexedChunk)
            if getattr(found[key], one.name) != getattr(wanted[key], one.name)
        ]
        differences += [f"{wanted[key].path}: {text}" for text in wrong]
    return Comparison(len(expected), len(wanted), tuple(sorted(differences)))


def chunks_of(services: Services, write: Write) -> tuple[IndexedChunk, ...]:
    """Return what the index shall hold of a document as it was written."""
    settings = services.settings
    content = write.depot.text(write.edition).encode()
    document = read_document(write.path, content)
    limits = ChunkLimits(settings.chunk_target_tokens, settings.chunk_max_tokens)
    made = chunk_document(document, limits, count_tokens)
    chunks = tuple(StoredChunk(one.text, one.heading, one.page, one.start, one.end) for one in made)
    record = Record(document.title, chunks, np.empty((0, 0), np.float32))
    modified = write.modified or datetime.fromtimestamp(0, UTC)
    in_lake = LakeDocument(write.path, write.etag, write.version_id, modified, len(content), {})
    key = services.indexer.document_id(write.path)
    return indexed_chunks(in_lake, key, record, hashlib.sha256(content).hexdigest(), services.pipeline)


def tokens_of(services: Services, writes: Iterable[Write]) -> int:
    """Return the tokens that embedding what was written takes; a deletion takes none."""
    chunks = (chunk for write in writes if write.edition != ABSENT for chunk in chunks_of(services, write))
    stored = (StoredChunk(chunk.content, chunk.heading, chunk.page, 0, 0) for chunk in chunks)
    return sum(count_tokens(embedding_input(chunk)) for chunk in stored)


async def unstored(store: EmbeddingStore, expected: Iterable[Write]) -> list[Write]:
    """Return the writes whose vectors an embedding store does not have.

    A version that was written in the last moments before the cut may have been replicated before its vectors were
    computed. Nobody can have those; everybody else's must be there.
    """
    return [write for write in expected if await store.record(content_key(write)) is None]


def content_key(write: Write) -> str:
    """Return the name under which the embedding store keeps a document's content."""
    content = write.depot.text(write.edition).encode()
    return f"{hashlib.sha256(content).hexdigest()}{PurePosixPath(write.path).suffix}"


class Tombstone(socketserver.ThreadingTCPServer):
    """What stands where a lost service listened: it answers nobody, and notes who asked.

    It runs in threads: a server of asyncio that closes while somebody connects leaves that connection open (3.13).
    """

    allow_reuse_address = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Caller)
        self.requests: list[str] = []

    def note(self, line: bytes) -> None:
        """Note who asks. Whoever may ask is left out; who says nothing is noted all the same."""
        said = line.decode(errors="replace").strip().removesuffix(" HTTP/1.1")
        if not any(allowed in said for allowed in ALLOWED):
            self.requests.append(said or "a connection on which nothing was said")


class _Caller(socketserver.StreamRequestHandler):
    """One connection: its first line is read, then it is cut off."""

    server: Tombstone
    timeout = FIRST_LINE_SECONDS

    def handle(self) -> None:
        line = b""
        with contextlib.suppress(OSError):  # a timeout is one
            line = self.rfile.readline()
        self.server.note(line)


@contextlib.asynccontextmanager
async def tombstone(port: int) -> AsyncIterator[Tombstone]:
    """Stand at a port for the length of the block."""
    stone = await _listen(port)
    standing = asyncio.create_task(asyncio.to_thread(stone.serve_forever, POLL_SECONDS))
    try:
        yield stone
    finally:
        await asyncio.to_thread(stone.shutdown)
        await standing
        await asyncio.to_thread(stone.server_close)  # waits for those that are being read


async def _listen(port: int) -> Tombstone:
    """Take the port; whoever was killed there may need a moment to be gone."""
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        try:
            return Tombstone(port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
