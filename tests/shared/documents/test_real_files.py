"""Awkward files that other people made: each ends as text or with the true reason."""

from pathlib import Path

import pytest

from shared.documents import ChunkLimits, Document, chunk_document, count_tokens, read_document
from shared.errors import UnreadableDocument
from tests.conftest import SHARED_DATA

OFFICE = SHARED_DATA / "office"
LIMITS = ChunkLimits(200, 400)

pytestmark = pytest.mark.skipif(not OFFICE.is_dir(), reason=f"the test data is not at {OFFICE}")

REASONS = {
    "markitdown__test_files.zip": "unknown_type",
    "sample-files__libreoffice-writer-password.pdf": "encrypted",
    "unstructured__empty.xlsx": "empty",
    "unstructured__fake-email-attachment.eml": "unknown_type",
    "unstructured__loremipsum-flat.pdf": "image_only",
    "unstructured__password.pdf": "encrypted",
    "unstructured__password_protected.xlsx": "encrypted",
    "unstructured__stanley-cups-utf-16.csv": "unknown_type",
}

# File, words that it has, the page they are on.
TEXTS = [
    ("sample-files__GeoTopo-komprimiert.pdf", "Jordankurve", None),
    ("sample-files__habibi.pdf", "ب", 1),
    ("sample-files__with-attachment.pdf", "Lorem ipsum dolor", 1),
    ("unstructured__2023-half-year-analyses-by-segment.xlsx", "| Zone NA | 12553 | 2713 |", None),
    ("unstructured__copy-protected.pdf", "LayoutParser", 1),
    ("unstructured__docx-hdrftr.docx", "Main document", None),
    ("unstructured__failure-after-repair.pdf", "Breast Cancer", 1),
    ("unstructured__fake-html-pre.htm", "107th Congress Public Law 56", None),
    ("unstructured__fake-power-point-malformed.pptx", "Test Slide", 1),
    ("unstructured__handbook-872p.docx", "CHAPTER 1 – INTRODUCTION", None),
    ("unstructured__invalid-pdf-structure-pdfminer-one-page.pdf", "a leadership position in the White House", 1),
    ("unstructured__korean-text-with-tables.pdf", "적립한도 없이", 1),
    ("unstructured__layout-parser-paper-with-empty-pages.pdf", "LayoutParser", 1),
    ("unstructured__science-exploration-1p.pptx", "Astrophysics Science Division", 1),
    ("unstructured__tables-with-incomplete-rows.docx", "missing cells", None),
]
SLOW = [
    ("unstructured__DA-619p.pdf", "Abomination", 1),
    ("unstructured__pdf2image-memory-error-test-400p.pdf", "Command Code BMFOL", None),
]


def page_of(made: Document, words: str) -> int | None:
    at = made.text.index(words)
    return next(block.page for block in made.blocks if block.start <= at < block.end)


def check(name: str, words: str, page: int | None) -> Document:
    made = read_document(name, (OFFICE / name).read_bytes())
    plain = made.text.replace("**", "")
    assert words in plain
    if page is not None:
        assert page_of(made, words) == page
    chunks = chunk_document(made, LIMITS, count_tokens)
    assert all(0 < count_tokens(chunk.text) <= LIMITS.max_tokens for chunk in chunks)
    assert sum(len("".join(chunk.text.split())) for chunk in chunks) == len("".join(made.text.split()))
    return made


def test_every_file_is_judged_here() -> None:
    """No file of the collection is left out of these tests."""
    known = {*REASONS, *(name for name, _, _ in [*TEXTS, *SLOW])}
    assert known == {path.name for path in OFFICE.iterdir() if path.name != "MANIFEST.tsv"}


@pytest.mark.parametrize("name", REASONS)
def test_what_cannot_be_read_says_why(name: str) -> None:
    """Encrypted, image-only, empty and unknown files are told apart."""
    with pytest.raises(UnreadableDocument) as caught:
        read_document(name, (OFFICE / name).read_bytes())
    assert caught.value.reason == REASONS[name]


@pytest.mark.parametrize(("name", "words", "page"), TEXTS)
def test_what_can_be_read_becomes_text(name: str, words: str, page: int | None) -> None:
    """Every readable file gives its words, on their page, in chunks within the limit that leave nothing out."""
    check(name, words, page)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "words", "page"), SLOW)
def test_large_files_become_text(name: str, words: str, page: int | None) -> None:
    """Hundreds of pages are read, the last page under its own number."""
    made = check(name, words, page)
    assert (made.blocks[-1].page or 0) >= 399


def test_benefits_pdfs_have_titles_of_their_own() -> None:
    """Covers that all begin with the company's name do not make all titles the same."""
    folder: Path = SHARED_DATA / "northwind"
    titles = {path.name: read_document(path.name, path.read_bytes()).title for path in folder.glob("*Benefit*.pdf")}
    assert titles == {
        "Benefit_Options.pdf": "Contoso Electronics: Plan and Benefit Packages",
        "Northwind_Health_Plus_Benefits_Details.pdf": "Contoso Electronics: Northwind Health Plus Plan",
        "Northwind_Standard_Benefits_Details.pdf": "Contoso Electronics: Northwind Health Standard Plan",
    }
