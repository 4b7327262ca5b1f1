"""Cut a document into chunks. Pure and deterministic: the same text gives the same chunks on every machine.

Headings come first: a section that is not tiny starts a chunk. Inside a long section the cuts are content-defined: a
chunk that is large enough ends after a block whose own hash says so, which does not depend on what was edited before
it. So an edit changes the chunks it touches and, as a rule, at most the next one. Tables, lists and code stay whole
where they fit; where they do not, their lines are cut by the same rule.

Idea of content-defined cuts: Muthitacharoen et al., "A Low-bandwidth Network File System", SOSP 2001.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from semantic_text_splitter import TextSplitter

from shared.documents.model import Block, Chunk, ChunkLimits, Document

# Chosen by replaying a year of edits to a documentation site: the least text embedded again at the same mean chunk.
DIVISOR = 2  # one block in two ends a chunk that is large enough
SMALL_SHARE = 0.2  # of the target: a chunk below this goes on into the next section
ENOUGH_SHARE = 0.5  # of the target: from here on a block's hash may end the chunk

_LINE = re.compile(r"[^\n]*\S[^\n]*")  # a line that is not blank

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A block, or a part of an over-long one, with the breadcrumb that holds from it on."""

    start: int
    end: int
    opens_section: bool
    breadcrumb: str
    page: int | None


def chunk_document(document: Document, limits: ChunkLimits, count_tokens: CountTokens) -> tuple[Chunk, ...]:
    """Return the document's chunks in order.

    No chunk is over `limits.max_tokens` (but for a single character that costs more), none is blank, and every
    character that is not blank lies in exactly one.
    """
    pieces = _pieces(document, limits.max_tokens, count_tokens)
    groups = _pack(pieces, document.text, limits, count_tokens)
    return tuple(_chunk(ordinal, group, document.text) for ordinal, group in enumerate(groups))


def _chunk(ordinal: int, pieces: list[_Piece], text: str) -> Chunk:
    start, end = pieces[0].start, pieces[-1].end
    return Chunk(ordinal, pieces[0].breadcrumb, text[start:end], pieces[0].page, start, end)


def _pack(
    pieces: Iterator[_Piece], text: str, limits: ChunkLimits, count_tokens: CountTokens
) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    for piece in pieces:
        # Counted on the text itself, not summed up: tokens can reach over the joint, and a gap may be many blank lines.
        if group and (
            _ends_after(group, piece, text, limits, count_tokens)
            or count_tokens(text[group[0].start : piece.end]) > limits.max_tokens
        ):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _ends_after(
    group: list[_Piece], following: _Piece, text: str, limits: ChunkLimits, count_tokens: CountTokens
) -> bool:
    """Whether the chunk is to end here although the next piece would fit."""
    last = group[-1]
    if last.opens_section and not following.opens_section:
        return False  # a heading is never parted from what it is the heading of
    tokens = count_tokens(text[group[0].start : last.end])
    if following.opens_section:
        return tokens >= SMALL_SHARE * limits.target_tokens
    if tokens >= limits.target_tokens:
        return True
    return tokens >= ENOUGH_SHARE * limits.target_tokens and _says_cut(text[last.start : last.end])


def _says_cut(text: str) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % DIVISOR == 0


def _pieces(document: Document, most: int, count_tokens: CountTokens) -> Iterator[_Piece]:
    trail: list[tuple[int, str]] = []
    for block in document.blocks:
        opens = block.kind == "heading"
        if opens:
            trail = [(level, name) for level, name in trail if level < block.level] + [(block.level, block.heading)]
        breadcrumb = " > ".join(name for _, name in trail if name)
        for start, end in _parts(document.text, block, most, count_tokens):
            yield _Piece(start, end, opens, breadcrumb, block.page)
            opens = False


def _parts(text: str, block: Block, most: int, count_tokens: CountTokens) -> Iterator[tuple[int, int]]:
    """Yield start and end of the block, or of its parts when it is over `most` tokens.

    Parts are lines (rows of a table, items of a list, lines of code), so that the cuts between them can be
    content-defined too; a line that is over-long by itself falls apart into sentences, words, and last characters.
    """
    if count_tokens(text[block.start : block.end]) <= most:
        yield block.start, block.end
        return
    for line in _LINE.finditer(text, block.start, block.end):
        if count_tokens(line[0]) <= most:
            yield line.start(), line.end()
            continue
        for offset, part in TextSplitter.from_callback(count_tokens, most).chunk_indices(line[0]):
            yield line.start() + offset, line.start() + offset + len(part)
