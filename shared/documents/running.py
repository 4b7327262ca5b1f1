"""Running titles and page numbers: what a paginated document repeats at the edge of its pages. Pure."""

import re
from collections import Counter
from collections.abc import Sequence

MIN_PAGES = 3  # in fewer pages nothing can be told from a coincidence
SHARE = 0.5  # a paragraph at the edge of more pages than this share is a running title
TOP, BOTTOM = 2, 3  # paragraphs looked at from either edge
MAX_CHARACTERS = 200  # longer paragraphs are text, however often they come back

_NUMBER = re.compile(r"\d+")
_BLANK = re.compile(r"\n\s*\n")


def without_running_titles(pages: Sequence[str]) -> list[str]:
    """Return the pages, Markdown each, without the short paragraphs that stand at the edge of most of them.

    Numbers do not tell paragraphs apart, so that "Page 3" is one with "Page 4". The first page that has a running title
    keeps it: nothing is lost, it is only not said again on every page. Headings and tables always stay.
    """
    if len(pages) < MIN_PAGES:
        return list(pages)
    split = [_BLANK.split(page.strip()) for page in pages]
    found = Counter(form for paragraphs in split for form in {_form(paragraphs[i]) for i in _edges(paragraphs)})
    running = {form for form, count in found.items() if form and count > SHARE * len(pages)}
    kept: set[str] = set()
    return [_without(paragraphs, running, kept) for paragraphs in split]


def _without(paragraphs: list[str], running: set[str], kept: set[str]) -> str:
    """Join the paragraphs again but for running titles that an earlier page has kept; `kept` is updated."""
    edges = _edges(paragraphs)
    stay: list[str] = []
    for position, paragraph in enumerate(paragraphs):
        form = _form(paragraph) if position in edges else ""
        if form in running:
            if form in kept:
                continue
            kept.add(form)
        stay.append(paragraph)
    return "\n\n".join(stay)


def _edges(paragraphs: list[str]) -> set[int]:
    last = len(paragraphs)
    return {*range(min(TOP, last)), *range(max(0, last - BOTTOM), last)}


def _form(paragraph: str) -> str:
    """Return what makes a paragraph the same on another page; "" for what is never a running title."""
    text = " ".join(paragraph.split())
    if not text or len(text) > MAX_CHARACTERS or text.startswith(("#", "|")):
        return ""
    return _NUMBER.sub("#", text)
