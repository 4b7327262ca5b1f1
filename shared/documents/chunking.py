"""Cut a document into chunks. Pure and deterministic: the same text gives the same chunks on every machine.

Headings come first: a section that is not tiny starts a chunk. Inside a long section the cuts are content-defined: a
chunk that is large enough ends after a block whose own hash says so, which does not depend on what was edited before
it. So an edit changes the chunks it touches and, as a rule, at most the next one. Tables, lists and code stay whole
where they fit; where they do not, their lines are cut by the same rule. No chunk runs over the end of a page, so that
the page a citation names is the page its text is on.

Idea of content-defined cuts: Muthitacharoen et al., "A Low-bandwidth Network File System", SOSP 2001.
"""

import hashlib
import itertools
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from semantic_text_splitter import TextSplitter

from shared.documents.model import Block, Chunk, ChunkLimits, Document

# Chosen by replaying a year of edits to a documentation site: the least text embedded again at the same mean chunk.
DIVISOR = 2  # one block in two ends a chunk that is large enough
SMALL_SHARE = 0.2  # of the target: a chunk below this goes on into the next section; at a page's end it joins the last
ENOUGH_SHARE = 0.5  # of the target: from here on a block's hash may end the chunk

MAX_BREADCRUMB = 300  # characters, of which every chunk's copy is embedded and searched

_BETWEEN = " > "
_AT = " · "
_LINE = re.compile(r"[^\n]*\S[^\n]*")  # a line that is not blank

# The time to split a line goes by the square of its length: an endless one is cut into stretches first, at a joint.
STRETCH = 10  # times the most tokens, in characters
_JOINTS = (re.compile(r"[.!?]+(?=\s)|[。！？｡]+[」』）”]*"), re.compile(r"\s+|[、，；：]"))

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A block, or a part of an over-long one, with the breadcrumb that holds from it on."""

    start: int
    end: int
    opens_section: bool
    breadcrumb: str
    page: int | None
    pages: tuple[str, str] | None


def chunk_document(document: Document, limits: ChunkLimits, count_tokens: CountTokens) -> tuple[Chunk, ...]:
    """Return the document's chunks in order.

    No chunk is over `limits.max_tokens` (but for a single character that costs more), none is blank, and every
    character that is not blank lies in exactly one. All of a chunk is on its page.
    """
    pieces = _pieces(document, limits.max_tokens, count_tokens)
    groups = itertools.chain.from_iterable(
        _page(page, on_page, document.text, limits, count_tokens)
        for page, on_page in itertools.groupby(pieces, key=lambda piece: piece.page)
    )
    return tuple(_chunk(ordinal, group, document.text) for ordinal, group in enumerate(groups))


def _chunk(ordinal: int, pieces: list[_Piece], text: str) -> Chunk:
    start, end = pieces[0].start, pieces[-1].end
    heading = pieces[0].breadcrumb + _where(pieces[0].pages, pieces[-1].pages)
    return Chunk(ordinal, heading, text[start:end], pieces[0].page, start, end)


def _where(first: tuple[str, str] | None, last: tuple[str, str] | None) -> str:
    """Return what follows the breadcrumb where the document's table of contents tells the pages."""
    if first is None:
        return ""
    begin, end = first[0], last[1] if last else ""
    if begin == end:
        return f"{_AT}p. {begin}"
    return f"{_AT}pp. {begin} to {end}" if end and first[1] else f"{_AT}from p. {begin}"


def _page(
    page: int | None, pieces: Iterator[_Piece], text: str, limits: ChunkLimits, count_tokens: CountTokens
) -> list[list[_Piece]]:
    """Return the chunks of one page. A small rest at its end goes to the chunk before, where that has room for it."""
    groups = list(_pack(pieces, text, limits, count_tokens))
    if page is not None and len(groups) > 1:
        before, rest = groups[-2:]
        small = count_tokens(text[rest[0].start : rest[-1].end]) < SMALL_SHARE * limits.target_tokens
        if small and count_tokens(text[before[0].start : rest[-1].end]) <= limits.max_tokens:
            groups[-2:] = [before + rest]
    return groups


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
        breadcrumb = _breadcrumb([name for _, name in trail if name])
        for start, end in _parts(document.text, block, most, count_tokens):
            yield _Piece(start, end, opens, breadcrumb, block.page, block.pages)
            opens = False


def _breadcrumb(names: list[str]) -> str:
    """Return the path of headings, without the outermost where it would be too long: the innermost say most."""
    while sum(map(len, names)) + len(_BETWEEN) * (len(names) - 1) > MAX_BREADCRUMB and len(names) > 1:
        names = names[1:]
    return _BETWEEN.join(names)


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
        splitter = TextSplitter.from_callback(count_tokens, most)
        for start, end in _stretches(text, line.start(), line.end(), STRETCH * most):
            for offset, part in splitter.chunk_indices(text[start:end]):
                yield start + offset, start + offset + len(part)


def _stretches(text: str, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of stretches of at most `most` characters that make up the line: of whole sentences, failing
    that of whole words, failing that of characters.
    """
    while end - start > most:
        joints = (match.end() for pattern in _JOINTS for match in _last(pattern, text, start + most // 2, start + most))
        cut = next(joints, start + most)
        yield start, cut
        start = cut
    yield start, end


def _last(pattern: re.Pattern[str], text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """Yield the last match, if there is one."""
    yield from deque(pattern.finditer(text, start, end), maxlen=1)
