"""Choosing a reader, and reading text formats."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.documents import ChunkLimits, Document, chunk_document, count_tokens, read_document
from shared.errors import UnreadableDocument

REASONS = {"encrypted", "corrupt", "image_only", "empty", "too_large", "unknown_type"}
SUFFIXES = (".md", ".markdown", ".txt", ".html", ".htm", ".pdf", ".docx", ".pptx", ".xlsx", ".exe", "")
MAGICS = (
    b"",
    b"%PDF-1.7\n",
    b"  \n%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xff\xfe\0\0",
    b"\xef\xbb\xbf",
    b"<!DOCTYPE html><html><table>",
    b"---\ntitle: [\n---\n",
)


def reason_of(path: str, content: bytes) -> str:
    with pytest.raises(UnreadableDocument) as caught:
        read_document(path, content)
    return caught.value.reason


@settings(max_examples=600)
@given(
    st.sampled_from(SUFFIXES), st.sampled_from(MAGICS), st.one_of(st.binary(max_size=400), st.text().map(str.encode))
)
@example(".pdf", b"%PDF-1.7\n", b"trailer << /Root 1 0 R /Encrypt 9 0 R >>\n%%EOF")
def test_any_bytes_become_text_or_a_reason(suffix: str, magic: bytes, content: bytes) -> None:
    """Whatever the bytes and the extension, a document comes out, or UnreadableDocument with a known reason."""
    try:
        made = read_document(f"folder/name{suffix}", magic + content)
    except UnreadableDocument as fault:
        assert fault.reason in REASONS
        assert str(fault)
    else:
        chunks = chunk_document(made, ChunkLimits(40, 80), count_tokens)
        assert chunks
        assert made.title
        assert all(chunk.text.encode() for chunk in chunks)


@pytest.mark.parametrize("content", [b"", b" \n\t ", b"\xef\xbb\xbf", b"\xff\xfe", b"<!-- nothing -->"])
def test_nothing_is_empty(content: bytes) -> None:
    """Blank files, and files that hold nothing but a mark or a comment, are empty rather than indexed."""
    assert reason_of("a.html", content) == "empty"


def test_unknown_type_names_what_is_read() -> None:
    """An extension that is not read is refused, and the message lists those that are."""
    with pytest.raises(UnreadableDocument, match=r"\.exe is not read; known are \.docx, .*\.xlsx") as caught:
        read_document("a.exe", b"words")
    assert caught.value.reason == "unknown_type"
    assert reason_of("README", b"words") == "unknown_type"


def test_the_first_bytes_decide_before_the_extension() -> None:
    """An archive named .md and a PDF named .txt are what their bytes say."""
    assert reason_of("a.md", b"PK\x03\x04 and so on") == "unknown_type"
    assert reason_of("a.txt", b"%PDF-1.7\nbroken") == "corrupt"
    assert reason_of("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest") == "encrypted"
    assert reason_of("a.docx", b"PK\x03\x04broken") == "corrupt"


def test_the_extension_is_read_in_any_case() -> None:
    """Extensions are compared without case."""
    assert read_document("A.MD", b"# Words").title == "Words"


def html(body: str, head: str = "<title>A &amp;  B</title>") -> Document:
    return read_document("a.html", f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode())


def test_html_becomes_markdown() -> None:
    """Headings, lists and tables keep their meaning; the page's title is the document's."""
    made = html("<h1>Top</h1><ul><li>one<li>two</ul><table><tr><th>a<th>b<tr><td>1<td>2</table><pre>x = 1</pre>")
    assert made.title == "A & B"
    assert [block.kind for block in made.blocks] == ["heading", "list", "table", "code"]
    assert made.blocks[0].heading == "Top"


def test_html_without_what_is_not_read_by_people() -> None:
    """Scripts, styles, comments, forms and navigation are no text."""
    noise = "<script>var noise</script><style>p{noise:1}</style><!-- noise --><nav><a href=noise>noise</a></nav>"
    assert "noise" not in html(f"{noise}<p>Words</p>").text
    assert html("<p>Words</p>", head="").title == "A"


def test_html_keeps_the_links_text() -> None:
    """A link's words are in the text."""
    assert "the rules" in html('<p>See <a href="https://example.org/x">the rules</a>.</p>').text
