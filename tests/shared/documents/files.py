"""Smallest whole files of each format, made by hand so that tests say what is in them."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OFFICE = "http://schemas.openxmlformats.org"
RELATIONS = f"{OFFICE}/package/2006/relationships"
DOCUMENT_RELATIONS = f"{OFFICE}/officeDocument/2006/relationships"
TYPES = f"{OFFICE}/package/2006/content-types"
MAIN = "application/vnd.openxmlformats-officedocument"


@dataclass(frozen=True, slots=True)
class Line:
    """One line on a PDF page, at points from its lower left corner."""

    text: str
    y: int
    size: int = 11
    bold: bool = False
    x: int = 72


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture on a PDF page: one pixel, large."""

    size: int = 300


def _drawn(line: Line | Picture) -> str:
    if isinstance(line, Picture):
        return f"q {line.size} 0 0 {line.size} 72 400 cm BI /W 1 /H 1 /CS /G /BPC 8 ID x EI Q"
    return f"BT /{'B' if line.bold else 'R'} {line.size} Tf {line.x} {line.y} Td ({line.text}) Tj ET"


def pdf(pages: Sequence[Sequence[Line | Picture]], title: str = "") -> bytes:
    """Return a PDF with these lines on its pages."""
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages):
        drawn = "\n".join(map(_drawn, lines))
        fonts = "/Resources << /Font << /R 3 0 R /B 4 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] {fonts} /Contents {6 + 2 * number} 0 R >>"
        )
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    objects.append(f"<< /Title ({title}) >>")
    out = io.BytesIO(b"%PDF-1.7\n")
    out.seek(0, io.SEEK_END)
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1"))
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.write(b"".join(f"{place:010} 00000 n \n".encode() for place in places))
    trailer = f"<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>"
    out.write(f"trailer\n{trailer}\nstartxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def package(main: str, kind: str, parts: Mapping[str, tuple[str, str]]) -> bytes:
    """Return an Office file: `parts` maps a name to its content type's ending and its XML; `main` is the first read."""
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="{MAIN}.{kind}.{ending}+xml"/>'
        for name, (ending, _) in parts.items()
        if not name.endswith(".rels")
    )
    defaults = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    relation = f'<Relationship Id="r1" Type="{DOCUMENT_RELATIONS}/officeDocument" Target="{main}"/>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{TYPES}">{defaults}{overrides}</Types>')
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{RELATIONS}">{relation}</Relationships>')
        for name, (_, xml) in parts.items():
            archive.writestr(name, xml)
    return out.getvalue()


def relations(targets: Mapping[str, str]) -> tuple[str, str]:
    """Return the part that relates another part to its targets, whose kinds are given."""
    listed = "".join(
        f'<Relationship Id="r{number}" Type="{DOCUMENT_RELATIONS}/{kind}" Target="{target}"/>'
        for number, (target, kind) in enumerate(targets.items(), start=1)
    )
    return "", f'<Relationships xmlns="{RELATIONS}">{listed}</Relationships>'


def docx(body: str, **others: str) -> bytes:
    """Return a Word document with this XML as its body, and other parts (`footnotes`, `comments`...) with theirs."""
    main = f'xmlns:w="{OFFICE}/wordprocessingml/2006/main"'
    parts = {"word/document.xml": ("document.main", f"<w:document {main}><w:body>{body}</w:body></w:document>")}
    parts |= {f"word/{name}.xml": (name, f"<w:{name} {main}>{xml}</w:{name}>") for name, xml in others.items()}
    parts["word/_rels/document.xml.rels"] = relations({f"{name}.xml": name for name in others})
    return package("word/document.xml", "wordprocessingml", parts)


def heading_styles() -> str:
    """Return the inside of the part `styles` of a Word document, with two styles of headings."""
    return "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{level}"><w:name w:val="heading {level}"/></w:style>'
        for level in (1, 2)
    )


