"""Which reader a document goes to, and the readers of text formats."""

import html
import re
from collections.abc import Callable
from pathlib import PurePosixPath

import html_to_markdown

from shared.documents.encoding import decode
from shared.documents.markdown import Page, document
from shared.documents.model import Document
from shared.documents.office import OLE, read_office
from shared.documents.pdf import read_pdf
from shared.errors import UnreadableDocument

Reader = Callable[[str, bytes], Document]

PDF = b"%PDF-"
ZIP = b"PK\x03\x04"
_HTML_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def read_markdown(path: str, content: bytes) -> Document:
    """Read Markdown; front matter gives the title."""
    return document(path, [Page(None, decode(content))])


def read_text(path: str, content: bytes) -> Document:
    """Read plain text. It is scanned as Markdown, so that lists and underlined headings keep their meaning."""
    return document(path, [Page(None, decode(content))])


def read_html(path: str, content: bytes) -> Document:
    """Read HTML without scripts, styles and navigation."""
    text = decode(content)
    title = _HTML_TITLE.search(text)
    markdown = html_to_markdown.convert(text).content or ""
    plain_title = " ".join(html.unescape(title[1]).split()) if title else ""
    return document(path, [Page(None, _FRONT_MATTER.sub("", markdown, count=1))], plain_title)


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
