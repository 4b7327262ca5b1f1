"""What a document's own table of contents says of its pages."""

import itertools

import pytest

from shared.documents import Chunk, ChunkLimits, chunk_document, count_tokens
from shared.documents.contents import with_pages_of_contents
from shared.documents.markdown import Page, document

LIMITS = ChunkLimits(8, 60)
BODY = "This is what the section says, in words enough for a chunk of its own."


def chunks_of(text: str) -> tuple[Chunk, ...]:
    return chunk_document(with_pages_of_contents(document("a.docx", [Page(None, text)])), LIMITS, count_tokens)


def places(text: str) -> list[str]:
    """Return the innermost headings of the chunks in order, with their pages."""
    return [place for place, _ in itertools.groupby(chunk.heading.split(" > ")[-1] for chunk in chunks_of(text))]


def book(contents: list[str], headings: list[str]) -> str:
    return "\n\n".join([*contents, *(f"{heading}\n\n{BODY}" for heading in headings)])


def test_a_section_is_on_the_pages_from_its_entry_to_the_next() -> None:
    """A chunk names the page where the table puts all of its section on one, else the first and the last it may be
    on; in the last section of a chapter, the first.
    """
    contents = ["Aims1-1", "Duties1-1", "Powers1-3", "Claims2-1"]
    text = book(contents, ["# One\n\n## Aims", "## Duties", "## Powers", "# Two\n\n## Claims"])
    assert places(text) == [
        "",
        "One",
        "Aims · p. 1-1",
        "Duties · pp. 1-1 to 1-3",
        "Powers · from p. 1-3",
        "Two",
        "Claims · from p. 2-1",
    ]


@pytest.mark.parametrize(
    ("aims", "pages"),
    [
        ("Aims ........ 3", "pp. 3 to 4"),
        ("[Aims     3](#_Toc1)", "pp. 3 to 4"),
        ("<u>**Aims**</u>  iv", "from p. iv"),
        ("1\\. Aims …… 3", "pp. 3 to 4"),
    ],
)
def test_entries_are_written_in_many_ways(aims: str, pages: str) -> None:
    """Dots, blanks or a link stand between text and page; a page may be a Roman number, which is before all others."""
    name = "1. Aims" if aims.startswith("1") else "Aims"
    text = book([aims, "Duties ... 4", "Powers ... 6"], [f"# {name}", "# Duties", "# Powers"])
    assert places(text)[1] == f"{name} · {pages}"


def test_a_number_at_the_end_of_a_heading_is_not_the_page() -> None:
    """Where text and page stand together, the headings tell where the one ends."""
    text = book(["Aims3-1", "Under chapter 133-4", "Powers3-9"], ["# Aims", "# Under chapter 13", "# Powers"])
    assert places(text)[2] == "Under chapter 13 · pp. 3-4 to 3-9"


def test_an_entry_over_two_lines_is_one() -> None:
    """The page stands on an entry's last line; a chapter's name above an entry is no part of it."""
    contents = ["CHAPTER 1", "Aims1-1", "Review of claims and", "objections1-2", "Powers1-4"]
    text = book(contents, ["# Aims", "# Review of claims and objections", "# Powers"])
    assert places(text)[2] == "Review of claims and objections · pp. 1-2 to 1-4"


def test_a_mistyped_entry_is_the_heading_in_its_place() -> None:
    """A few letters do not matter where order and numbers agree; other numbers do."""
    contents = ["Aims1-1", "2. Elibility of debtors1-2", "3. Powers of debtors1-4", "Claims1-6", "Discharge1-8"]
    headings = ["# Aims", "# 2. Eligibility of debtors", "# 4. Power of debtors", "# Claims", "# Discharge"]
    assert places(book(contents, headings)) == [
        "",
        "Aims · pp. 1-1 to 1-2",
        "2. Eligibility of debtors · pp. 1-2 to 1-6",
        "4. Power of debtors · pp. 1-2 to 1-6",
        "Claims · pp. 1-6 to 1-8",
        "Discharge · from p. 1-8",
    ]


def test_a_heading_that_comes_back_has_the_entry_of_its_place() -> None:
    """One of several entries with the same text is taken only in its order, never by its text alone."""
    contents = ["Aims1-1", "General1-2", "Banks1-4", "General1-5", "Claims1-7"]
    assert places(book(contents, ["# Aims", "# General", "# Banks", "# General", "# Claims"]))[1:] == [
        "Aims · pp. 1-1 to 1-2",
        "General · pp. 1-2 to 1-4",
        "Banks · pp. 1-4 to 1-5",
        "General · pp. 1-5 to 1-7",
        "Claims · from p. 1-7",
    ]
    assert places(book(contents, ["# General", "# Aims", "# Claims"]))[1] == "General"


@pytest.mark.parametrize(
    "lines",
    [
        ["Aims 5", "Duties 10", "Powers 15"],  # an agenda: minutes
        ["Aims1-1", "Duties1-2"],
        ["We met on page 1-1", "and again on 1-2", "and 1-3"],
    ],
)
def test_what_only_looks_like_a_table_of_contents_is_none(lines: list[str]) -> None:
    """Without enough lines that are a heading and a page of it, set off from it, no page is named."""
    assert not any(" · " in place for place in places(book(lines, ["# Aims", "# Duties", "# Powers"])))


def test_a_copy_whose_headings_lost_their_styles_has_them_again() -> None:
    """A part with a table of contents and no headings has those that another part has letter by letter. It is no
    continuation of the last section before it, and what only speaks of a heading is none.
    """
    contents = ["Contents", "", "Aims1-1", "Duties1-2", "Powers1-4"]
    styled = book(contents, ["# Aims", "## Duties", "## Powers"])
    plain = book(contents, ["Aims", "**Duties**", "The powers", "Powers"])
    found = [heading for heading, _ in itertools.groupby(chunk.heading for chunk in chunks_of(f"{styled}\n\n{plain}"))]
    half = ["", "Aims · pp. 1-1 to 1-2", "Aims > Duties · pp. 1-2 to 1-4", "Aims > Powers · from p. 1-4"]
    assert found == half * 2


def test_small_sections_in_one_chunk_are_on_the_pages_of_all() -> None:
    """A chunk that begins in one section and ends in another names the pages from the first to the last."""
    text = "Aims1-1\n\nDuties1-2\n\nPowers1-4\n\n# Aims\n\nFew.\n\n# Duties\n\nNone.\n\n# Powers\n\nAll."
    limits = ChunkLimits(100, 200)
    made = with_pages_of_contents(document("a.docx", [Page(None, text)]))
    blocks = made.blocks[3:6]  # Aims, its text, Duties
    chunks = chunk_document(type(made)("", made.text, (*blocks, made.blocks[6])), limits, count_tokens)
    assert [chunk.heading for chunk in chunks] == ["Aims · pp. 1-1 to 1-4"]
