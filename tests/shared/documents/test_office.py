"""DOCX, PPTX and XLSX."""

import random

import pytest

from shared.documents import Document, ReadLimits, read_document
from shared.documents.office import _slides
from shared.errors import UnreadableDocument
from tests.conftest import ROOT
from tests.shared.documents.files import docx, heading_styles, pptx, sheet, xlsx

HANDBOOK = ROOT / "sample-lake" / "people" / "employee-handbook.docx"


def book(sheets: dict[str, list[list[str]]]) -> Document:
    return read_document("folder/price-list.xlsx", xlsx(sheets))


def test_a_sheet_is_a_section() -> None:
    """A sheet's name heads its cells; the workbook is called after its file."""
    made = book({"Prices": [["item", "EUR"], ["box", "12"]], "Notes": [["who", "what"], ["Ada", "checked"]]})
    assert made.title == "Price list"
    assert [(block.kind, block.heading) for block in made.blocks] == [
        ("heading", "Prices"),
        ("table", ""),
        ("heading", "Notes"),
        ("table", ""),
    ]
    assert "| box | 12 |" in made.text


def test_blank_rows_and_blank_sheets_are_left_out() -> None:
    """Rows and sheets without cells cost no text."""
    made = book({"Empty": [], "Prices": [["item", "EUR"], ["", ""], ["box", "12"]], "Sheet3": []})
    assert made.text.strip().split("\n") == ["## Prices", "", "| item | EUR |", "| --- | --- |", "| box | 12 |"]


def test_a_workbook_without_cells_is_empty() -> None:
    """Sheet names alone are no text."""
    with pytest.raises(UnreadableDocument) as caught:
        book({"Sheet1": [], "Sheet2": []})
    assert caught.value.reason == "empty"


def test_word_text_is_read() -> None:
    """Paragraphs come in order."""
    paragraphs = "".join(f"<w:p><w:r><w:t>Words {n}</w:t></w:r></w:p>" for n in range(3))
    assert read_document("a.docx", docx(paragraphs)).text == "Words 0\n\nWords 1\n\nWords 2"


def test_word_headings_make_the_outline() -> None:
    """The sample handbook has headings of several levels and a title."""
    made = read_document("employee-handbook.docx", HANDBOOK.read_bytes())
    levels = {block.level for block in made.blocks if block.kind == "heading"}
    assert {1, 2} <= levels
    assert made.title == "Employee handbook"


def test_word_pages_are_those_that_word_has_noted() -> None:
    """Where Word has noted the ends of pages, a paragraph is on the page that it begins on, and a table is not torn."""
    end = "<w:lastRenderedPageBreak/>"
    rows = "".join(
        f"<w:tr><w:tc><w:p><w:r>{end if n == 1 else ''}<w:t>row {n}</w:t></w:r></w:p></w:tc></w:tr>" for n in range(3)
    )
    body = (
        "<w:p><w:r><w:t>One</w:t></w:r></w:p>"
        f"<w:p><w:r>{end}<w:t>Two</w:t></w:r></w:p>"
        f"<w:p><w:r><w:t>Two, and then on</w:t></w:r><w:r>{end}<w:t> page three</w:t></w:r></w:p>"
        f"<w:tbl>{rows}</w:tbl>"
        "<w:p><w:r><w:t>Four</w:t></w:r></w:p>"
    )
    made = read_document("a.docx", docx(body))
    found = [(block.page, block.kind, made.text[block.start : block.end].split("\n")[0]) for block in made.blocks]
    assert found == [
        (1, "paragraph", "One"),
        (2, "paragraph", "Two"),
        (2, "paragraph", "Two, and then on page three"),
        (3, "table", "| row 0 |"),
        (4, "paragraph", "Four"),
    ]


def test_word_without_noted_pages_has_none() -> None:
    """Only Word knows where pages end: a guess would be a wrong citation."""
    made = read_document("a.docx", docx('<w:p><w:r><w:t>One</w:t><w:br w:type="page"/></w:r></w:p>'))
    assert {block.page for block in made.blocks} == {None}


