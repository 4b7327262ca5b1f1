"""Awkward files that other people made: each ends as text or with the true reason."""

import contextlib
import re
from pathlib import Path

import pypdfium2
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
    "unstructured__loremipsum-flat.pdf": "image_only",
    "unstructured__password.pdf": "encrypted",
    "unstructured__password_protected.xlsx": "encrypted",
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
    ("unstructured__fake-email-attachment.eml", "Hey this is a fake attachment!", None),
    ("unstructured__fake-html-pre.htm", "107th Congress Public Law 56", None),
    ("unstructured__fake-power-point-malformed.pptx", "Test Slide", 1),
    ("unstructured__handbook-872p.docx", "CHAPTER 1 – INTRODUCTION", None),
    ("unstructured__invalid-pdf-structure-pdfminer-one-page.pdf", "a leadership position in the White House", 1),
    ("unstructured__korean-text-with-tables.pdf", "적립한도 없이", 1),
    ("unstructured__layout-parser-paper-with-empty-pages.pdf", "LayoutParser", 1),
    ("unstructured__science-exploration-1p.pptx", "Astrophysics Science Division", 1),
    ("unstructured__stanley-cups-utf-16.csv", "| Maple Leafs | TOR | 13 |", None),
    ("unstructured__tables-with-incomplete-rows.docx", "missing cells", None),
]
# PDFs whose text a plain reader gives in the same order of letters; the lake of benefits beside the awkward files.
PAGED = [
    *sorted((SHARED_DATA / "northwind").glob("*.pdf")),
    *(
        OFFICE / name
        for name in (
            "sample-files__GeoTopo-komprimiert.pdf",
            "unstructured__copy-protected.pdf",
            "unstructured__failure-after-repair.pdf",
            "unstructured__korean-text-with-tables.pdf",
        )
    ),
]
MOST_WORDS = 0.75  # of a chunk's: the two readers part some words differently
ENOUGH_WORDS = 10  # of one chunk, to say anything
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


def lost_chunks(path: Path) -> tuple[int, list[tuple[int, str]]]:
    """How many chunks of a PDF have words enough, and the page and text of those whose words are not on their page, as
    another reader reads it.
    """
    content = path.read_bytes()
    pages = dict[int, str]()
    with contextlib.closing(pypdfium2.PdfDocument(content)) as plain:
        for number in range(1, len(plain) + 1):
            with contextlib.closing(plain[number - 1]) as page, contextlib.closing(page.get_textpage()) as text:
                pages[number] = "".join(str(text.get_text_bounded()).lower().split())
    judged, lost = 0, []
    for chunk in chunk_document(read_document(path.name, content), ChunkLimits(150, 400), count_tokens):
        shown = re.sub(r"\]\([^)]*\)", "]", chunk.text)  # where a link leads is not printed on the page
        words = re.findall(r"[^\W\d_]{4,}", shown.lower())
        if len(words) >= ENOUGH_WORDS:
            judged += 1
            if sum(word in pages[chunk.page or 0] for word in words) < MOST_WORDS * len(words):
                lost.append((chunk.page or 0, chunk.text))
    return judged, lost


@pytest.mark.parametrize("path", PAGED, ids=lambda path: path.name)
def test_every_chunk_is_on_the_page_it_names(path: Path) -> None:
    """The words of a chunk are on its page, as another reader reads that page: what a citation names is right."""
    judged, lost = lost_chunks(path)
    assert judged > 0
    assert lost == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, _, _ in SLOW])
def test_every_chunk_of_a_large_file_is_on_the_page_it_names(name: str) -> None:
    """The same of hundreds of pages."""
    judged, lost = lost_chunks(OFFICE / name)
    assert judged >= 399
    assert lost == []


@pytest.mark.slow
def test_every_page_number_is_right() -> None:
    """Of 619 pages each has its own words: what a plain reader finds on a page is in a chunk with that number."""
    content = (OFFICE / "unstructured__DA-619p.pdf").read_bytes()
    made = read_document("a.pdf", content)
    found = dict.fromkeys(range(1, 620), "")
    for block in made.blocks:
        found[block.page or 0] += made.text[block.start : block.end]
    with contextlib.closing(pypdfium2.PdfDocument(content)) as plain:
        for number in range(1, 620):
            with contextlib.closing(plain[number - 1]) as page, contextlib.closing(page.get_textpage()) as text:
                words = list(re.findall(r"[A-Za-z]{6,}", str(text.get_text_bounded())))
            held = found[number].replace("**", "")
            assert sum(word in held for word in words) >= 0.9 * len(words), f"page {number}"


def test_a_long_handbook_has_its_outline_and_the_pages_of_its_contents() -> None:
    """A Word document of hundreds of pages, which no layout has been stored of: the same handbook four times, twice
    without its headings' styles. Each has the headings that its author gave it, and the pages of its table of contents.
    """
    made = read_document("a.docx", (OFFICE / "unstructured__handbook-872p.docx").read_bytes())
    assert {block.page for block in made.blocks} == {None}
    outline = [(block.level, block.heading, block.pages) for block in made.blocks if block.heading]
    part = len(outline) // 4
    assert part == 147
    assert [outline[start : start + part] for start in range(0, 4 * part, part)] == [outline[:part]] * 4
    assert outline[:5] == [
        (1, "CHAPTER 1 – INTRODUCTION", None),
        (2, "A. PURPOSE", ("1-1", "1-1")),
        (2, "B. ROLE OF THE UNITED STATES TRUSTEE", ("1-1", "1-2")),
        (2, "C. STATUTORY DUTIES OF A STANDING TRUSTEE", ("1-2", "1-4")),
        (2, "D. STANDING TRUSTEE PLEDGE OF EXCELLENCE", ("1-4", "")),
    ]
    assert sum(pages is not None for _, _, pages in outline) == 4 * 138
    asked = [block for block in made.blocks if "judgment regarding feasibility" in made.text[block.start : block.end]]
    assert [block.pages for block in asked] == [("3-20", "3-20")] * 4
    chunks = chunk_document(made, LIMITS, count_tokens)
    assert sum(" · " in chunk.heading for chunk in chunks) > 0.9 * len(chunks)


def test_benefits_pdfs_have_titles_of_their_own() -> None:
    """Covers that all begin with the company's name do not make all titles the same."""
    folder: Path = SHARED_DATA / "northwind"
    titles = {path.name: read_document(path.name, path.read_bytes()).title for path in folder.glob("*Benefit*.pdf")}
    assert titles == {
        "Benefit_Options.pdf": "Contoso Electronics: Plan and Benefit Packages",
        "Northwind_Health_Plus_Benefits_Details.pdf": "Contoso Electronics: Northwind Health Plus Plan",
        "Northwind_Standard_Benefits_Details.pdf": "Contoso Electronics: Northwind Health Standard Plan",
    }
