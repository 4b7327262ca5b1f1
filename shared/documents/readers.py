"""Which reader a document goes to, and the readers of text formats."""

import codecs
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from shared.documents.encoding import decode
from shared.documents.hypertext import read_html
from shared.documents.limits import ReadLimits
from shared.documents.mail import read_mail
from shared.documents.markdown import Page, document
from shared.documents.model import Document
from shared.documents.office import OLE, SUFFIXES, ZIP, kind_of, read_office, refuse_ole
from shared.documents.pdf import read_pdf
from shared.documents.structured import read_csv, read_json, read_json_lines
from shared.errors import UnreadableDocument

Reader = Callable[[str, bytes, ReadLimits], Document]

PDF = b"%PDF-"
PDF_WITHIN = 1_024  # bytes, in which the mark begins
# As much of each header as no text begins with: "BM" and "GIF89a" are words too.
_IMAGE = re.compile(rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a.{0,6}\0|II\*\0|MM\0\*|BM.{4}\0{4}", re.DOTALL)


def read(
    path: str,
    content: bytes,
    limits: ReadLimits,
    recognised: Sequence[Page] = (),
    declared: str | None = None,
) -> Document:
    """Read a document of any known type; the first bytes decide, then the extension.

    `recognised` are pages of a PDF that are pictures, read by something else. `declared` is the encoding that a text is
    said to be in by who sent it.

    Raises UnreadableDocument, and whatever a reader raises on a damaged file.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if (start := _pdf_start(content, suffix)) is not None:
        return read_pdf(path, content[start:], limits, recognised)
    if content.startswith(OLE):
        refuse_ole(content)
    if content.startswith(ZIP):
        kind = kind_of(content, suffix, limits)
        if kind is None:
            raise UnreadableDocument("unknown_type", "an archive; put the files that are in it into the lake")
        return read_office(path, content, kind)
    if _IMAGE.match(content):
        raise UnreadableDocument("image_only", "an image; its text, if any, is not known")
    reader = READERS.get(suffix)
    if reader is None:
        raise UnreadableDocument(
            "unknown_type", f"{suffix or 'no extension'} is not read; known are {', '.join(EXTENSIONS)}"
        )
    if declared:
        content = decode(content, declared).encode(errors="replace")
    try:
        return reader(path, content, limits)
    except RecursionError as error:
        raise UnreadableDocument("too_large", "it is nested too deeply to be read") from error


def _pdf_start(content: bytes, suffix: str) -> int | None:
    """Return where a PDF begins, None for none: in what is named so anywhere near the start, as its readers accept it.

    Other documents may speak of the mark.
    """
    start = content.find(PDF, 0, PDF_WITHIN)
    blank = not content[: max(0, start)].removeprefix(codecs.BOM_UTF8).strip()
    return start if start >= 0 and (blank or suffix == ".pdf") else None


def read_markdown(path: str, content: bytes, limits: ReadLimits) -> Document:
    """Read Markdown. Front matter gives the title, and nothing else."""
    return document(path, [Page(None, decode(content))], authored=True)


def read_text(path: str, content: bytes, limits: ReadLimits) -> Document:
    """Read plain text. It is scanned as Markdown too, so that lists, tables and code keep their meaning."""
    return document(path, [Page(None, decode(content))])


def read_message(path: str, content: bytes, limits: ReadLimits) -> Document:
    """Read an e-mail; its attachments are read like any document."""
    return read_mail(path, content, functools.partial(_read_attachment, limits=limits))


def _read_attachment(name: str, content: bytes, media_type: str, declared: str | None, limits: ReadLimits) -> Document:
    """Read it as what its name says, failing that as what its media type says."""
    if PurePosixPath(name).suffix.lower() not in READERS:
        name += MEDIA_TYPES.get(media_type, ".txt" if media_type.startswith(("text/", "message/")) else "")
    try:
        return read(name, content, limits, declared=declared)
    except (UnreadableDocument, MemoryError):
        raise
    except Exception as error:
        raise UnreadableDocument("corrupt", f"{type(error).__name__}: {error}") from error


def _broken(path: str, content: bytes, limits: ReadLimits) -> Document:
    raise UnreadableDocument("corrupt", "it is named like an Office document or a PDF, and is neither")


READERS: dict[str, Reader] = {
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".txt": read_text,
    ".html": read_html,
    ".htm": read_html,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".eml": read_message,
    ".pdf": _broken,
    **dict.fromkeys(SUFFIXES, _broken),
}
EXTENSIONS = tuple(sorted(READERS))
MEDIA_TYPES = {
    "application/csv": ".csv",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/x-ndjson": ".ndjson",
    "application/xhtml+xml": ".html",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/markdown": ".md",
    "text/rtf": ".rtf",  # no plain text
    "text/tab-separated-values": ".tsv",
}


def reader_suffix(path: str) -> str:
    """Return the extension that stands for how a document is read: one for all that have the same reader.

    Equal bytes under extensions with the same one become the same text.
    """
    suffix = PurePosixPath(path).suffix.lower()
    reader = READERS.get(suffix, _broken)
    return suffix if reader is _broken else next(known for known, other in READERS.items() if other is reader)