def texts(made: Document) -> list[str]:
    return [made.text[block.start : block.end] for block in made.blocks]


def test_words_on_two_lines_stay_two_words() -> None:
    """A line break within a paragraph of a Word document is one in the text, whatever begins the next line; within a
    heading and a cell it does not end them.
    """
    broken = "<w:r><w:t>first</w:t><w:br/><w:t># second</w:t><w:cr/><w:t>third</w:t><w:tab/><w:t>fourth</w:t></w:r>"
    paged = '<w:p><w:r><w:t>fifth</w:t><w:br w:clear="all" w:type="page"/><w:t>sixth</w:t></w:r></w:p>'
    hyphened = "<w:p><w:r><w:t>co</w:t><w:noBreakHyphen/><w:t>operate</w:t></w:r></w:p>"
    heading = f'<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr>{broken}</w:p>'
    table = f"<w:tbl><w:tr><w:tc><w:p>{broken}</w:p></w:tc></w:tr></w:tbl>"
    body = f"<w:p>{broken}</w:p>{paged}{hyphened}{heading}{table}"
    made = read_document("a.docx", docx(body, styles=heading_styles()))
    assert texts(made)[:3] == ["first\n\\# second\nthird   fourth", "fifth\nsixth", "co\u2011operate"]
    assert [block.heading for block in made.blocks if block.heading] == ["first # second third fourth"]
    assert texts(made)[4].startswith("| first<br># second<br>third ")


def test_words_on_two_lines_of_a_slide_stay_two_words() -> None:
    """A line break within a paragraph of a slide or of its notes is one in the text; both are text of the slide."""
    lines = "<a:p><a:r><a:t>{}</a:t></a:r><a:br/><a:r><a:t>{}</a:t></a:r></a:p>"
    slides = [("One", lines.format("first", "second"), lines.format("say", "softly")), ("Two", "", "")]
    made = read_document("a.pptx", pptx(slides))
    assert [(block.page, made.text[block.start : block.end].split()) for block in made.blocks] == [
        (1, ["#", "One"]),
        (1, ["first", "second"]),
        (1, [">", "**Notes:**", ">", "say", "softly"]),
        (2, ["#", "Two"]),
    ]


def test_a_style_named_as_a_heading_is_one() -> None:
    """Not every program writes the level of a heading's style, whose name says it in all languages."""
    paragraph = '<w:p><w:pPr><w:pStyle w:val="Heading{}"/></w:pPr><w:r><w:t>Name</w:t></w:r></w:p>'
    made = read_document("a.docx", docx(paragraph.format(1) + paragraph.format(2), styles=heading_styles()))
    assert [(block.level, block.heading) for block in made.blocks] == [(1, "Name"), (2, "Name")]


def test_a_heading_without_words_is_none() -> None:
    """A blank line in a heading's style does not end the section before it."""
    styled = '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr>{}</w:p>'
    body = styled.format("<w:r><w:t>Name</w:t></w:r>") + styled.format("") + "<w:p><w:r><w:t>Text</w:t></w:r></w:p>"
    assert texts(read_document("a.docx", docx(body, styles=heading_styles()))) == ["# Name", "Text"]


def test_notes_stand_with_what_they_are_noted_of() -> None:
    """A footnote or endnote follows the paragraph that refers to it, on its page, and its paragraphs stay apart;
    comments are no text.
    """
    reference = '<w:r><w:t>{}</w:t><w:{}Reference w:id="1"/></w:r>'
    end = "<w:r><w:lastRenderedPageBreak/><w:t> and on</w:t></w:r>"
    note = '<w:{0} w:id="1"><w:p><w:r><w:t>the</w:t></w:r></w:p><w:p><w:r><w:t>{0}</w:t></w:r></w:p></w:{0}>'
    body = (
        f"<w:p>{reference.format('One', 'footnote')}{end}</w:p><w:p>{reference.format('Two', 'endnote')}</w:p>"
        f"<w:p>{reference.format('Three', 'comment')}</w:p>"
    )
    parts = {f"{kind}s": note.format(kind) for kind in ("footnote", "endnote", "comment")}
    made = read_document("a.docx", docx(body, **parts))
    assert [(block.page, made.text[block.start : block.end]) for block in made.blocks] == [
        (1, "One[^1] and on"),
        (1, "[^1]: the footnote"),
        (2, "Two[^e1]"),
        (2, "[^e1]: the endnote"),
        (2, "Three"),
    ]


