"""Bytes to a document, by format. A reader raises UnreadableDocument with the true reason, or whatever its library raises."""

import contextlib
import html
import io
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import html_to_markdown
import pdf_oxide
import pypdfium2
import undoc
from charset_normalizer import from_bytes

from shared.documents.markdown import Page, document
from shared.documents.model import Document
from shared.errors import UnreadableDocument

Reader = Callable[[str, bytes], Document]

PDF = b"%PDF-"
ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_SPACES = re.compile(r"(?<=\S) {2,}(?=\S)")
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))

pdf_oxide.disable_logging()  # it reports every oddity of a file; what matters is raised


def decode(content: bytes) -> str:
    """Return the text in `content`, its encoding told by byte order mark, UTF-8, or detection."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        guess = from_bytes(content).best()
        return str(guess) if guess else content.decode("cp1252", errors="replace")


def read_markdown(path: str, content: bytes) -> Document:
    """Read Markdown; front matter gives the title."""
    return document(path, [Page(None, decode(content))])


def read_text(path: str, content: bytes) -> Document:
    """Read plain text. It is scanned as Markdown, so that lists and underlined headings keep their meaning."""
    text = decode(content)
    if "\0" in text:
        raise UnreadableDocument("unknown_type", "the content is binary, not text")
    return document(path, [Page(None, text)])


def read_html(path: str, content: bytes) -> Document:
    """Read HTML without scripts, styles and navigation."""
    text = decode(content)
    title = _HTML_TITLE.search(text)
    markdown = html_to_markdown.convert(text).content or ""
    plain_title = " ".join(html.unescape(title[1]).split()) if title else ""
    return document(path, [Page(None, _FRONT_MATTER.sub("", markdown, count=1))], plain_title)


def read_pdf(path: str, content: bytes) -> Document:
    """Read a PDF page by page, with headings and tables; plain text where that fails on a page."""
    try:
        with contextlib.closing(pypdfium2.PdfDocument(io.BytesIO(content))) as plain:
            pages = list(_pdf_pages(plain, pdf_oxide.PdfDocument.from_bytes(content)))
            title = str(plain.get_metadata_value("Title") or "").strip()
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower() or b"/Encrypt" in content:
            raise UnreadableDocument("encrypted", "the PDF is protected by a password") from error
        raise
    if not any(page.markdown.strip() for page in pages):
        raise UnreadableDocument("image_only", f"none of the {len(pages)} pages has text; it may be a scan")
    made = document(path, pages)
    return made if any(block.heading for block in made.blocks) or not title else document(path, pages, title)


def _pdf_pages(plain: pypdfium2.PdfDocument, rich: pdf_oxide.PdfDocument) -> Iterator[Page]:
    for index in range(len(plain)):
        try:
            markdown = rich.to_markdown(index)
        except Exception:  # the second reader decides whether this page can be read
            markdown = ""
        if not markdown.strip():
            page = plain[index]
            with contextlib.closing(page), contextlib.closing(page.get_textpage()) as text:
                markdown = text.get_text_bounded()
        yield Page(index + 1, _SPACES.sub(" ", markdown))


def read_office(path: str, content: bytes) -> Document:
    """Read DOCX, PPTX and XLSX."""
    if content.startswith(OLE):
        # Office puts an encrypted document into an OLE container; a plain one is always a ZIP.
        raise UnreadableDocument("encrypted", "the Office document is encrypted, or of a format before 2007")
    parsed = undoc.parse_bytes(content)
    return document(path, [Page(None, parsed.to_markdown())], (parsed.title or "").strip())


READERS: dict[str, Reader] = {
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".txt": read_text,
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
    ".docx": read_office,
    ".pptx": read_office,
    ".xlsx": read_office,
}


def choose(path: str, content: bytes) -> Reader:
    """Return the reader for a document: its first bytes decide, then its extension. Raises UnreadableDocument."""
    suffix = PurePosixPath(path).suffix.lower()
    if content[:1024].lstrip().startswith(PDF):
        return read_pdf
    if content.startswith((ZIP, OLE)):
        if suffix in (".docx", ".pptx", ".xlsx"):
            return read_office
        raise UnreadableDocument("unknown_type", f"{suffix or 'no extension'}: an archive or an old Office format")
    reader = READERS.get(suffix)
    if reader is None:
        known = ", ".join(sorted(READERS))
        raise UnreadableDocument("unknown_type", f"{suffix or 'no extension'} is not read; known are {known}")
    return reader
