"""Running titles and page numbers: what a paginated document repeats at the edge of its pages. Pure."""

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence

MIN_PAGES = 3  # in fewer pages nothing can be told from a coincidence
SHARE = 0.5  # a paragraph at the edge of more pages than this share is a running title
TOP, BOTTOM = 2, 3  # paragraphs looked at from either edge
MAX_CHARACTERS = 200  # longer paragraphs are text, however often they come back

_NEAR = (-2, -1, 1, 2)  # pages away that are looked at for the next page number: left and right pages may differ
_NUMBER = re.compile(r"\d+")
_BLANK = re.compile(r"\n\s*\n")


def without_running_titles(pages: Sequence[str]) -> list[str]:
    """Return the pages, Markdown each, without the short paragraphs that stand at the edge of most of them.

    Page numbers do not tell paragraphs apart, so that "Page 3" is one with "Page 4"; any other number does. The first
    page that has a running title keeps it: nothing is lost, it is only not said again on every page. Headings and
    tables always stay.
    """
    if len(pages) < MIN_PAGES:
        return list(pages)
    split = [_BLANK.split(page.strip()) for page in pages]
    forms = _forms([{at: _line(paragraphs[at]) for at in _edges(paragraphs)} for paragraphs in split])
    found = Counter(form for edge in forms for form in set(edge.values()))
    running = {form for form, count in found.items() if form and count > SHARE * len(pages)}
    kept: set[str] = set()
    return [_without(paragraphs, edge, running, kept) for paragraphs, edge in zip(split, forms, strict=True)]


def _without(paragraphs: list[str], forms: Mapping[int, str], running: set[str], kept: set[str]) -> str:
    """Join the paragraphs again but for running titles that an earlier page has kept; `kept` is updated."""
    stay: list[str] = []
    for position, paragraph in enumerate(paragraphs):
        form = forms.get(position, "")
        if form in running:
            if form in kept:
                continue
            kept.add(form)
        stay.append(paragraph)
    return "\n\n".join(stay)


def _edges(paragraphs: list[str]) -> set[int]:
    last = len(paragraphs)
    return {*range(min(TOP, last)), *range(max(0, last - BOTTOM), last)}


def _line(paragraph: str) -> str:
    """Return the paragraph as one line; "" for what is never a running title."""
    text = " ".join(paragraph.split())
    return "" if len(text) > MAX_CHARACTERS or text.startswith(("#", "|")) else text


def _forms(edges: Sequence[Mapping[int, str]]) -> list[dict[int, str]]:
    """Return what makes each line the same on another page: the line, its page number left open.

    A page number counts on with the pages: a line that is the same but for it is near by, as many pages further as the
    number is greater. It is none that is greater than there are pages: orders and invoices are counted, too.
    """
    seen = {
        (page, _NUMBER.sub("#", line), column, int(number))
        for page, edge in enumerate(edges)
        for line in edge.values()
        for column, number in enumerate(_NUMBER.findall(line))
    }

    def form(page: int, line: str) -> str:
        columns = itertools.count()
        bare = _NUMBER.sub("#", line)

        def shown(match: re.Match[str]) -> str:
            column, number = next(columns), int(match[0])
            counts_on = any((page + by, bare, column, number + by) in seen for by in _NEAR)
            return "#" if counts_on and number <= len(edges) else match[0]

        return _NUMBER.sub(shown, line)

    return [{at: form(page, line) for at, line in edge.items()} for page, edge in enumerate(edges)]
