"""Cut a document into chunks. Pure and deterministic: the same text gives the same chunks on every machine.

Headings come first: a section that is not tiny starts a chunk. Inside a long section the cuts are content-defined: a chunk that
is large enough ends after a block whose own hash says so, which does not depend on what was edited before it. So an edit
changes the chunks it touches and, as a rule, at most the next one. Tables, lists and code stay whole where they fit.

Idea of content-defined cuts: Muthitacharoen et al., "A Low-bandwidth Network File System", SOSP 2001.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from semantic_text_splitter import TextSplitter

from shared.documents.model import Block, Chunk, ChunkLimits, Document

DIVISOR = 3  # one block in three ends a chunk that is large enough
SMALL_SHARE = 0.4  # of the target: a chunk below this goes on into the next section
ENOUGH_SHARE = 0.7  # of the target: from here on a block's hash may end the chunk
JOIN_TOKENS = 2  # most tokens that the blank line between two blocks costs

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A block, or a part of an over-long one, with its cost and the breadcrumb that holds from it on."""

    start: int
    end: int
    tokens: int
    opens_section: bool
    breadcrumb: str
    page: int | None


def chunk_document(document: Document, limits: ChunkLimits, count_tokens: CountTokens) -> tuple[Chunk, ...]:
    """Return the document's chunks in order.

    No chunk is over `limits.max_tokens`, none is blank, and every character that is not blank lies in exactly one.
    """
    pieces = list(_pieces(document, limits, count_tokens))
    return tuple(_chunk(ordinal, group, document.text) for ordinal, group in enumerate(_pack(pieces, document, limits)))


def _chunk(ordinal: int, pieces: list[_Piece], text: str) -> Chunk:
    start, end = pieces[0].start, pieces[-1].end
    return Chunk(ordinal, pieces[0].breadcrumb, text[start:end], pieces[0].page, start, end)


def _pack(pieces: list[_Piece], document: Document, limits: ChunkLimits) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    tokens = 0
    for piece in pieces:
        if group and _ends_before(piece, group[-1], tokens, document.text, limits):
            yield group
            group, tokens = [], 0
        group.append(piece)
        tokens += piece.tokens + JOIN_TOKENS
    if group:
        yield group


def _ends_before(piece: _Piece, last: _Piece, tokens: int, text: str, limits: ChunkLimits) -> bool:
    if tokens + piece.tokens > limits.max_tokens:
        return True
    if last.opens_section and not piece.opens_section:
        return False  # a heading is never parted from what it is the heading of
    if piece.opens_section:
        return tokens >= SMALL_SHARE * limits.target_tokens
    if tokens >= limits.target_tokens:
        return True
    return tokens >= ENOUGH_SHARE * limits.target_tokens and _says_cut(text[last.start : last.end])


def _says_cut(text: str) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % DIVISOR == 0


def _pieces(document: Document, limits: ChunkLimits, count_tokens: CountTokens) -> Iterator[_Piece]:
    trail: list[tuple[int, str]] = []
    for block in document.blocks:
        opens = block.kind == "heading"
        if opens:
            trail = [(level, name) for level, name in trail if level < block.level] + [(block.level, block.heading)]
        breadcrumb = " > ".join(name for _, name in trail if name)
        for start, end, tokens in _parts(document.text, block, limits.max_tokens, count_tokens):
            yield _Piece(start, end, tokens, opens, breadcrumb, block.page)
            opens = False


def _parts(text: str, block: Block, most: int, count_tokens: CountTokens) -> Iterator[tuple[int, int, int]]:
    """Yield start, end and tokens of the block, or of its parts when it is over `most` tokens."""
    body = text[block.start : block.end]
    tokens = count_tokens(body)
    if tokens + JOIN_TOKENS <= most:
        yield block.start, block.end, tokens
        return
    # Rows of a table and lines of code are lines; the splitter falls back from lines to sentences, words and characters.
    room = max(1, most - JOIN_TOKENS)
    for offset, part in TextSplitter.from_callback(count_tokens, room).chunk_indices(body):
        start = block.start + offset
        yield start, start + len(part), count_tokens(part)
