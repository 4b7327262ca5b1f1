"""What the library leaves out of Office files, said in a form that it reads: bytes to bytes.

That is where pages begin and lines break in a Word document, the level of headings whose style is only named as one,
and numbers of a workbook that are shown as per cent.
"""

import functools
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal

PAGE_BEGINS = "\ufdd0"  # stands where Word has noted that a page begins; a noncharacter, which no text has

# A heading by its name, which is the same in all languages, without the level that Word writes and others leave out.
_UNLEVELLED = re.compile(rb'(?i)<w:name w:val="heading ([1-9])"\s*/>(?!(?:(?!</w:style>).)*outlineLvl)', re.DOTALL)
_BREAK_IN_NOTE = re.compile(rb"(</w:p>)(?=\s*<w:p[ >])|<w:(?:br|cr)\b[^<>]*/>")
_SPACE = b'<w:t xml:space="preserve"> </w:t>'
_HARD_BREAK = re.compile(rb"<w:br\b[^<>]*w:type=\"page\"[^<>]*/>")
_PAGE_BREAK = re.compile(rb"<w:lastRenderedPageBreak\s*/>")
_STYLES = "xl/styles.xml"
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
# A cell of one of some styles: its attributes, its style and its value.
_CELL = rb'<c\b([^<>]*\bs="(%s)"[^<>]*)>\s*(?:<f\b[^<>]*/>|<f\b[^<>]*>[^<]*</f>)?\s*<v>([^<]+)</v>\s*</c>'
_FORMAT = re.compile(r"<numFmt\b[^<>]*>")
_FORMAT_ID = re.compile(r'\bnumFmtId="(\d+)"')
_FORMAT_CODE = re.compile(r'\bformatCode="([^"]*)"')
_LITERAL = re.compile(r"&quot;.*?&quot;|\\.")
_DECIMALS = re.compile(r"\.([0#?]+)[^;]*%")
_CELL_STYLES = re.compile(r"<cellXfs\b.*?</cellXfs>", re.DOTALL)
_STYLE = re.compile(r"<xf\b[^<>]*>")
_PERCENT_FORMATS = {"9": 0, "10": 2}  # numbers of built-in formats, and their decimals. [ECMA-376-1, 18.8.30]


def prepared(content: bytes) -> bytes:
    """Return the file with what the library would leave out said in a form that it reads."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            changed = _changes(packed)
            if not changed:
                return content
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as repacked:
                for entry in packed.infolist():
                    repacked.writestr(entry.filename, changed.get(entry.filename) or packed.read(entry))
            return out.getvalue()
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError):
        return content  # whether it can be read without is for the reader to say


def _changes(packed: zipfile.ZipFile) -> dict[str, bytes]:
    """Return the parts that are to be read otherwise than they are stored."""
    made: dict[str, bytes] = {}
    percents = _percents(packed.read(_STYLES).decode(errors="replace")) if _STYLES in packed.namelist() else {}
    cell = re.compile(_CELL % "|".join(percents).encode())
    for name in packed.namelist():
        edits = _EDITS.get(name, ())
        if percents and _SHEET.fullmatch(name):
            edits = ((cell, functools.partial(_as_percent, percents)),)
        xml, changed = packed.read(name) if edits else b"", 0
        for pattern, replacement in edits:
            xml, count = pattern.subn(replacement, xml)
            changed += count
        if changed:
            made[name] = xml
    return made


def _percents(styles: str) -> dict[str, int]:
    """Return the styles of a workbook's cells that show a number as per cent, and with how many decimals."""
    formats = _PERCENT_FORMATS | {
        number[1]: len(decimals[1]) if (decimals := _DECIMALS.search(code[1])) else 0
        for tag in _FORMAT.findall(styles)
        if (number := _FORMAT_ID.search(tag))
        and (code := _FORMAT_CODE.search(tag))
        and "%" in _LITERAL.sub("", code[1])
    }
    cells = _CELL_STYLES.search(styles)
    used = (_FORMAT_ID.search(tag) for tag in _STYLE.findall(cells[0] if cells else ""))
    return {str(style): formats[found[1]] for style, found in enumerate(used) if found and found[1] in formats}


def _as_percent(decimals: Mapping[str, int], cell: re.Match[bytes]) -> bytes:
    """Return the cell as text, "25%" for 0.25, where it holds a number; `decimals` are those of its style."""
    place = cell[1].replace(b' t="n"', b"")
    if b' t="' in place:
        return cell[0]
    try:
        shown = (Decimal(cell[3].decode()) * 100).quantize(
            Decimal(1).scaleb(-decimals[cell[2].decode()]), ROUND_HALF_UP
        )
    except ArithmeticError:
        return cell[0]
    return b'<c%s t="inlineStr"><is><t>%s%%</t></is></c>' % (place, f"{shown:f}".encode())


def _levelled(name: re.Match[bytes]) -> bytes:
    """Return the name of a style of headings, and its level."""
    return name[0] + f'<w:pPr><w:outlineLvl w:val="{int(name[1]) - 1}"/></w:pPr>'.encode()


def _spaced(found: re.Match[bytes]) -> bytes:
    """Return a space for a line break, or at the end of a paragraph that another one follows."""
    return b"<w:r>" + _SPACE + b"</w:r></w:p>" if found[1] else _SPACE


_Edit = tuple[re.Pattern[bytes], bytes | Callable[[re.Match[bytes]], bytes]]
_EDITS: dict[str, tuple[_Edit, ...]] = {
    "word/document.xml": ((_HARD_BREAK, b"<w:br/>"), (_PAGE_BREAK, f"<w:t>{PAGE_BEGINS}</w:t>".encode())),
    "word/styles.xml": ((_UNLEVELLED, _levelled),),
    **dict.fromkeys(("word/footnotes.xml", "word/endnotes.xml"), ((_BREAK_IN_NOTE, _spaced),)),
}
