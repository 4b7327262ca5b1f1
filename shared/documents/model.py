"""What a document is made of, once it is text. Pure data."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, Protocol

Kind = Literal["heading", "paragraph", "list", "table", "code"]


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a document: `text[start:end]` of its document.

    `level` is 1 to 6 for a heading, else 0; `heading` is a heading's plain text. `page` counts from 1, None where the
    format has no pages. `pages` are the labels of the first and the last page that it may be on by the document's table
    of contents, the last "" where that does not say; None where there is no such table.
    """

    kind: Kind
    start: int  # inclusive
    end: int  # exclusive
    level: int
    heading: str
    page: int | None
    pages: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document as text: its title, its whole text (Markdown), and the blocks in it, in order and not overlapping.

    `pictures` are the numbers of pages that are pictures only, whose text is therefore not there.
    """

    title: str
    text: str
    blocks: tuple[Block, ...]
    pictures: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document: `text` is exactly `document.text[start:end]`; `heading` is the breadcrumb above it."""

    ordinal: int
    heading: str
    text: str
    page: int | None
    start: int  # inclusive
    end: int  # exclusive


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """Sizes in tokens: what a chunk aims at, and what it never exceeds."""

    target_tokens: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Extracted:
    """A document's chunks; `title` is None where it would only be the file's name in words.

    `pictures` are the numbers of pages that are pictures only.
    """

    title: str | None
    chunks: tuple[Chunk, ...]
    pictures: tuple[int, ...] = ()


class Embeddable(Protocol):
    """Anything with a breadcrumb and a text: a chunk, fresh or stored."""

    @property
    def heading(self) -> str:
        """The breadcrumb."""

    @property
    def text(self) -> str:
        """The text."""


def title_from_path(path: str) -> str:
    """Return a readable title made of a file's name, for documents that have none of their own."""
    words = PurePosixPath(path).stem.replace("_", " ").replace("-", " ").split()
    title = " ".join(words) or path
    return title[0].upper() + title[1:]
