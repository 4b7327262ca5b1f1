"""PDF to a document, page by page.

Two libraries read each page: one that gives Markdown with headings and tables, and one that gives plain text. The
second checks the first, and takes its place on a page where the first lost text.
"""

import contextlib
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

import pdf_oxide
import pypdfium2

from shared.documents.limits import ReadLimits
from shared.documents.markdown import Page, document, shortened
from shared.documents.model import Document
from shared.documents.running import without_running_titles
from shared.errors import UnreadableDocument

MIN_SHARE = 0.85  # of the letters that the plain text has; Markdown with fewer has lost some
MAX_HEADING = 120  # characters; a longer bold paragraph is emphasis, not a heading
MAX_LEVEL = 6

_SPACES = re.compile(r"(?<=\S) {2,}(?=\S)")
_NUMBERED = re.compile(
    r"(?:^|(?<=\n\n))\*\*(?P<number>\d{1,3}(?:\.\d{1,3}){0,4})\.?(?:\*\* +\*\*| +)(?P<name>[^\W\d].*)\*\*(?=\n\n|\s*\Z)"
)
_FILE_NAME = re.compile(r"\.\w{1,5}$|^(Microsoft|untitled)\b", re.IGNORECASE)

pdf_oxide.disable_logging()  # it reports every oddity of a file; what matters is raised


def read_pdf(path: str, content: bytes, limits: ReadLimits, recognised: Sequence[Page] = ()) -> Document:
    """Read a PDF with headings, tables and page numbers.

    `recognised` are pages of it that are pictures, read by something else. Raises UnreadableDocument: encrypted,
    image_only, too_many_pages.
    """
    try:
        with contextlib.closing(pypdfium2.PdfDocument(io.BytesIO(content))) as plain:
            if len(plain) > limits.pages:
                raise UnreadableDocument("too_many_pages", f"{len(plain)} pages; DOCUMENT_MAX_PAGES is {limits.pages}")
            pages = _pages(plain, content)
            for page in recognised:
                pages[(page.number or 0) - 1] = page.markdown
            pictures = tuple(at + 1 for at, text in enumerate(pages) if not text.strip() and _has_image(plain, at))
            title = str(plain.get_metadata_value("Title") or "").strip()
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower() or b"/Encrypt" in content:
            raise UnreadableDocument("encrypted", "the PDF is protected by a password") from error
        raise
    if not any(page.strip() for page in pages):
        raise UnreadableDocument("image_only", f"none of the {len(pages)} pages has text; it may be a scan")
    numbered = [Page(number, text) for number, text in enumerate(without_running_titles(pages), start=1)]
    title = "" if _FILE_NAME.search(title) else title
    made = replace(document(path, numbered, title), pictures=pictures)
    return made if title else replace(made, title=_cover_title(made) or made.title)


def _cover_title(made: Document) -> str:
    """Return the headings that a document opens with, as one: a cover names the company and below it the subject."""
    run = list(itertools.takewhile(lambda block: block.kind == "heading", made.blocks))
    return shortened(": ".join(one.heading for one in run if (one.level, one.page) == (run[0].level, run[0].page)))


def _pages(plain: pypdfium2.PdfDocument, content: bytes) -> list[str]:
    try:
        rich = pdf_oxide.PdfDocument.from_bytes(content)
    except Exception:  # the plain reader has opened it, and that is enough
        rich = None
    return [_page(plain, rich, index) for index in range(len(plain))]


def _has_image(plain: pypdfium2.PdfDocument, index: int) -> bool:
    with contextlib.closing(plain[index]) as page:
        return any(True for _ in page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]))


def _page(plain: pypdfium2.PdfDocument, rich: pdf_oxide.PdfDocument | None, index: int) -> str:
    with contextlib.closing(plain[index]) as page, contextlib.closing(page.get_textpage()) as text:
        bare = str(text.get_text_bounded())
    try:
        markdown = str(rich.to_markdown(index)) if rich else ""
    except Exception:  # the plain text decides whether this page can be read
        markdown = ""
    if _letters(markdown) < MIN_SHARE * _letters(bare) or not markdown.strip():
        return bare
    return _NUMBERED.sub(_heading, _SPACES.sub(" ", markdown))


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _heading(match: re.Match[str]) -> str:
    """Make a bold paragraph that begins with a section number the heading that it is: "2.1" is one level below "2"."""
    number, name = match["number"], match["name"].replace("**", "")
    if len(name) > MAX_HEADING or name.endswith((".", ":", ";", ",")):
        return match[0]
    level = min(MAX_LEVEL, 2 + number.count("."))
    return f"{'#' * level} {number} {name}"
