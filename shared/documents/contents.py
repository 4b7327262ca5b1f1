"""Tables of contents: the pages that a document itself says its sections are on. Pure.

A line of such a table is a heading's text and the label of the page on which its section begins ("3-18", "iv", "12").
A table that is typed, or was filled by a program, is what is left of the pages where no layout has been stored. What
lies between two headings that it lists lies on the pages from the one's label to the other's.

Lines and headings are matched by their letters and digits, in order. A part that has such a table but no headings, for
they have lost their style, has those that another part of the document has letter by letter (a copy, say). Whatever is
not certain has no page: a wrong one would be worse than none.
"""

import itertools
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from shared.documents.markdown import plain
from shared.documents.model import Block, Document

MIN_LINES = 3  # that are a heading and a page each; fewer are no table
MAX_LINE = 300  # characters; longer lines are text
APART = 5  # lines without a page end a table
LONGEST_LABEL = 8  # characters: "123-1234"
WRAPPED = 2  # lines that one entry may have before the one with its page
ALIKE = 0.85  # of its characters: an entry that no heading has letter by letter is the heading in its place, mistyped

_CHAPTER_PAGE = re.compile(r"\d{1,3}-\d{1,4}\Z")
_PAGE = re.compile(r"(?<=[\s.…·_])(?:\d{1,4}|[ivxlc]{1,7})\Z")
_LEADER = re.compile(r"(?:[.…·_] *|\s{2,})\Z")  # between text and page; one space alone may be a sentence
_TITLE = re.compile(r"[^\s.!?:;]\Z")  # of a chapter or the table; a sentence ends otherwise
_TAG = re.compile(r"</?\w+>")
_BETWEEN = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line with a page: what it may be the entry of, as keys and labels, and whether a heading has such a key."""

    readings: tuple[tuple[str, str], ...]
    sure: bool
    evident: bool  # the page is set off from the text, or is a chapter's


def with_pages_of_contents(document: Document) -> Document:
    """Return the document with `pages` on every block of which its tables of contents tell them."""
    blocks = list(document.blocks)
    names = {_key(block.heading): block for block in reversed(blocks) if block.heading}
    tables = list(_tables(blocks, document.text, names))
    begins: dict[int, str] = {}
    listing: set[int] = set()
    for number, (first, last, entries) in enumerate(tables):
        until = tables[number + 1][0] if number + 1 < len(tables) else len(blocks)
        part = range(last + 1, until)
        if not any(blocks[at].level for at in part):
            blocks[last + 1 : until] = [_heading(blocks[at], document.text, names) for at in part]
        begins |= _matched([(at, _key(blocks[at].heading)) for at in part], entries)
        listing |= set(range(first, last + 1))
        if first and not blocks[first - 1].level:  # it does not go on with the section before it
            blocks[first] = replace(blocks[first], kind="heading", level=1)
    return replace(document, blocks=tuple(_paged(blocks, begins, listing))) if tables else document


def _heading(block: Block, text: str, names: Mapping[str, Block]) -> Block:
    """Return a paragraph that is letter by letter a heading of another part of the document as that heading."""
    if block.kind != "paragraph" or block.end - block.start > MAX_LINE:
        return block
    same = names.get(_key(plain(_TAG.sub("", text[block.start : block.end]))))
    return replace(block, kind="heading", level=same.level, heading=same.heading) if same else block


def _paged(blocks: Sequence[Block], begins: Mapping[int, str], listing: set[int]) -> Iterator[Block]:
    following, ahead = [""] * len(blocks), ""
    for at in reversed(range(len(blocks))):
        following[at], ahead = ahead, begins.get(at, ahead)
    label, level = "", 0  # of the last heading with a page
    within = False  # its section
    for at, block in enumerate(blocks):
        if at in begins:
            label, level, within = begins[at], block.level, True
        elif at in listing:
            label = ""
        elif block.kind == "heading":
            within = within and block.level > level
        last = following[at] if _reaches(label, following[at]) else ""
        yield replace(block, pages=(label, last)) if label and (last or within) else block


def _reaches(first: str, last: str) -> bool:
    """Whether the second page is known to be the first or one after it."""
    (chapter, page), (other, end) = _parted(first), _parted(last)
    return chapter == other and page <= end


def _parted(label: str) -> tuple[str, int]:
    chapter, _, page = label.rpartition("-")
    return (chapter, int(page)) if page.isdecimal() else (label, 0)


def _tables(blocks: Sequence[Block], text: str, names: Collection[str]) -> Iterator[tuple[int, int, list[_Entry]]]:
    """Yield each table: its first and last block, and its entries. No heading stands within one."""
    found: list[tuple[int, int, _Entry]] = []
    before: list[tuple[int, str]] = []  # the lines without a page since the last one with it
    for at, block in enumerate(blocks):
        if block.kind == "heading" or len(before) > APART:
            yield from _table(found)
            found, before = [], []
        if block.kind in ("paragraph", "list"):
            for line in text[block.start : block.end].split("\n"):
                shown = plain(_TAG.sub("", line)) if len(line) <= MAX_LINE else ""
                wrapped = before[-WRAPPED:]
                if entry := _entry(shown, [start for _, start in wrapped], names):
                    titles = itertools.takewhile(lambda one: _TITLE.search(one[1]), reversed(wrapped))
                    found.append((min([at, *(place for place, _ in titles)]), at, entry))
                    before = []
                else:
                    before.append((at, shown))
    yield from _table(found)


def _table(found: Sequence[tuple[int, int, _Entry]]) -> Iterator[tuple[int, int, list[_Entry]]]:
    sure = [n for n, (_, _, entry) in enumerate(found) if entry.sure]
    if len(sure) < MIN_LINES or 2 * sum(found[n][2].evident for n in sure) <= len(sure):
        return
    table = found[sure[0] : sure[-1] + 1]
    yield table[0][0], table[-1][1], [entry for _, _, entry in table]


def _entry(line: str, before: Sequence[str], names: Collection[str]) -> _Entry | None:
    """Return the line as an entry; None when it does not end with a page.

    Where text and page stand together ("chapter 133-4") the headings tell where the one ends.
    """
    ends = (line[-length:] for length in range(min(LONGEST_LABEL, len(line)), 0, -1))
    labels = [end for end in ends if _CHAPTER_PAGE.match(end)]
    evident = bool(labels)
    if not labels and (match := _PAGE.search(line)):
        labels = [match[0]]
        evident = bool(_LEADER.search(line[: match.start()]))
    wrapped = ["".join(before[n:]) for n in range(len(before), -1, -1)]
    readings = [(_key(f"{start} {line.removesuffix(label)}"), label) for start in wrapped for label in labels]
    known = [(key, label) for key, label in readings if key in names]
    if known:
        return _Entry((known[0],), sure=True, evident=evident)
    return _Entry(tuple(readings[:1]), sure=False, evident=evident) if len(labels) == 1 else None


def _matched(headings: Sequence[tuple[int, str]], entries: Sequence[_Entry]) -> dict[int, str]:
    """Return the label of every heading that has an entry, by the heading's position.

    A heading is the next entry, or one further on that only one entry can be.
    """
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        places[entry.readings[0][0]].append(place)
    found: dict[int, str] = {}
    place = 0  # of the next entry
    for at, key in headings:
        if not key or place == len(entries):
            continue
        later = places.get(key, [])
        first = bisect_left(later, place)
        left = later[first : first + 2]
        if left and (left[0] == place or len(left) == 1):
            place = left[0]
        elif left or not _alike(key, entries[place]):
            continue
        found[at] = entries[place].readings[0][1]
        place += 1
    return found


def _alike(key: str, entry: _Entry) -> bool:
    """Whether an entry that is no heading's letter by letter is this one, mistyped."""
    name = entry.readings[0][0]
    return (
        not entry.sure
        and _DIGITS.findall(key) == _DIGITS.findall(name)
        and SequenceMatcher(None, key, name, autojunk=False).ratio() >= ALIKE
    )


def _key(text: str) -> str:
    return _BETWEEN.sub("", text.casefold())