def pptx(slides: Sequence[tuple[str, str, str]]) -> bytes:
    """Return a presentation: title, paragraphs and speaker's notes of each slide, the latter two as XML."""
    main = f'xmlns:p="{OFFICE}/presentationml/2006/main" xmlns:a="{OFFICE}/drawingml/2006/main"'
    parts: dict[str, tuple[str, str]] = {}
    for number, (title, body, notes) in enumerate(slides, start=1):
        shapes = _shape("title", f"<a:p><a:r><a:t>{title}</a:t></a:r></a:p>") + _shape("body", body)
        parts[f"ppt/slides/slide{number}.xml"] = ("slide", f"<p:sld {main}>{_tree(shapes)}</p:sld>")
        parts[f"ppt/slides/_rels/slide{number}.xml.rels"] = relations(
            {f"../notesSlides/notesSlide{number}.xml": "notesSlide"}
        )
        spoken = f"<p:notes {main}>{_tree(_shape('body', notes))}</p:notes>"
        parts[f"ppt/notesSlides/notesSlide{number}.xml"] = ("notesSlide", spoken)
    listed = "".join(f'<p:sldId id="{255 + number}" r:id="r{number}"/>' for number in range(1, len(slides) + 1))
    deck = f'<p:presentation {main} xmlns:r="{DOCUMENT_RELATIONS}"><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>'
    parts["ppt/presentation.xml"] = ("presentation.main", deck)
    targets = {f"slides/slide{number}.xml": "slide" for number in range(1, len(slides) + 1)}
    parts["ppt/_rels/presentation.xml.rels"] = relations(targets)
    return package("ppt/presentation.xml", "presentationml", parts)


def _tree(shapes: str) -> str:
    return f"<p:cSld><p:spTree><p:nvGrpSpPr/><p:grpSpPr/>{shapes}</p:spTree></p:cSld>"


def _shape(kind: str, paragraphs: str) -> str:
    place = f'<p:nvSpPr><p:cNvPr id="2" name=""/><p:cNvSpPr/><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>'
    return f"<p:sp>{place}<p:spPr/><p:txBody><a:bodyPr/>{paragraphs}</p:txBody></p:sp>"


def sheet(rows: str, styles: str) -> bytes:
    """Return a workbook with one sheet, S: its rows and the inside of its part `styles` as XML."""
    main = f'xmlns="{OFFICE}/spreadsheetml/2006/main"'
    listed = '<sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets>'
    parts = {
        "xl/workbook.xml": ("sheet.main", f'<workbook {main} xmlns:r="{DOCUMENT_RELATIONS}">{listed}</workbook>'),
        "xl/worksheets/sheet1.xml": ("worksheet", f"<worksheet {main}><sheetData>{rows}</sheetData></worksheet>"),
        "xl/styles.xml": ("styles", f"<styleSheet {main}>{styles}</styleSheet>"),
        "xl/_rels/workbook.xml.rels": relations({"worksheets/sheet1.xml": "worksheet", "styles.xml": "styles"}),
    }
    return package("xl/workbook.xml", "spreadsheetml", parts)


def xlsx(sheets: Mapping[str, Sequence[Sequence[str]]]) -> bytes:
    """Return a workbook: the cells of each sheet by its name."""
    parts: dict[str, tuple[str, str]] = {}
    main = f'xmlns="{OFFICE}/spreadsheetml/2006/main"'
    listed = linked = ""
    for number, (name, rows) in enumerate(sheets.items(), start=1):
        data = "".join(f"<row r='{y}'>{_cells(row, y)}</row>" for y, row in enumerate(rows, start=1))
        sheet = f"<worksheet {main}><sheetData>{data}</sheetData></worksheet>"
        parts[f"xl/worksheets/sheet{number}.xml"] = ("worksheet", sheet)
        listed += f'<sheet name="{name}" sheetId="{number}" r:id="r{number}"/>'
        target = f"worksheets/sheet{number}.xml"
        linked += f'<Relationship Id="r{number}" Type="{DOCUMENT_RELATIONS}/worksheet" Target="{target}"/>'
    book = f'<workbook {main} xmlns:r="{DOCUMENT_RELATIONS}"><sheets>{listed}</sheets></workbook>'
    parts["xl/workbook.xml"] = ("sheet.main", book)
    parts["xl/_rels/workbook.xml.rels"] = ("", f'<Relationships xmlns="{RELATIONS}">{linked}</Relationships>')
    return package("xl/workbook.xml", "spreadsheetml", parts)


def _cells(row: Sequence[str], y: int) -> str:
    return "".join(
        f"<c r='{chr(65 + x)}{y}' t='inlineStr'><is><t>{text}</t></is></c>" for x, text in enumerate(row) if text
    )
