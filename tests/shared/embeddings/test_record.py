"""The stored form of chunks and vectors: comes back exactly, and any damage is seen."""

import hashlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.embeddings.record import CHECKSUM_BYTES, MAGIC, DamagedRecord, Record, StoredChunk, decode, encode

CONTENT = "ab12.md"

texts = st.text(st.characters(codec="utf-8"), max_size=40)
chunks = st.builds(
    StoredChunk,
    text=texts,
    heading=texts,
    page=st.none() | st.integers(1, 2_000),
    start=st.integers(0, 10**9),
    end=st.integers(0, 10**9),
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    held = tuple(draw(st.lists(chunks, max_size=5)))
    seed, dimensions = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 16))
    vectors = np.random.default_rng(seed).standard_normal((len(held), dimensions)).astype(np.float32)
    return Record(draw(st.none() | texts), held, vectors)


def small() -> Record:
    held = tuple(StoredChunk(f"text {n}", "Top > Ü", n or None, n, n + 6) for n in range(3))
    return Record("Title", held, np.arange(12, dtype=np.float32).reshape(3, 4))


@given(records())
def test_record_comes_back_exactly(record: Record) -> None:
    """Title, chunks and every bit of every vector survive, and equal records give equal bytes."""
    data = encode(record, CONTENT)
    back = decode(data, CONTENT)
    assert (back.title, back.chunks) == (record.title, record.chunks)
    assert back.vectors.dtype == np.float32
    assert back.vectors.shape == record.vectors.shape
    assert back.vectors.tobytes() == record.vectors.tobytes()
    assert encode(back, CONTENT) == data


def test_special_floats_come_back() -> None:
    """Infinities, subnormals, negative zero and NaN keep their bits."""
    vectors = np.array([[np.inf, -np.inf, -0.0, 1e-45, np.nan]], dtype=np.float32)
    record = Record(None, small().chunks[:1], vectors)
    assert decode(encode(record, CONTENT), CONTENT).vectors.tobytes() == vectors.tobytes()


def test_every_damaged_byte_is_detected() -> None:
    """Any bit flipped in any byte is seen."""
    data = encode(small(), CONTENT)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(DamagedRecord):
            decode(bytes(damaged), CONTENT)


def test_every_truncation_is_detected() -> None:
    """A record cut short anywhere, down to nothing, is seen; so is one with more behind it."""
    data = encode(small(), CONTENT)
    for length in range(len(data)):
        with pytest.raises(DamagedRecord):
            decode(data[:length], CONTENT)
    with pytest.raises(DamagedRecord):
        decode(data + b"\0", CONTENT)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_no_record(data: bytes) -> None:
    """Whatever else lies under a record's name is damage, not an error of another kind."""
    with pytest.raises(DamagedRecord):
        decode(data, CONTENT)


def test_another_format_is_no_record() -> None:
    """A later format with a right checksum is not misread."""
    body = b"WLR9" + encode(small(), CONTENT)[len(MAGIC) : -CHECKSUM_BYTES]
    with pytest.raises(DamagedRecord):
        decode(body + hashlib.sha256(body).digest(), CONTENT)


def test_record_of_another_content_is_no_record() -> None:
    """A whole record that lies under another content's name is not taken for that content's."""
    with pytest.raises(DamagedRecord, match=r"of the content 'ab12\.md'"):
        decode(encode(small(), CONTENT), "cd34.md")


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        b"[" * 100_000,
        b'{"content":"ab12.md","title":null,"dimensions":4,"chunks":[{"text":"t"}]}',
        b'{"content":"ab12.md","title":null,"dimensions":"4","chunks":[]}',
        b'{"content":"ab12.md","title":null,"dimensions":4,"chunks":7}',
    ],
)
def test_whole_bytes_that_make_no_record_are_damage(header: bytes) -> None:
    """A checksum may be right over what no writer of this format has written; that is damage too."""
    body = MAGIC + struct.pack("<I", len(header)) + header + b"\0" * 12
    with pytest.raises(DamagedRecord):
        decode(body + hashlib.sha256(body).digest(), CONTENT)
    cut = MAGIC + header[:2]
    with pytest.raises(DamagedRecord):
        decode(cut + hashlib.sha256(cut).digest(), CONTENT)


def test_layout_is_as_documented() -> None:
    """Magic, header length, JSON header, little-endian floats, checksum: readable without this module."""
    data = encode(small(), CONTENT)
    (length,) = struct.unpack_from("<I", data, 4)
    header = json.loads(data[8 : 8 + length])
    assert data[:4] == b"WLR2"
    assert header["content"] == CONTENT
    assert (header["title"], header["dimensions"], len(header["chunks"])) == ("Title", 4, 3)
    assert struct.unpack_from("<12f", data, 8 + length) == tuple(range(12))
    assert data[-32:] == hashlib.sha256(data[:-32]).digest()
    assert len(data) == 8 + length + 12 * 4 + 32


@pytest.mark.parametrize("vectors", [np.zeros((2, 4), np.float32), np.zeros(3, np.float32)])
def test_vectors_that_do_not_match_are_refused(vectors: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    """A record with more or fewer vectors than chunks is never written."""
    with pytest.raises(ValueError, match="3 chunks but vectors of shape"):
        encode(Record(None, small().chunks, vectors), CONTENT)
