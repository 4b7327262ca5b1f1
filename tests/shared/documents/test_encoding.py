"""Encodings: told by mark, declaration, validity, detection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents import read_document
from shared.documents.encoding import decode
from shared.errors import UnreadableDocument

GERMAN = "Die Größe der Kühlfläche beträgt 12 m² – für “alle” Türen zusammen, höchstens 5 €."
JAPANESE = "これは日本語の文書です。冷蔵庫の温度は五度以下に保ってください。"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "cp1252"])
def test_western_text(encoding: str) -> None:
    """Western text comes out right in every encoding it is commonly in, with and without a byte order mark."""
    assert decode(GERMAN.encode(encoding)) == GERMAN


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "shift_jis", "euc_jp"])
def test_japanese_text(encoding: str) -> None:
    """Japanese text is told from its bytes."""
    assert decode(JAPANESE.encode(encoding)) == JAPANESE


def test_short_western_text_is_not_taken_for_chinese() -> None:
    """Where there is too little to detect from, one accented letter does not turn a word into another script."""
    assert decode("Café".encode("cp1252")) == "Café"


@pytest.mark.parametrize("encoding", ["shift_jis", "iso-2022-jp", "euc-jp", "windows-1251", "iso-8859-1"])
def test_html_declares_its_encoding(encoding: str) -> None:
    """What an HTML page declares is believed before anything is guessed."""
    word = {"windows-1251": "Температура", "iso-8859-1": "Größe"}.get(encoding, "冷蔵庫")
    page = f'<html><head><meta charset="{encoding}"><title>{word}</title></head><body><p>{word}</p></body></html>'
    made = read_document("a.html", page.encode(encoding))
    assert (made.title, made.text) == (word, word)


@pytest.mark.parametrize("encoding", ["no-such-thing", "unicode_escape", "zlib_codec", "utf-9999"])
def test_a_declaration_that_makes_no_sense_is_ignored(encoding: str) -> None:
    """An unknown or unsafe name in a page is not used."""
    text = f'<meta charset="{encoding}"><p>Größe \\x41</p>'
    assert decode(text.encode()) == text


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), min_size=1))
def test_utf8_always_comes_back(text: str) -> None:
    """Valid UTF-8 is never taken for anything else."""
    assert decode(text.encode()) == text


@pytest.mark.parametrize("suffix", [".md", ".txt", ".html"])
def test_binary_is_not_text(suffix: str) -> None:
    """Bytes that are no text are quarantined under a text's extension."""
    with pytest.raises(UnreadableDocument) as caught:
        read_document(f"a{suffix}", b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 8)
    assert caught.value.reason == "unknown_type"
