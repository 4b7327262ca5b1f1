"""Bytes to text: which encoding they are in. The same bytes give the same text on every machine."""

import re

from charset_normalizer import from_bytes

from shared.errors import UnreadableDocument

# UTF-32 first: its little-endian mark begins with UTF-16's.
_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Encodings of documents; Python knows others under such names as `unicode_escape`, which a document must not choose.
_DECLARED = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?((?:utf|iso|windows|cp|shift|sjis|euc|gb|big5|koi8|us-ascii|ascii|latin)[\w-]*)",
    re.IGNORECASE,
)
_HEAD_BYTES = 4096  # a declaration stands at the top of a page
_FEW_BYTES = 200
_WEB_NAMES = {"iso-8859-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252", "ascii": "cp1252", "shift_jis": "cp932"}


def decode(content: bytes) -> str:
    """Return the text in `content`.

    Its encoding is told by a byte order mark, else by what an HTML page declares, else it is UTF-8 where that fits,
    else detected. Raises UnreadableDocument when the bytes are no text.
    """
    text = _decoded(content)
    if "\0" in text:
        raise UnreadableDocument("unknown_type", "the content is binary, not text")
    return text


def _decoded(content: bytes) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    for encoding in (*_declared(content), *_wide(content), "utf-8"):
        try:
            return content.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    if len(content) < _FEW_BYTES and sum(byte > 127 for byte in content) < len(content) / 3:
        return content.decode("cp1252", errors="replace")  # too little to detect: Western text is mostly ASCII
    guess = from_bytes(content).best()
    return str(guess) if guess else content.decode("cp1252", errors="replace")


def _declared(content: bytes) -> list[str]:
    match = _DECLARED.search(content[:_HEAD_BYTES])
    if match is None:
        return []
    name = match[1].decode("ascii").lower()
    return [_WEB_NAMES.get(name, name)]


def _wide(content: bytes) -> list[str]:
    """UTF-16 without a mark: in most scripts' punctuation and digits every other byte is zero."""
    sample = content[:_HEAD_BYTES]
    low, high = sample[0::2].count(0), sample[1::2].count(0)
    if high > len(sample) // 8 and low == 0:
        return ["utf-16-le"]
    if low > len(sample) // 8 and high == 0:
        return ["utf-16-be"]
    return []
