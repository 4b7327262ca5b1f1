"""Markdown to blocks. Every reader ends here: formats are turned into Markdown, page by page, and scanned once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from markdown_it import MarkdownIt

from shared.documents.model import Block, Document, Kind, title_from_path

MAX_HEADING = 200  # characters; a longer one is a paragraph, for a heading is repeated in every chunk below it

# Blocks only: what stands inside a paragraph is not looked at, and hostile text is most costly there.
_AUTHORED = MarkdownIt("commonmark").enable("table").disable("inline")
# A line of dashes below a line of plain text is a rule, a signature's mark or a table's border, and no heading's.
_MADE = MarkdownIt("commonmark").enable("table").disable(["inline", "lheading"])
# It begins with a key or a comment: two thematic breaks with prose between them are no front matter.
_FRONT_MATTER = re.compile(r"\A---\n(?=#|[\w.-]+ *:)(.*?\n)---(?:\n+|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*[\"']?(.+?)[\"']?\s*$", re.MULTILINE)
_KINDS: dict[str, Kind] = {
    "heading_open": "heading",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
}
# Control characters, byte order marks and lone surrogates are no text, and JSON or XML downstream may refuse them.
# Those that part words, such as the end of a page, leave a space.
_CONTROLS = {code: " " if chr(code).isspace() else None for code in range(32) if chr(code) not in "\n\t"}
_TRANSLATED = {**_CONTROLS, **dict.fromkeys([127, 0xFEFF, *range(0xD800, 0xE000)])}
_EMPHASIS = re.compile(r"[*_`]{1,3}(?=\S)(.+?)(?<=\S)[*_`]{1,3}")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a document as Markdown; `number` counts from 1, None where the format has no pages."""

    number: int | None
    markdown: str


def document(path: str, pages: Iterable[Page], title: str = "", authored: bool = False) -> Document:
    """Return the document that the pages make up.

    The title is the one given, else the front matter's, else the first heading's, else the file's name. `authored` says
    that somebody wrote the text as Markdown: only then it may begin with front matter, and may underline its headings.
    """
    texts: list[str] = []
    blocks: list[Block] = []
    offset = 0
    for page in pages:
        text = _normalise(page.markdown)
        if authored and not texts and (match := _FRONT_MATTER.match(text)):
            named = _TITLE.search(match[1])
            title = title or (named[1] if named else "")
            text = text[match.end() :]
        blocks += _blocks(text, offset, page.number, _AUTHORED if authored else _MADE)
        texts.append(text)
        offset += len(text) + 2  # the two newlines that join pages
    first = next((block.heading for block in blocks if block.heading), "")
    return Document(shortened(title) or first or title_from_path(path), "\n\n".join(texts), tuple(blocks))


def shortened(name: str) -> str:
    """Return a title or name on one line, and without its end where it is longer than a heading may be."""
    line = " ".join(name.split())
    return line if len(line) <= MAX_HEADING else f"{line[: MAX_HEADING - 1].rstrip()}…"


def _normalise(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").translate(_TRANSLATED).expandtabs(4).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def _blocks(text: str, offset: int, page: int | None, parser: MarkdownIt) -> list[Block]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    tokens = parser.parse(text)
    found: list[Block] = []
    covered = 0  # lines up to here belong to a block
    for position, token in enumerate(tokens):
        if token.level != 0 or token.map is None:
            continue
        first, after = token.map
        if first > covered:  # lines that the parser gave no block, such as link definitions, are text all the same
            found += _block(text, starts, covered, first, "paragraph", 0, "", offset, page)
        kind = _KINDS.get(token.type, "paragraph")
        level, heading = 0, ""
        if kind == "heading":
            level, heading = int(token.tag[1]), plain(tokens[position + 1].content)
            if len(heading) > MAX_HEADING:
                kind, level, heading = "paragraph", 0, ""
        found += _block(text, starts, max(first, covered), after, kind, level, heading, offset, page)
        covered = max(covered, after)
    return found + _block(text, starts, covered, len(starts) - 1, "paragraph", 0, "", offset, page)


def _block(
    text: str,
    starts: list[int],
    first: int,
    after: int,
    kind: Kind,
    level: int,
    heading: str,
    offset: int,
    page: int | None,
) -> list[Block]:
    """Return the block of lines first..after without the blank lines around it; none when it is all blank."""
    start, end = starts[first], min(starts[max(first, after)], len(text))
    body = text[start:end]
    if not body.strip():
        return []
    end -= len(body) - len(body.rstrip())
    start += len(body) - len(body.lstrip("\n"))
    return [Block(kind, offset + start, offset + end, level, heading, page)]


def plain(inline: str) -> str:
    """Return a line of Markdown without emphasis and the targets of links."""
    text = _LINK.sub(r"\1", inline)
    return " ".join(_EMPHASIS.sub(r"\1", text).split())
