"""Encodings: told by mark, declaration, validity, detection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents import read_document
from shared.documents.encoding import decode
from shared.errors import UnreadableDocument

GERMAN = "Die Größe der Kühlfläche beträgt 12 m² – für “alle” Türen zusammen, höchstens 5 €."
JAPANESE = "これは日本語の文書です。冷蔵庫の温度は五度以下に保ってください。"

TEXTS = [
    ("cp1252", "L’été dernier, nous avons reçu une réponse à propos du système où tout était gelé."),
    ("cp1252", "El año pasado vendimos más camiones; ¿dónde está el almacén?"),
    ("cp1252", "Børnene spiser rødgrød med fløde på øen, og køleskabet står åbent hele året."),
    ("cp1252", "Það þarf að athuga hitastigið í kæliskápnum á hverjum morgni."),
    ("cp1250", "Zażółć gęślą jaźń. Łódź jest piękna."),
    ("iso8859_2", "Wszystkie zgłoszenia są rozpatrywane w ciągu czternastu dni roboczych od ich wpływu."),
    ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy."),
    ("cp1250", "A hűtő hőmérsékletét naponta háromszor ellenőrizni kell."),
    ("cp1254", "Buzdolabının sıcaklığı günde üç kez kontrol edilmelidir; ağır yükler taşınmaz."),
    ("cp1257", "Šaldytuvo temperatūra turi būti tikrinama tris kartus per dieną, taip pat naktį."),
    ("cp1251", "Температуру холодильной камеры следует проверять три раза в день."),
    ("koi8_r", "Температуру холодильной камеры следует проверять три раза в день."),
    ("cp1253", "Η θερμοκρασία του ψυγείου πρέπει να ελέγχεται τρεις φορές την ημέρα."),
    ("cp1255", "יש לבדוק את טמפרטורת המקרר שלוש פעמים ביום."),
    ("cp1256", "يجب فحص درجة حرارة الثلاجة ثلاث مرات في اليوم."),
    ("cp874", "ต้องตรวจสอบอุณหภูมิของตู้เย็นวันละสามครั้ง"),
    ("cp932", JAPANESE),
    ("euc_jp", JAPANESE),
    ("iso2022_jp", JAPANESE),
    ("gb18030", "这是一个中文文本文件，用于测试编码。北京是首都。"),
    ("big5", "這是一個中文文本文件，用於測試編碼。台北是首都。"),
    ("cp949", "안녕하세요 이것은 한국어 텍스트입니다. 서울은 수도입니다."),
    ("iso2022_kr", "안녕하세요 이것은 한국어 텍스트입니다."),
]


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


@pytest.mark.parametrize("times", [1, 40])
@pytest.mark.parametrize(("encoding", "text"), TEXTS, ids=[encoding for encoding, _ in TEXTS])
def test_text_of_many_scripts(encoding: str, text: str, times: int) -> None:
    """What nothing declares is told by the letters of its language, in a sentence as in a long text."""
    written = f"{text}\n" * times
    assert decode(written.encode(encoding)) == written


def test_western_text_stays_western() -> None:
    """Words from other Western languages do not make a long German text one of Central Europe."""
    text = "Die Prüfung der Maße ergab: Größe 5 €, Straße frei. Über Öl – naïve Gäste im Café.\n" * 40
    assert decode(text.encode("cp1252")) == text


@pytest.mark.parametrize("damage", [b"\xff", b"\xe4\xb8", b"\x80 and \xc3"])
def test_utf8_with_some_damage_is_utf8(damage: bytes) -> None:
    """A few bytes that do not belong there are replaced; the text around them stays what it is."""
    made = decode((GERMAN * 3).encode() + damage + b" end")
    assert made.startswith(GERMAN * 3)
    assert "\ufffd" in made
    assert made.endswith(" end")


def test_a_declaration_fits_or_is_not_believed() -> None:
    """A declared encoding counts where the bytes are neither UTF-8 nor contradict it."""
    assert decode("Größe".encode(), "iso-8859-1") == "Größe"
    assert decode("Größe".encode("cp1252"), "utf-8") == "Größe"
    assert decode("Größe".encode("cp1252"), "us-ascii") == "Größe"
    assert decode("东京 镕基".encode("gb18030"), "gb2312") == "东京 镕基"
    assert decode("Größe".encode("cp1251", errors="replace"), "windows-1251") == "Gr??e"
    assert decode("Łódź".encode("iso8859_2"), "ISO-8859-2") == "Łódź"
    assert decode(b"+2D7cqQ- ok", "utf-7").endswith(" ok")


@pytest.mark.parametrize("suffix", [".md", ".txt"])
def test_only_a_page_declares_its_encoding(suffix: str) -> None:
    """Text about encodings is not written in those that it mentions."""
    text = 'Write <meta charset="shift_jis"> for the Größe of a page.'
    assert decode(text.encode("cp1252")) == text
    assert "Größe" in read_document(f"a{suffix}", text.encode("cp1252")).text


def test_an_xml_declaration_counts() -> None:
    """XHTML says its encoding in its first line."""
    page = '<?xml version="1.0" encoding="windows-1250"?><html><body><p>Ńońą é</p></body></html>'
    assert read_document("a.html", page.encode("cp1250")).text == "Ńońą é"


def test_utf8_goes_before_what_a_page_declares() -> None:
    """A page that was converted to UTF-8 and still declares its old encoding reads right."""
    page = '<html><head><meta charset="iso-8859-1"><title>Über</title></head><body><p>Größe</p></body></html>'
    assert (read_document("a.html", page.encode()).title, read_document("a.html", page.encode()).text) == (
        "Über",
        "Größe",
    )


@pytest.mark.parametrize("encoding", ["shift_jis", "iso-2022-jp", "euc-jp", "windows-1251", "iso-8859-1", "gb2312"])
def test_html_declares_its_encoding(encoding: str) -> None:
    """What an HTML page declares is believed before anything is guessed."""
    word = {"windows-1251": "Температура", "iso-8859-1": "Größe", "gb2312": "冷藏库"}.get(encoding, "冷蔵庫")
    page = f'<html><head><meta charset="{encoding}"><title>{word}</title></head><body><p>{word}</p></body></html>'
    made = read_document("a.html", page.encode(encoding))
    assert (made.title, made.text) == (word, word)


@pytest.mark.parametrize("encoding", ["no-such-thing", "unicode_escape", "zlib_codec", "utf-9999"])
def test_a_declaration_that_makes_no_sense_is_ignored(encoding: str) -> None:
    """An unknown or unsafe name in a page is not used."""
    assert decode("Größe \\x41".encode("cp1252"), encoding) == "Größe \\x41"


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
