"""DOCX, PPTX and XLSX to a document."""

import io
import re
import zipfile
from collections.abc import Iterator

import undoc

from shared.documents.contents import with_pages_of_contents
from shared.documents.limits import ReadLimits
from shared.documents.markdown import Page, document
from shared.documents.model import Document, title_from_path
from shared.documents.parts import PAGE_BEGINS, prepared
from shared.errors import UnreadableDocument

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
KINDS = {"word/document.xml": "docx", "ppt/presentation.xml": "pptx", "xl/workbook.xml": "xlsx"}
SUFFIXES = {".docx": "docx", ".pptx": "pptx", ".xlsx": "xlsx"}

# Streams that tell what an OLE container holds; names are UTF-16 there. [MS-CFB], [MS-OFFCRYPTO]
_STREAMS = {
    "EncryptedPackage": ("encrypted", "the Office document is protected by a password"),
    "WordDocument": ("unknown_type", "a Word document of a format before 2007; save it as .docx"),
    "Workbook": ("unknown_type", "an Excel workbook of a format before 2007; save it as .xlsx"),
    "PowerPoint Document": ("unknown_type", "a PowerPoint presentation of a format before 2007; save it as .pptx"),
    "__properties_version1.0": ("unknown_type", "an Outlook message; save it as .eml"),
}
_MACHINE_TITLE = re.compile(r"(?i)(slide|sheet|table|page) ?\d*|powerpoint presentation|document\d*|(microsoft\b.*)")
_BLANK_ROW = re.compile(r"^\|(?:[ \t]*\|)+[ \t]*\n", re.MULTILINE)
_BLANK_HEAD = re.compile(r"^\|(?:[ \t]*\|)+[ \t]*\n(\|[ :|-]+\n)(\|.*\n)", re.MULTILINE)
_ERROR = re.compile(r"(?<=\| )#ERROR:(?=#)")  # before what the sheet shows, such as #N/A
_BREAK = re.compile(r"^---$\n?", re.MULTILINE)  # stands between two slides or sheets
_BARE_HEADING = re.compile(r"^#+ [^\n]*\n*(?=^#+ |\Z)", re.MULTILINE)
_BROKEN_HEADING = re.compile(r"^#+ [^\n]*  \n(?:[^\n]*  \n)*", re.MULTILINE)  # over several lines of a heading
_NOTE = re.compile(r"^(\[\^\w+\]): (.*(?:\n.+)*)\n*", re.MULTILINE)
_REFERENCE = re.compile(r"\[\^\w+\]")
_BLANK_HEADING = re.compile(rf"^#+[ \t]*({PAGE_BEGINS}*)[ \t]*$", re.MULTILINE)


def refuse_ole(content: bytes) -> None:
    """Raise UnreadableDocument with what an OLE container holds: Office puts encrypted documents into one."""
    for stream, (reason, message) in _STREAMS.items():
        if stream.encode("utf-16-le") in content:
            raise UnreadableDocument(reason, message)
    raise UnreadableDocument("unknown_type", "an OLE container that holds no known kind of document")


def kind_of(content: bytes, suffix: str, limits: ReadLimits) -> str | None:
    """Return what kind of Office document a ZIP is, by what it holds, failing that by its name; None for none.

    Raises UnreadableDocument when it would unpack to more than the limit.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
            held = {entry.filename for entry in packed.infolist()}
    except (zipfile.BadZipFile, ValueError):
        return SUFFIXES.get(suffix)
    if size > limits.unpacked_bytes:
        raise UnreadableDocument("too_large", f"it unpacks to {size} bytes; at most {limits.unpacked_bytes} are read")
    return next((kind for name, kind in KINDS.items() if name in held), None)


def read_office(path: str, content: bytes, kind: str) -> Document:
    """Read a "docx", "pptx" or "xlsx". Raises UnreadableDocument: empty.

    Slides are pages; sheets are sections under their own names. A DOCX has pages where Word has noted them when it last
    laid the document out; otherwise it has those that its table of contents names, for only Word knows where they end.
    """
    parsed = undoc.parse_bytes(prepared(content))
    title = (parsed.title or "").strip()
    if _MACHINE_TITLE.fullmatch(title):
        title = ""
    markdown = parsed.to_markdown(preserve_line_breaks=True, max_heading_level=6)
    markdown = _BROKEN_HEADING.sub(lambda heading: heading[0].replace("  \n", " "), markdown)
    if kind == "pptx":
        return document(path, _slides(markdown), title)
    if kind == "xlsx":
        # A sheet's name is a section, not what the whole workbook is called.
        return document(path, [Page(None, _sheets(markdown))], title or title_from_path(path))
    text = _with_notes(_BLANK_HEADING.sub(r"\1", _BLANK_ROW.sub(_keep_first, markdown)))
    if PAGE_BEGINS in text:
        return document(path, _pages(text), title)
    return with_pages_of_contents(document(path, [Page(None, text)], title))


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
    """Return the sheets without blank rows, and without those that have a name but no cells. The first row that is
    not blank names the columns.
    """
    text = _BLANK_ROW.sub(_keep_first, _BREAK.sub("", markdown))
    return _BARE_HEADING.sub("", _ERROR.sub("", _BLANK_HEAD.sub(r"\2\1", text)))


def _keep_first(row: re.Match[str]) -> str:
    """Drop a blank row, unless the row of dashes follows: then it is the table's (empty) head."""
    return row[0] if row.string.startswith(("| -", "|-"), row.end()) else ""


def _with_notes(markdown: str) -> str:
    """Put each footnote and endnote below the first paragraph or table that refers to it."""
    notes = dict(_NOTE.findall(markdown))
    if not notes:
        return markdown
    told: list[str] = []
    for paragraph in _NOTE.sub("", markdown).split("\n\n"):
        told.append(paragraph)
        told += [f"{mark}: {notes.pop(mark)}" for mark in _REFERENCE.findall(paragraph) if mark in notes]
    return "\n\n".join([*told, *(f"{mark}: {note}" for mark, note in notes.items())])


def _pages(markdown: str) -> Iterator[Page]:
    """Cut the text at the first line that begins on a new page.

    What runs over a page's end is not torn, nor are its notes from it.
    """
    number, begun, lines = 1, 1, list[str]()
    for line in markdown.split("\n"):
        text = line.replace(PAGE_BEGINS, "")
        starts = line.lstrip("#*_- ").startswith(PAGE_BEGINS) or not text.strip()
        here = number + line.count(PAGE_BEGINS)
        page = here if starts else number
        goes_on = text.startswith("[^") or (text.startswith("|") and bool(lines) and lines[-1].startswith("|"))
        if page != begun and text.strip() and not goes_on:
            yield Page(begun, "\n".join(lines))
            begun, lines = page, []
        lines.append(text)
        number = here
    yield Page(begun, "\n".join(lines))
