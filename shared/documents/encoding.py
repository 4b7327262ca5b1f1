"""Bytes to text: which encoding they are in. The same bytes give the same text on every machine."""

import re
from collections import Counter
from collections.abc import Sequence

from charset_normalizer import from_bytes

from shared.documents.alphabets import ALPHABETS, COMMON, Alphabet
from shared.errors import UnreadableDocument

# UTF-32 first: its little-endian mark begins with UTF-16's.
_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_META = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)
_XML = re.compile(rb"\s*<\?xml[^>]{0,200}encoding\s*=\s*[\"']([\w-]+)", re.IGNORECASE)
# Encodings of documents; Python knows others under such names as `unicode_escape`, which a document must not choose.
_KNOWN = re.compile(r"(utf|iso|windows|cp|shift|s?jis|euc|gb|hz|big5|koi8|latin|ks_c|tis|mac)[\w-]*")
# What is meant by a name is the superset that browsers read it as. [WHATWG Encoding]
_MEANT = {
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "gb_2312-80"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "windows-31j"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987"), "cp949"),
    "big5": "cp950",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-9": "cp1254",
    "tis-620": "cp874",
}
_SEVEN_BIT = ("iso-2022", "hz", "utf-7")  # what is written in them is ASCII too, and so UTF-8
_SWITCHES = ((b"\x1b$)C", "iso2022_kr"), (b"\x1b$", "iso2022_jp_ext"))  # to another alphabet; no other text has them
_HEAD_BYTES = 4096  # a declaration stands at the top of a page
_SAMPLE_BYTES = 16_384  # of lines that are not ASCII: enough to tell an alphabet from
_MOST_BAD = 0.25  # of the characters beyond ASCII: with more damage it is another encoding
# East Asian encodings, and the Thai one, which can look like them. The first of those that fit equally is taken.
_DENSE = ["cp932", "euc_jp", "gb18030", "cp950", "cp949", "cp874"]
_NEVER_AFTER_A_LETTER = frozenset("±¿¡½£")
_NEVER_WITHIN_A_WORD = frozenset("²³°§©®×•€")


def decode(content: bytes, *declared: str | None) -> str:
    """Return the text in `content`.

    Its encoding is told by a byte order mark or by how it switches alphabets; else it is UTF-8 where that fits but for
    some damage, else the first `declared` that fits, else detected. Raises UnreadableDocument when it is no text.
    """
    text = _decoded(content, [name for one in declared if (name := _meant(one))])
    if "\0" in text:
        raise UnreadableDocument("unknown_type", "the content is binary, not text")
    return text


def declared_by_page(content: bytes) -> str | None:
    """Return the encoding that an HTML or XHTML page declares, if it does."""
    head = content[:_HEAD_BYTES]
    match = _XML.match(head) or _META.search(head)
    name = match[1].decode("ascii", errors="ignore") if match else ""
    # A page that could be searched for its declaration is not in an encoding of two or four bytes a character.
    return None if name.lower().startswith(("utf-16", "utf-32")) else name


def _meant(declared: str | None) -> str | None:
    name = (declared or "").lower()
    return _MEANT.get(name, name) if _KNOWN.fullmatch(name) else None


def _decoded(content: bytes, declared: Sequence[str]) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    for encoding in (*_switching(content, declared), *_wide(content), "utf-8"):
        try:
            return content.decode(encoding)
        except (LookupError, UnicodeError):
            continue
    for name in ("utf-8", *declared):
        text = _nearly(content, name)
        if text is not None:
            return text
    return _detected(content)


def _switching(content: bytes, declared: Sequence[str]) -> list[str]:
    """Encodings of seven bits a character, which say in between which alphabet follows."""
    found = [encoding for switch, encoding in _SWITCHES if switch in content]
    return found[:1] or [name for name in declared if name.startswith(_SEVEN_BIT)]


def _wide(content: bytes) -> list[str]:
    """UTF-16 without a mark: in most scripts' punctuation and digits every other byte is zero."""
    sample = content[:_HEAD_BYTES]
    low, high = sample[0::2].count(0), sample[1::2].count(0)
    if high > len(sample) // 8 and low == 0:
        return ["utf-16-le"]
    if low > len(sample) // 8 and high == 0:
        return ["utf-16-be"]
    return []


def _nearly(content: bytes, encoding: str) -> str | None:
    """Return the text if it is in this encoding but for some damage, which leaves a replacement character each."""
    try:
        text = content.decode(encoding, errors="replace")
    except LookupError:
        return None
    bad = text.count("\ufffd")
    return text if bad <= _MOST_BAD * sum(map(_is_beyond_ascii, text)) else None


def _is_beyond_ascii(character: str) -> bool:
    return character > "\x7f"


# ---- detection -----------------------------------------------------------------------------------------------------


def _detected(content: bytes) -> str:
    """Return the text in the encoding in which it reads most like a language.

    An alphabet settles it for most scripts. The rest, which have thousands of signs, are left to statistics.
    """
    lines = (line for line in content.splitlines(keepends=True) if not line.isascii())
    sample = b"".join(lines)[:_SAMPLE_BYTES]
    shapes = {
        encoding: _shape(sample.decode(encoding, errors="replace")) for encoding in {a.encoding for a in ALPHABETS}
    }
    scores = [_score(alphabet, shapes[alphabet.encoding]) for alphabet in ALPHABETS]
    best = max(range(len(ALPHABETS)), key=scores.__getitem__)  # the first among equals
    if scores[best] >= ALPHABETS[best].enough:
        return content.decode(ALPHABETS[best].encoding, errors="replace")
    guesses = [
        (one.chaos, -one.coherence, _DENSE.index(one.encoding)) for one in from_bytes(sample, cp_isolation=_DENSE)
    ]
    encoding = _DENSE[min(guesses)[2]] if guesses else "cp1252"
    return content.decode(encoding, errors="replace")


def _shape(text: str) -> Counter[str]:
    """Count the characters beyond ASCII, and as U+FFFD those where no language has them: capitals within words, and
    letters of another script next to Latin ones.
    """
    found: Counter[str] = Counter()
    padded = f" {text} "
    for at, character in enumerate(text, start=1):
        if character <= "\x7f":
            continue
        before, after = padded[at - 1], padded[at + 1]
        if character.isalpha():
            another = character >= "\u0370" and (_is_latin(before) or _is_latin(after))
            misplaced = another or (character.isupper() and before.isalpha())
        else:
            odd = _NEVER_WITHIN_A_WORD if after.isalpha() else frozenset[str]()
            misplaced = before.isalpha() and (character in _NEVER_AFTER_A_LETTER or character in odd)
        found["\ufffd" if misplaced else character] += 1
    return found


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalpha()


def _score(alphabet: Alphabet, shape: Counter[str]) -> float:
    """Return the share of the characters beyond ASCII that the language has."""
    fits = sum(
        count for character, count in shape.items() if character.lower() in alphabet.letters or character in COMMON
    )
    return alphabet.weight * fits / max(1, shape.total())
