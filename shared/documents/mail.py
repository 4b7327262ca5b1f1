"""E-mail (RFC 5322, MIME) to a document: who wrote what to whom, and what was attached."""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

from shared.documents.encoding import declared_by_page, decode
from shared.documents.hypertext import to_markdown
from shared.documents.markdown import Page, document
from shared.documents.model import Document
from shared.errors import UnreadableDocument

HEADERS = ("From", "To", "Cc", "Date", "Subject")
MOST_ATTACHMENTS = 50
DEEPEST = 3  # messages within messages
DEEPEST_LEVEL = 6  # of a heading
ENOUGH = 0.5  # of the HTML's words: plain text that has fewer of them does not stand for it

_MESSAGES = ("message/rfc822", "message/global")
_SIGNATURES = ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
_SEALED = ("multipart/encrypted", "application/pgp-encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # its object identifier [RFC 5652]
_ARMOUR = re.compile(r"-----BEGIN PGP MESSAGE-----.*?(?:-----END PGP MESSAGE-----|\Z)", re.DOTALL)
_TARGET = re.compile(r"\]\([^\s)]{0,2000}")  # of a link
_WORD = re.compile(r"\w+")

# A name, what it names, its media type, and the encoding that it is said to be in.
ReadAttachment = Callable[[str, bytes, str, str | None], Document]


def read_mail(path: str, content: bytes, read: ReadAttachment, depth: int = 0) -> Document:
    """Read a message with its attachments, each by `read` under a heading with its name.

    An attachment that cannot be read leaves a line with the reason. Raises UnreadableDocument: corrupt, too_large, and
    encrypted where that leaves nothing to read.
    """
    return _document(path, _parsed(content), read, depth)


def _parsed(content: bytes) -> EmailMessage:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = decode(content).encode()
    return message_from_bytes(content.removeprefix(codecs.BOM_UTF8).lstrip(), policy=policy.default)


def _document(path: str, message: EmailMessage, read: ReadAttachment, depth: int) -> Document:
    if not any(name in message for name in HEADERS):
        raise UnreadableDocument("corrupt", "there are no headers of a message")
    if depth > DEEPEST:
        raise UnreadableDocument("too_large", f"messages are nested deeper than {DEEPEST}")
    parts = _parts(message)
    attached = [part for part in parts if not _is_body(part)]
    if len(attached) > MOST_ATTACHMENTS:
        raise UnreadableDocument("too_large", f"{len(attached)} attachments; at most {MOST_ATTACHMENTS} are read")
    named = [("", part) for part in parts if _is_body(part)]
    named += [(_name(part, number), part) for number, part in enumerate(attached, start=1)]
    subject = _header(message, "Subject")
    sections = [f"# {subject}" if subject else "", *_envelope(message)]
    readable, sealed = False, None
    for name, part in named:
        try:
            text = _attachment(part, name, read, depth) if name else _body(part)
            readable = readable or bool(text.strip())
        except UnreadableDocument as fault:
            sealed = fault if fault.reason == "encrypted" else sealed
            text = f"(This {'attachment' if name else 'part'} could not be read: {fault.reason}.)"
        sections.append(f"## {name}\n\n{text}" if name else text)
    if sealed and not readable:
        raise sealed
    # Pages, so that what one part leaves open, such as a block of code, ends with it.
    return document(path, [Page(None, text) for text in sections if text.strip()], subject)


# ---- headers -------------------------------------------------------------------------------------------------------


def _header(message: EmailMessage, name: str) -> str:
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
    try:
        value = str(message.get(name, ""))
    except Exception:  # the parser trips over some malformed headers
        value = raw
    if "\ufffd" in value:  # bytes that say no encoding
        value = decode(raw.encode(errors="surrogateescape"))
    return " ".join(value.split())


def _envelope(message: EmailMessage) -> Iterator[str]:
    """Yield the headers but for the subject, which is the title, as one paragraph of lines."""
    named = [(name, _header(message, name)) for name in HEADERS if name != "Subject"]
    yield "\n".join(f"- {name}: {value}" for name, value in named if value)


def _name(part: EmailMessage, number: int) -> str:
    return " ".join((part.get_filename() or "").split()) or f"attachment {number}"


# ---- parts ---------------------------------------------------------------------------------------------------------


def _parts(part: EmailMessage) -> list[EmailMessage]:
    """Return the parts that hold something to read, however deep they are, in order."""
    kind = part.get_content_type()
    if kind in _SIGNATURES:
        return []
    if part.get_content_maintype() != "multipart" or kind in _SEALED or not part.is_multipart():
        return [part]
    within = cast(Iterable[EmailMessage], part.iter_parts())
    if kind == "multipart/related":  # pictures in a page
        within = (one for one in within if one.get_content_maintype() != "image")
    found = [leaf for one in within for leaf in _parts(one)]
    return _chosen(found) if kind == "multipart/alternative" else found


def _is_body(part: EmailMessage) -> bool:
    """Whether the part is what somebody wrote, not what they attached. A multipart without parts is text."""
    kind, _, subkind = part.get_content_type().partition("/")
    text = (kind == "text" and subkind in ("plain", "html")) or (kind == "multipart" and subkind != "encrypted")
    return text and not part.is_attachment() and not part.get_filename()


def _chosen(parts: list[EmailMessage]) -> list[EmailMessage]:
    """Return what is to be read of alternatives: the plain text if it says what the HTML does, and what is attached.

    Some plain text only says that there is HTML. Where each says something else, both are read.
    """
    bodies = [part for part in parts if _is_body(part)]
    if not bodies:
        return parts
    plain, rich = (
        [part for part in bodies if (part.get_content_subtype() == "html") is html] for html in (False, True)
    )
    said, shown = _words(plain), _words(rich)
    left_out = list[EmailMessage]()
    if len(said & shown) >= ENOUGH * len(shown):
        left_out = rich
    elif len(said) < len(shown):
        left_out = plain
    # A page for other screens says the same; an invitation says when and where.
    gone = {id(part) for part in [*left_out, *filter(_is_other_version, parts)]}
    return [part for part in parts if id(part) not in gone]


def _is_other_version(part: EmailMessage) -> bool:
    unnamed_text = part.get_content_maintype() == "text" and not part.is_attachment() and not part.get_filename()
    return unnamed_text and not _is_body(part) and part.get_content_subtype() != "calendar"


def _words(parts: Iterable[EmailMessage]) -> set[str]:
    found: set[str] = set()
    for part in parts:
        try:
            found.update(_WORD.findall(_TARGET.sub("", _body(part)).casefold()))
        except UnreadableDocument:
            continue
    return found


# ---- what a part holds ---------------------------------------------------------------------------------------------


def _body(part: EmailMessage) -> str:
    content, html = _payload(part), part.get_content_type() == "text/html"
    declared = (_charset(part), declared_by_page(content) if html else None)
    try:
        text = decode(content, *declared)
    except UnreadableDocument:  # a message is text, whatever damaged it
        text = decode(content.replace(b"\0", b""), *declared)
    text = to_markdown(text) if html else text
    rest, sealed = _ARMOUR.subn("(This part could not be read: encrypted.)", text)
    if sealed and not _WORD.search(_ARMOUR.sub("", text)):
        raise UnreadableDocument("encrypted", "the message is encrypted (PGP)")
    return rest


def _attachment(part: EmailMessage, name: str, read: ReadAttachment, depth: int) -> str:
    kind = part.get_content_type()
    if kind in _MESSAGES and part.is_multipart():
        return _below(_document(name, _forwarded(part), read, depth + 1))
    content = _payload(part)
    if content.startswith(b"-----BEGIN PGP MESSAGE-----") or _is_enveloped(kind, name, content):
        raise UnreadableDocument("encrypted", "the message is encrypted (S/MIME or PGP)")
    if name.lower().endswith(".eml"):
        return _below(read_mail(name, content, read, depth + 1))
    return _below(read(name, content, kind, _charset(part)))


def _is_enveloped(kind: str, name: str, content: bytes) -> bool:
    """Whether it is an encrypted message (S/MIME, or PGP in MIME), and not one that is signed only."""
    return (kind in _SEALED or name.lower().endswith(".p7m")) and _SIGNED_DATA not in content[:40]


def _payload(part: EmailMessage) -> bytes:
    if not part.is_multipart():
        payload = part.get_payload(decode=True)
        return payload if isinstance(payload, bytes) else b""
    # A report on a delivery: blocks of headers.
    blocks = cast(list[EmailMessage], part.get_payload())
    return "\n\n".join("\n".join(f"{name}: {value}" for name, value in one.raw_items()) for one in blocks).encode(
        errors="surrogateescape"
    )


def _forwarded(part: EmailMessage) -> EmailMessage:
    """Return the message that the part holds. Some senders encode it, although they must not."""
    inner = cast(list[EmailMessage], part.get_payload())[0]
    encoding = part.get("Content-Transfer-Encoding", "").lower()
    if inner.keys() or encoding not in ("base64", "quoted-printable"):
        return inner
    inner["Content-Transfer-Encoding"] = encoding
    return _parsed(_payload(inner))


def _charset(part: EmailMessage) -> str | None:
    """Return the encoding that the part declares; one that is declared for want of another says nothing."""
    charset = part.get_content_charset()
    return None if charset == "us-ascii" else charset


def _below(made: Document) -> str:
    """Return the attachment's text with its headings two levels deeper: it stands below its own name."""
    parts, at = list[str](), 0
    for block in made.blocks:
        if block.kind == "heading":
            lines = made.text[block.start : block.end].split("\n")
            words = " ".join(lines[:-1] if len(lines) > 1 else lines).lstrip("# ")  # the last may underline them
            parts += [made.text[at : block.start], f"{'#' * min(block.level + 2, DEEPEST_LEVEL)} {words}"]
            at = block.end
    return "".join([*parts, made.text[at:]])
