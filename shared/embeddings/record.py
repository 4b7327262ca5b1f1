"""The stored form of one document's chunks and vectors: one immutable blob per content and pipeline. Pure.

Layout, all integers little-endian:

    4 bytes   magic `WLR2` (the number is the format's version)
    4 bytes   length H of the header
    H bytes   header, UTF-8 JSON: {"content", "title", "dimensions",
                                   "chunks": [{"text", "heading", "page", "start", "end"}, ...]}
    N*D*4     vectors, float32, in the order of the chunks
    32 bytes  SHA-256 of everything before

`content` is the content key that the record was made from. A damaged record is recognised by its checksum, one that
lies under another's name by its content; either is treated as absent, so it is computed and written again.
"""

import hashlib
import json
import struct
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

MAGIC = b"WLR2"
CHECKSUM_BYTES = 32

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """One chunk as extracted: its text, breadcrumb, page (1-based or None) and offsets into the document's text."""

    text: str
    heading: str
    page: int | None
    start: int  # inclusive
    end: int  # exclusive


@dataclass(frozen=True, slots=True)
class Record:
    """A document's content in the form that the index needs.

    `title` is None when the content has none and the path supplies it. `vectors` has shape (len(chunks), dimensions).
    """

    title: str | None
    chunks: tuple[StoredChunk, ...]
    vectors: Vectors


class DamagedRecord(ValueError):
    """The bytes are not a whole record of this format and of the content that was asked for."""


def encode(record: Record, content_key: str) -> bytes:
    """Return the record's bytes. Raises ValueError when vectors and chunks do not match in number."""
    if record.vectors.ndim != 2 or len(record.vectors) != len(record.chunks):
        raise ValueError(f"{len(record.chunks)} chunks but vectors of shape {record.vectors.shape}")
    header = {
        "content": content_key,
        "title": record.title,
        "dimensions": int(record.vectors.shape[1]),
        "chunks": [asdict(chunk) for chunk in record.chunks],
    }
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    body = MAGIC + struct.pack("<I", len(head)) + head + record.vectors.astype("<f4").tobytes()
    return body + hashlib.sha256(body).digest()


def decode(data: bytes, content_key: str) -> Record:
    """Return the record in `data`.

    Raises DamagedRecord, and nothing else, when it is cut short, altered, of another format or of another content.
    """
    body, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    if not body.startswith(MAGIC) or hashlib.sha256(body).digest() != checksum:
        raise DamagedRecord("checksum or format does not match")
    try:
        start = len(MAGIC) + 4
        end = start + int(struct.unpack_from("<I", body, len(MAGIC))[0])
        header = json.loads(body[start:end])
        content = header["content"]
        chunks = tuple(StoredChunk(**chunk) for chunk in header["chunks"])
        vectors = np.frombuffer(body[end:], dtype="<f4").reshape(len(chunks), header["dimensions"])
        record = Record(header["title"], chunks, vectors.astype(np.float32))
    except (LookupError, TypeError, ValueError, RecursionError, struct.error) as fault:  # whole, but no record
        raise DamagedRecord(f"{type(fault).__name__}: {fault}") from fault
    if content != content_key:
        raise DamagedRecord(f"it is of the content {content!r}")
    return record
