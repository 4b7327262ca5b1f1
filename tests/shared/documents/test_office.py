"""DOCX, PPTX and XLSX."""

import random

import pytest

from shared.documents import Document, read_document
from shared.documents.office import _slides
from shared.errors import UnreadableDocument
from tests.conftest import ROOT
from tests.shared.documents.files import docx, xlsx

HANDBOOK = ROOT / "sample-lake" / "people" / "employee-handbook.docx"


def book(sheets: dict[str, list[list[str]]]) -> Document:
    return read_document("folder/price-list.xlsx", xlsx(sheets))


def test_a_sheet_is_a_section() -> None:
    """A sheet's name heads its cells; the workbook is called after its file."""
    made = book({"Prices": [["item", "EUR"], ["box", "12"]], "Notes": [["who", "what"], ["Ada", "checked"]]})
    assert made.title == "Price list"
    assert [(block.kind, block.heading) for block in made.blocks] == [
        ("heading", "Prices"),
        ("table", ""),
        ("heading", "Notes"),
        ("table", ""),
    ]
    assert "| box | 12 |" in made.text


def test_blank_rows_and_blank_sheets_are_left_out() -> None:
    """Rows and sheets without cells cost no text."""
    made = book({"Empty": [], "Prices": [["item", "EUR"], ["", ""], ["box", "12"]], "Sheet3": []})
    assert made.text.strip().split("\n") == ["## Prices", "", "| item | EUR |", "| --- | --- |", "| box | 12 |"]


def test_a_workbook_without_cells_is_empty() -> None:
    """Sheet names alone are no text."""
    with pytest.raises(UnreadableDocument) as caught:
        book({"Sheet1": [], "Sheet2": []})
    assert caught.value.reason == "empty"


def test_word_text_is_read() -> None:
    """Paragraphs come in order."""
    paragraphs = "".join(f"<w:p><w:r><w:t>Words {n}</w:t></w:r></w:p>" for n in range(3))
    assert read_document("a.docx", docx(paragraphs)).text == "Words 0\n\nWords 1\n\nWords 2"


def test_word_headings_make_the_outline() -> None:
    """The sample handbook has headings of several levels and a title."""
    made = read_document("employee-handbook.docx", HANDBOOK.read_bytes())
    levels = {block.level for block in made.blocks if block.kind == "heading"}
    assert {1, 2} <= levels
    assert made.title == "Employee handbook"


def test_slides_are_pages() -> None:
    """Each slide is a page under its number; the line that numbers it is no text."""
    pages = list(_slides("## Slide 1\n\nwords\n\n---\n## Slide 2\n\n# Real title\n\n## Slide 7\n\nmore"))
    assert [page.number for page in pages] == [1, 2]
    assert [page.markdown.split() for page in pages] == [["words"], ["#", "Real", "title", "##", "Slide", "7", "more"]]


def test_altered_bytes_never_raise_anything_else() -> None:
    """A Word file with bytes overwritten here and there ends as text or as a reason."""
    content, dice = bytearray(HANDBOOK.read_bytes()), random.Random(1)
    for _ in range(20):
        for _ in range(5):
            content[dice.randrange(4, len(content))] = dice.randrange(256)
        try:
            read_document("a.docx", bytes(content))
        except UnreadableDocument as fault:
            assert fault.reason in ("corrupt", "empty", "encrypted")
