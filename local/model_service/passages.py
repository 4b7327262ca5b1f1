"""Read passages and question out of a prompt, and sentences out of passages. Pure."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

_PASSAGE = re.compile(r'<passage n="(\d+)"([^>]*)>\n(.*?)\n</passage>', re.DOTALL)
_QUESTION = re.compile(r"<question>\n(.*?)\n</question>", re.DOTALL)
_NAMED = re.compile(r'\b(title|heading|path)=(?:"([^"]*)"|\'([^\']*)\')')
_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[*]*[A-ZÄÖÜÅ0-9])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|No|Nr|Dr|Mr|Mrs|Ms|St|approx|ca|bzw|z\.B)\.$")
_RULE = re.compile(r"^[\s|:+=-]*$")
_ITEM = re.compile(r"^\s*(?:[-*+•▪◦·]|\d+[.)])\s+")
_BROKEN = re.compile(r"(?<=[a-zäöüåß,])\n{2,}(?=[a-zäöüåß])")  # a page ended in the middle of a sentence
_MARKUP = re.compile(r"[*_`]{1,3}(?=\S)(.+?)(?<=\S)[*_`]{1,3}|!?\[([^\]]*)\]\([^)]*\)")

HEADING_CHARACTERS = 60  # a longer line without an end is a sentence that lacks its full stop
LIST_CHARACTERS = 400  # a longer list is quoted by its items


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage of the prompt; `title` is what stands above it: its document's title, and its heading where given."""

    n: int
    title: str
    text: str
    path: str = ""
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A quotable sentence: its passage's number, its text, and what stands above it (title, heading, lead-in)."""

    n: int
    text: str
    context: str


def parse(prompt: str) -> tuple[tuple[Passage, ...], str] | None:
    """Return the passages and the question in a prompt, or None when it has no question in that form."""
    question = _QUESTION.search(prompt)
    if question is None:
        return None
    passages = []
    for number, attributes, text in _PASSAGE.findall(prompt):
        named = {found[1]: html.unescape(found[2] or found[3] or "") for found in _NAMED.finditer(attributes)}
        title = f"{named.get('title', '')} {named.get('heading', '')}".strip()
        passages.append(
            Passage(int(number), title, html.unescape(text), named.get("path", ""), named.get("heading", ""))
        )
    return tuple(passages), html.unescape(question[1]).strip()


def sentences(passage: Passage) -> Iterator[Sentence]:
    """Yield what can be quoted of a passage: sentences, list items, and table rows spelled out with their headers.

    A line that only leads into a list is not quotable by itself; with a short list it is quoted as one sentence. A
    question says nothing: alone on its line it heads what follows, elsewhere it is passed over.
    """
    return (sentence for sentence in _parts(passage) if not _asks(sentence.text))


def _parts(passage: Passage) -> Iterator[Sentence]:
    heading, lead = "", ""
    for kind, lines in _blocks(_BROKEN.sub(" ", passage.text)):
        context = f"{passage.title} {heading} {lead}".strip()
        if kind == "heading" or (kind == "list" and len(lines) == 1 and _is_heading(lines[0])):
            heading, lead = plain(lines[0].strip("# ")), ""
        elif kind == "table":
            for row in _rows(lines):
                yield Sentence(passage.n, row, context)
        elif kind == "list":
            if lead.endswith(":") and len(lines) > 1 and len(lead) + sum(map(len, lines)) <= LIST_CHARACTERS:
                listed = "; ".join(line.rstrip(".;,") for line in lines)
                yield Sentence(passage.n, f"{lead} {listed}", f"{passage.title} {heading}".strip())
            for line in lines:
                for sentence in split(line):
                    yield Sentence(passage.n, sentence, context)
        else:
            found = split(lines[0])
            lead = found[-1] if found else ""
            for sentence in found:
                if not sentence.endswith(":"):
                    yield Sentence(passage.n, sentence, f"{passage.title} {heading}".strip())


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the blocks of a text: heading, paragraph (each one line), list (one line an item) or table (its lines)."""
    for kind, group in groupby(_lines(text), key=lambda line: line[0]):
        lines = [line for _, line in group]
        if kind == "text":
            yield from (_paragraph(line) for line in lines)
        elif kind == "heading":
            yield from (("heading", [line]) for line in lines)
        else:
            yield kind, lines


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, line) with paragraphs and items put on one line each; blank lines only separate."""
    kind, held = "", ""
    for line in [*text.split("\n"), ""]:
        bare = line.strip()
        starts = _kind(line)
        if kind and (starts != "text" or not bare):
            yield kind, plain(held)
            kind, held = "", ""
        if not bare or (_RULE.match(bare) and starts != "table"):
            continue
        if starts in ("heading", "table"):
            yield starts, bare
        elif starts == "list":
            kind, held = "list", _ITEM.sub("", line)
        else:
            kind, held = kind or "text", f"{held} {bare}"


def _kind(line: str) -> str:
    bare = line.strip()
    if bare.startswith("|"):
        return "table"
    if bare.startswith("#"):
        return "heading"
    return "list" if _ITEM.match(line) else "text"


def _paragraph(line: str) -> tuple[str, list[str]]:
    return ("heading" if _is_heading(line) else "paragraph"), [line]


def _is_heading(line: str) -> bool:
    """A short line without an end, or a question, standing alone, is a heading: extractors do not always mark them."""
    return len(line) <= HEADING_CHARACTERS and not line.endswith((".", "!", ":", ";", ","))


def _asks(text: str) -> bool:
    return text.rstrip("\"'”’»)]* ").endswith("?")


def _rows(lines: list[str]) -> Iterator[str]:
    header: list[str] | None = None
    for line in lines:
        cells = [plain(cell) for cell in line.strip("|").split("|")]
        if _RULE.match(line):
            continue
        if header is None:
            header = cells
        else:
            yield _row(header, cells)


def split(text: str) -> list[str]:
    """Split running text into sentences."""
    found: list[str] = []
    for part in _END.split(text):
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] += " " + part
        elif part.strip():
            found.append(part.strip())
    return found


def plain(text: str) -> str:
    """Return the text without Markdown's emphasis and links."""
    return " ".join(_MARKUP.sub(lambda match: match[1] or match[2] or "", text).split())


def _row(header: list[str], cells: list[str]) -> str:
    pairs = [f"{name}: {cell}" if name else cell for name, cell in zip(header, cells, strict=False) if cell]
    return "; ".join(pairs) + "."
