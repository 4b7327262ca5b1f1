"""DOCX, PPTX and XLSX to a document."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import undoc

from shared.documents.markdown import Page, document
from shared.documents.model import Document, title_from_path
from shared.errors import UnreadableDocument

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_MACHINE_TITLE = re.compile(r"(?i)(slide|sheet|table|page) ?\d*|powerpoint presentation|document\d*|(microsoft\b.*)")
_BLANK_ROW = re.compile(r"^\|(?:[ \t]*\|)+[ \t]*\n", re.MULTILINE)
_BREAK = re.compile(r"^---$\n?", re.MULTILINE)  # stands between two slides or sheets
_BARE_HEADING = re.compile(r"^#+ [^\n]*\n*(?=^#+ |\Z)", re.MULTILINE)


def read_office(path: str, content: bytes) -> Document:
    """Read DOCX, PPTX or XLSX. Raises UnreadableDocument: encrypted, empty.

    Slides are pages; sheets are sections under their own names.
    """
    if content.startswith(OLE):
        # Office puts an encrypted document into an OLE container; a plain one is always a ZIP.
        raise UnreadableDocument("encrypted", "the Office document is encrypted, or of a format before 2007")
    parsed = undoc.parse_bytes(content)
    title = (parsed.title or "").strip()
    if _MACHINE_TITLE.fullmatch(title):
        title = ""
    match PurePosixPath(path).suffix.lower():
        case ".pptx":
            return document(path, _slides(parsed.to_markdown()), title)
        case ".xlsx":
            # A sheet's name is a section, not what the whole workbook is called.
            return document(path, [Page(None, _sheets(parsed.to_markdown()))], title or title_from_path(path))
        case _:
            return document(path, [Page(None, _BLANK_ROW.sub(_keep_first, parsed.to_markdown()))], title)


def _slides(markdown: str) -> Iterator[Page]:
    """Cut the text at the lines that number the slides, and drop these lines."""
    number, lines = 1, list[str]()
    for line in _BREAK.sub("", markdown).split("\n"):
        if line == "## Slide 1":
            continue
        if line == f"## Slide {number + 1}":
            yield Page(number, "\n".join(lines))
            number, lines = number + 1, []
        else:
            lines.append(line)
    yield Page(number, "\n".join(lines))


def _sheets(markdown: str) -> str:
    """Return the sheets without blank rows, and without those that have a name but no cells."""
    text = _BLANK_ROW.sub(_keep_first, _BREAK.sub("", markdown))
    return _BARE_HEADING.sub("", text)


def _keep_first(row: re.Match[str]) -> str:
    """Drop a blank row, unless the row of dashes follows: then it is the table's (empty) head."""
    return row[0] if row.string.startswith(("| -", "|-"), row.end()) else ""
