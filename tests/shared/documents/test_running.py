"""Running titles: what every page repeats is said once."""

import pytest

from shared.documents.running import without_running_titles

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon")


def body(name: str) -> str:
    return f"First words about {name}.\n\nMiddle words about {name}.\n\nMore on {name}.\n\nLast words about {name}."


def test_running_titles_stay_on_the_first_page_only() -> None:
    """Header, footer and page number are kept once; the text between them is untouched."""
    pages = [f"Company manual\n\n{body(name)}\n\nPage {n} of 5" for n, name in enumerate(NAMES, start=1)]
    cleaned = without_running_titles(pages)
    assert cleaned[0] == pages[0]
    assert cleaned[1:] == [body(name) for name in NAMES[1:]]


def test_a_page_without_the_title_does_not_stop_the_count() -> None:
    """Page numbers count on over a page that has none; other numbers that stay the same are part of the title."""
    names = [*NAMES, "zeta", "eta"]
    pages = [body(name) if n == 4 else f"{body(name)}\n\nEdition 4, page {n}" for n, name in enumerate(names, start=1)]
    assert without_running_titles(pages) == [pages[0], *map(body, names[1:])]


@pytest.mark.parametrize("line", ["Price {price} EUR", "Order {order}", "{day}.11.2026", "Page {page}, total {price}"])
def test_numbers_that_do_not_count_the_pages_stay(line: str) -> None:
    """Lines that differ in any number but the page's own are text, also where orders are counted like pages."""
    pages = [
        f"{body(name)}\n\n" + line.format(price=n * n + 7, order=9000 + n, day=28 - 2 * n, page=n)
        for n, name in enumerate(NAMES, start=1)
    ]
    assert without_running_titles(pages) == pages


def test_headings_and_tables_always_stay() -> None:
    """A heading or table that comes back on every page is content."""
    pages = [f"## Summary\n\n{body(name)}\n\n| a |\n|---|\n| 1 |" for name in NAMES]
    assert without_running_titles(pages) == pages


def test_repeats_in_the_middle_of_pages_stay() -> None:
    """Only the edges of a page are looked at."""
    pages = [f"{body(name)}\n\nSame everywhere.\n\n{body(name)}" for name in NAMES]
    assert without_running_titles(pages) == pages


def test_two_pages_prove_nothing() -> None:
    """In a short document nothing is taken for a running title."""
    pages = ["Same\n\nwords", "Same\n\nother words"]
    assert without_running_titles(pages) == pages


def test_what_half_of_the_pages_say_stays() -> None:
    """A paragraph counts as running only when it is on more than half of the pages."""
    pages = [("Chapter opening\n\n" if n < 2 else "") + body(name) for n, name in enumerate(NAMES[:4])]
    assert without_running_titles(pages) == pages


def test_empty_pages_are_no_fault() -> None:
    """Blank pages stay blank, so page numbers do not shift."""
    assert without_running_titles(["", "  ", "", "text"]) == ["", "", "", "text"]
