"""Choosing a reader, and reading text formats."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.documents import ChunkLimits, chunk_document, count_tokens, embedding_input, read_document
from shared.documents.markdown import MAX_HEADING
from shared.documents.readers import EXTENSIONS, reader_suffix
from shared.errors import UnreadableDocument
from tests.shared.documents.files import docx

REASONS = {"encrypted", "corrupt", "image_only", "empty", "too_large", "unknown_type"}
SUFFIXES = (*EXTENSIONS, ".exe", "")
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
    b"From: a@b.c\nContent-Type: multipart/mixed; boundary=x\n\n--x\n",
    b'{"a": [',
    b"a;b\n1;2\n",
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
    with pytest.raises(UnreadableDocument, match=r"\.exe is not read; known are \.csv, \.docx, .*\.xlsx") as caught:
        read_document("a.exe", b"words")
    assert caught.value.reason == "unknown_type"
    assert reason_of("README", b"words") == "unknown_type"


def test_the_first_bytes_decide_before_the_extension() -> None:
    """An archive named .md and a PDF named .txt are what their bytes say."""
    assert reason_of("a.md", b"PK\x03\x04 and so on") == "unknown_type"
    assert reason_of("a.txt", b"%PDF-1.7\nbroken") == "corrupt"
    assert read_document("a.md", b"The mark %PDF-1.7 opens a PDF.").text == "The mark %PDF-1.7 opens a PDF."
    assert reason_of("a.docx", b"PK\x03\x04broken") == "corrupt"
    assert reason_of("a.docx", b"no Office document at all") == "corrupt"
    assert reason_of("a.md", b"\x89PNG\r\n\x1a\nand so on") == "image_only"
    assert read_document("notes.txt", docx("<w:p><w:r><w:t>Words</w:t></w:r></w:p>")).text == "Words"


@pytest.mark.parametrize(
    "header",
    [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00",
        b"GIF87a\x40\x01\xf0\xf0\xf7\x00\x00",
        b"II*\0",
        b"MM\0*",
        b"BM\x36\x10\x0e\x00\0\0\0\0\x36\0\0\0",
    ],
)
def test_an_image_is_told_by_its_header(header: bytes) -> None:
    """Pictures are image_only, whatever they are named."""
    assert reason_of("a.txt", header + b"and so on") == "image_only"


@pytest.mark.parametrize(
    "text", ["BMW announced record sales.", "BMI;weight\n22;70\n", "GIF89a is an image format from 1989.", "MM and II*"]
)
def test_a_text_may_begin_like_an_image(text: str) -> None:
    """The letters that a header begins with are words too."""
    assert text.split(";")[0].split()[0] in read_document("a.txt", text.encode()).text


@pytest.mark.parametrize(
    ("stream", "reason", "words"),
    [
        ("EncryptedPackage", "encrypted", "password"),
        ("WordDocument", "unknown_type", "save it as .docx"),
        ("Workbook", "unknown_type", "save it as .xlsx"),
        ("PowerPoint Document", "unknown_type", "save it as .pptx"),
        ("__properties_version1.0", "unknown_type", "save it as .eml"),
        ("Something", "unknown_type", "no known kind"),
    ],
)
def test_an_ole_container_is_told_by_what_it_holds(stream: str, reason: str, words: str) -> None:
    """Encrypted Office files, old formats and Outlook messages share a container; each has its own reason."""
    content = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + stream.encode("utf-16-le")
    with pytest.raises(UnreadableDocument, match=words) as caught:
        read_document("a.doc", content)
    assert caught.value.reason == reason


def test_the_extension_is_read_in_any_case() -> None:
    """Extensions are compared without case."""
    assert read_document("A.MD", b"# Words").title == "Words"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.txt", "A paragraph of a text. " * 500 + "\n-----\n\n"),
        ("a.md", f"# {'word ' * 3_000}\n\n"),
        ("a.html", "<h1>Title"),
        ("a.eml", f"From: a@example.com\nSubject: {'word ' * 3_000}\n\n"),
        ("a.json", None),
    ],
)
def test_no_heading_multiplies_a_document(path: str, content: str | None) -> None:
    """Whatever a file makes a heading of, what is embedded of it is about as long as its text."""
    paragraphs = ["Some words of a paragraph that goes on for a while. " * 8 for _ in range(60)]
    if content is None:
        text = json.dumps({"k" * 20_000: paragraphs})
    else:
        text = content + "".join(f"<p>{one}" if path.endswith("html") else f"{one}\n\n" for one in paragraphs)
    made = read_document(path, text.encode())
    chunks = chunk_document(made, ChunkLimits(150, 400), count_tokens)
    assert sum(len(embedding_input(chunk)) for chunk in chunks) < 1.5 * len(text)
    assert len(made.title) <= MAX_HEADING


def test_extensions_of_one_reader_stand_for_each_other() -> None:
    """What is read in the same way has one mark, what its own extension matters to has its own."""
    assert {reader_suffix(f"folder/A.{end}") for end in ("md", "markdown", "MD")} == {".md"}
    assert [reader_suffix(path) for path in ("a.htm", "a.tsv", "a.ndjson")] == [".html", ".csv", ".jsonl"]
    assert [reader_suffix(path) for path in ("a.docx", "a.pdf", "a.unknown", "a")] == [".docx", ".pdf", ".unknown", ""]
