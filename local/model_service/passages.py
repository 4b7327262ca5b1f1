"""Read passages and question out of a prompt, and sentences out of passages. Pure."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

_PASSAGE = re.compile(r'<passage n="(\d+)"([^>]*)>\n(.*?)\n</passage>', re.DOTALL)
_QUESTION = re.compile(r"<question>\n(.*?)\n</question>", re.DOTALL)
_TITLE = re.compile(r'title=(?:"([^"]*)"|\'([^\']*)\')')
_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[*]*[A-ZÄÖÜÅ0-9])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|No|Nr|Dr|Mr|Mrs|Ms|St|approx|ca|bzw|z\.B)\.$")
_RULE = re.compile(r"^[\s|:+=-]*$")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_MARKUP = re.compile(r"[*_`]{1,3}(?=\S)(.+?)(?<=\S)[*_`]{1,3}|!?\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage of the prompt."""

    n: int
    title: str
    text: str


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
        title = _TITLE.search(attributes)
        shown = html.unescape(title[1] or title[2] or "") if title else ""
        passages.append(Passage(int(number), shown, html.unescape(text)))
    return tuple(passages), html.unescape(question[1]).strip()


def sentences(passage: Passage) -> Iterator[Sentence]:
    """Yield what can be quoted of a passage: sentences, list items, and table rows spelled out with their headers."""
    heading, lead, header = "", "", None
    paragraph: list[str] = []

    def flush() -> Iterator[Sentence]:
        text = " ".join(paragraph)
        paragraph.clear()
        for sentence in split(text):
            yield Sentence(passage.n, sentence, f"{passage.title} {heading}")

    for line in passage.text.split("\n"):
        bare = line.strip()
        if bare.startswith("|"):
            yield from flush()
            cells = [plain(cell) for cell in bare.strip("|").split("|")]
            if _RULE.match(bare):
                continue
            if header is None:
                header = cells
                continue
            yield Sentence(passage.n, _row(header, cells), f"{passage.title} {heading} {lead}")
            continue
        header = None
        if not bare or _RULE.match(bare):
            lead = paragraph[-1] if paragraph else lead
            yield from flush()
        elif bare.startswith("#"):
            yield from flush()
            heading, lead = plain(bare.lstrip("# ")), ""
        elif _ITEM.match(line):
            lead = paragraph[-1] if paragraph and not _ITEM.match(paragraph[0]) else lead
            yield from flush()
            paragraph.append(plain(_ITEM.sub("", line)))
        else:
            paragraph.append(plain(bare))
    yield from flush()


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