def test_a_sheet_shows_its_values_as_excel_does() -> None:
    """Per cent are shown as such, errors by their names, dates as dates; a formula without a value is an empty cell,
    and the first row that is not blank names the columns, also where names come back.
    """
    formats = (
        '<numFmts count="2"><numFmt numFmtId="164" formatCode="0.0%"/>'
        '<numFmt numFmtId="165" formatCode="0&quot;%&quot;"/></numFmts>'
    )
    styles = "".join(f'<xf numFmtId="{number}"/>' for number in (0, 9, 10, 164, 165, 14))
    cells = [
        '<c s="1"/><c s="1"/>',
        "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in ("rate", "rate", "day")),
        '<c s="1"><v>0.25</v></c><c s="2" t="n"><f>1/8</f><v>0.125</v></c><c s="5"><v>45000</v></c>',
        '<c s="3"><v>-0.2555</v></c><c s="4"><v>25</v></c><c s="1" t="e"><v>#N/A</v></c>',
        '<c s="1" t="str"><f>A1</f><v>0.5</v></c><c><f>SUM(A1:A2)</f></c><c s="1"><v>1E400000000</v></c>',
    ]
    rows = "".join(
        f'<row r="{y}">'
        + "".join(f'<c r="{"ABC"[x]}{y}"{cell}' for x, cell in enumerate(row.split("<c")[1:]))
        + "</row>"
        for y, row in enumerate(cells, start=1)
    )
    made = read_document("a.xlsx", sheet(rows, f"{formats}<cellXfs>{styles}</cellXfs>"))
    assert made.text.split("\n")[2:] == [
        "| rate | rate | day |",
        "| --- | --- | --- |",
        "| 25% | 12.50% | 2023-03-15 |",
        "| -25.6% | 25 | #N/A |",
        "| 0.5 |  | 1E400000000 |",
    ]


def test_a_workbook_of_formulas_without_values_is_empty() -> None:
    """What a program has written and Excel has never computed has no values yet."""
    with pytest.raises(UnreadableDocument) as caught:
        read_document("a.xlsx", sheet('<row r="1"><c r="A1"><f>1+1</f></c></row>', ""))
    assert caught.value.reason == "empty"


def test_a_bomb_is_not_unpacked() -> None:
    """A file that would unpack to more than the limit is refused before it is unpacked."""
    bomb = docx("<w:p><w:r><w:t>" + "x" * 2_000_000 + "</w:t></w:r></w:p>")
    assert len(bomb) < 10_000
    with pytest.raises(UnreadableDocument, match="unpacks to 2") as caught:
        read_document("a.docx", bomb, ReadLimits(unpacked_bytes=1_000_000))
    assert caught.value.reason == "too_large"


def test_slides_are_pages() -> None:
    """Each slide is a page under its number; the line that numbers it is no text."""
    pages = list(_slides("## Slide 1\n\nwords\n\n---\n## Slide 2\n\n# Real title\n\n## Slide 7\n\nmore"))
    assert [page.number for page in pages] == [1, 2]
    assert [page.markdown.split() for page in pages] == [["words"], ["#", "Real", "title", "##", "Slide", "7", "more"]]


def test_altered_bytes_never_raise_anything_else() -> None:
    """A Word file with bytes overwritten here and there ends as text or as a reason."""
    content, dice = bytearray(HANDBOOK.read_bytes()), random.Random(1)
    for _ in range(20):
        for _ in range(5):
            content[dice.randrange(4, len(content))] = dice.randrange(256)
        try:
            read_document("a.docx", bytes(content))
        except UnreadableDocument as fault:
            assert fault.reason in ("corrupt", "empty", "encrypted")
