"""PDF: pages, headings, titles, running titles, what cannot be read."""

import random
from pathlib import Path

import pytest

from shared.documents import Document, read_document
from shared.documents.markdown import MAX_HEADING, Page
from shared.errors import UnreadableDocument
from tests.conftest import ROOT
from tests.shared.documents.files import Line, Picture, pdf

WORDS = "Fill the tank with water. Then press the green button for three seconds."
SAMPLES = sorted(path for path in (ROOT / "sample-lake").rglob("*.pdf") if path.is_file())


def read(content: bytes) -> Document:
    return read_document("folder/some-file.pdf", content)


def headings(made: Document) -> list[tuple[int, str, int | None]]:
    return [(block.level, block.heading, block.page) for block in made.blocks if block.kind == "heading"]


def page_of(made: Document, words: str) -> int | None:
    at = made.text.index(words)
    return next(block.page for block in made.blocks if block.start <= at < block.end)


def test_blocks_know_their_page() -> None:
    """Pages count from 1, and an empty page is counted."""
    made = read(pdf([[Line("First words stand here.", 700)], [], [Line("Third words stand here.", 700)]]))
    assert page_of(made, "First words") == 1
    assert page_of(made, "Third words") == 3


def test_a_bold_numbered_line_is_a_heading() -> None:
    """Section numbers make headings of their own depth where size alone does not tell them; bold prose stays prose."""
    page = [
        Line("Manual of the pump", 780, 24, bold=True),
        Line(WORDS, 730),
        Line("2 Starting", 690, bold=True),
        Line(WORDS, 650),
        Line("2.1 By hand", 610, bold=True),
        Line(WORDS, 570),
        Line("3 people must agree.", 530, bold=True),
        Line(WORDS, 490),
    ]
    assert headings(read(pdf([page]))) == [(1, "Manual of the pump", 1), (2, "2 Starting", 1), (3, "2.1 By hand", 1)]


@pytest.mark.parametrize("given", ["scan.jpg", "Microsoft Word - draft", "untitled", ""])
def test_a_title_made_by_a_program_is_no_title(given: str) -> None:
    """What a program put where the title belongs does not name the document: its opening headings do."""
    page = [Line("Contoso", 780, 24, bold=True), Line("The plan", 700, 24, bold=True), Line(WORDS, 600)]
    assert read(pdf([page], given)).title == "Contoso: The plan"


def test_a_cover_of_many_headings_is_a_title_of_bounded_length() -> None:
    """What is stored with every chunk loses its end where a page opens with more headings than a title has."""
    page = [Line(f"The pump and part number {n}", 800 - 45 * n, 24, bold=True) for n in range(15)]
    title = read(pdf([page, [Line(WORDS, 700)]])).title
    assert title.startswith("The pump and part number 0: The pump and part number 1")
    assert len(title) <= MAX_HEADING


def test_the_authors_title_names_the_document() -> None:
    """A real title in the file's properties is used; with nothing at all the file's name is."""
    assert read(pdf([[Line(WORDS, 700)]], "Pump manual")).title == "Pump manual"
    assert read(pdf([[Line(WORDS, 700)]])).title == "Some file"


def test_running_titles_are_said_once() -> None:
    """The header and page number of every page stand in the text once."""
    subjects = ("valves", "pipes", "seals", "motors")
    pages = [
        [Line("Pump manual, edition 4", 810), Line(f"All about {name} and more.", 600), Line(f"Page {n}", 30)]
        for n, name in enumerate(subjects, start=1)
    ]
    made = read(pdf(pages))
    assert made.text.count("Pump manual, edition 4") == 1
    assert made.text.count("Page ") == 1
    assert [page_of(made, f"All about {name}") for name in subjects] == [1, 2, 3, 4]


def test_lines_that_differ_in_a_number_are_no_running_titles() -> None:
    """What has another price or order on every page is text."""
    pages = [
        [Line(f"Price {100 + 3 * n} EUR", 700), Line(f"All about {name} and more.", 400), Line(f"Order {9000 + n}", 60)]
        for n, name in enumerate(("valves", "pipes", "seals", "motors"), start=1)
    ]
    made = read(pdf(pages))
    assert [page_of(made, f"Price {100 + 3 * n} EUR") for n in range(1, 5)] == [1, 2, 3, 4]
    assert [page_of(made, f"Order {9000 + n}") for n in range(1, 5)] == [1, 2, 3, 4]


def test_pages_without_text_are_a_scan() -> None:
    """A PDF that has pages but no text says so."""
    with pytest.raises(UnreadableDocument, match="none of the 2 pages has text") as caught:
        read(pdf([[], []]))
    assert caught.value.reason == "image_only"


def test_pages_that_are_pictures_are_named() -> None:
    """Among pages with text, those that hold a picture only are told from blank ones, and take what was recognised."""
    content = pdf([[Line(WORDS, 700)], [Picture()], [], [Line(WORDS, 700), Picture()]])
    made = read(content)
    assert made.pictures == (2,)
    assert {block.page for block in made.blocks} == {1, 4}
    whole = read_document("a.pdf", content, recognised=[Page(2, "# Stamp\n\nApproved")])
    assert whole.pictures == ()
    assert page_of(whole, "Approved") == 2


@pytest.mark.parametrize("before", [b"\n\n", b"\xef\xbb\xbf", b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", b"x" * 1_019])
def test_bytes_before_the_pdf_are_passed_over(before: bytes) -> None:
    """The mark of a PDF may stand anywhere in the first 1,024 bytes, as its readers accept it."""
    made = read(before + pdf([[Line("First words", 700)], [Line("Second words", 700)]]))
    assert [page_of(made, "First words"), page_of(made, "Second words")] == [1, 2]


def test_a_pdf_cut_short_still_gives_text_or_a_reason() -> None:
    """A file whose end was lost is read as far as it goes, or is corrupt."""
    whole = pdf([[Line(WORDS, 700)]])
    for length in range(10, len(whole), 97):
        try:
            read(whole[:length])
        except UnreadableDocument as fault:
            assert fault.reason in ("corrupt", "image_only", "encrypted")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_altered_bytes_never_raise_anything_else(path: Path) -> None:
    """Real PDFs with bytes overwritten here and there end as text or as a reason."""
    content, dice = bytearray(path.read_bytes()), random.Random(path.name)
    for _ in range(8):
        for _ in range(20):
            content[dice.randrange(8, len(content))] = dice.randrange(256)
        try:
            read(bytes(content))
        except UnreadableDocument as fault:
            assert fault.reason


def test_sample_manual() -> None:
    """The sample manual has its headings, its tables whole, and each on its page."""
    made = read((ROOT / "sample-lake" / "products" / "boreal-l2-manual.pdf").read_bytes())
    assert made.title == "Boreal L2 data logger: user manual"
    assert (2, "Alarms", 2) in headings(made)
    assert page_of(made, "| Battery life | 18 months at an interval of 5 minutes |") == 1
    assert page_of(made, "| E3 | Sensor fault |") == 2
    assert made.text.count("Norrfrost AB · Boreal L2 data logger: user manual") == 1
