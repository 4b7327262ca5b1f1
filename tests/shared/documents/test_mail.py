"""E-mail with attachments."""

import base64
import re
from email.message import EmailMessage

import pytest

from shared.documents import Document, read_document
from shared.documents.mail import DEEPEST, MOST_ATTACHMENTS
from shared.errors import UnreadableDocument
from tests.shared.documents.files import Line, pdf, xlsx


def message(body: str = "Hello Bo,\n\nthe pump is back.\n") -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = "Pump Ärende 7"
    made["From"] = "Ada <ada@example.com>"
    made["To"] = "bo@example.com, cy@example.com"
    made["Date"] = "Fri, 13 Feb 2026 10:00:00 +0100"
    made.set_content(body)
    return made


def read(made: EmailMessage) -> Document:
    return read_document("folder/mail.eml", made.as_bytes())


def test_a_message_says_who_wrote_what() -> None:
    """The subject is the title; sender, recipients, date and body are text."""
    made = read(message())
    assert made.title == "Pump Ärende 7"
    assert made.text.split("\n")[:5] == [
        "# Pump Ärende 7",
        "",
        "- From: Ada <ada@example.com>",
        "- To: bo@example.com, cy@example.com",
        "- Date: Fri, 13 Feb 2026 10:00:00 +0100",
    ]
    assert made.text.endswith("Hello Bo,\n\nthe pump is back.")


def test_html_is_read_where_there_is_no_plain_text() -> None:
    """The plain version goes before the HTML one, which is read when it is alone."""
    both = message()
    both.add_alternative("<p>Hello Bo, the <b>pump</b> is back</p>", subtype="html")
    assert "**pump**" not in read(both).text
    alone = message()
    alone.set_content("<h2>News</h2><p>In <b>HTML</b></p>", subtype="html")
    assert "## News" in read(alone).text
    assert "In **HTML**" in read(alone).text


def test_attachments_are_read_by_their_own_readers() -> None:
    """Each stands under its name, its headings below that; what cannot be read leaves a line with the reason."""
    made = message()
    made.add_attachment("# Report\n\nAll is well.", subtype="markdown", filename="report.md")
    made.add_attachment(
        xlsx({"Prices": [["item", "EUR"], ["box", "12"]]}), maintype="application", subtype="x", filename="p.xlsx"
    )
    made.add_attachment(b"\x7fELF", maintype="application", subtype="x", filename="tool.exe")
    made.add_attachment(message("An older letter."))
    text = read(made).text
    assert "## report.md\n\n### Report\n\nAll is well." in text
    assert "## p.xlsx" in text and "| box | 12 |" in text
    assert "## tool.exe\n\n(This attachment could not be read: unknown\\_type.)" in text.replace("_type", "\\_type")
    assert "An older letter." in text
    outline = [(block.level, block.heading) for block in read(made).blocks if block.heading]
    assert (4, "Prices") in outline


def test_an_unknown_charset_is_detected() -> None:
    """A body in a charset that nobody knows is decoded like any other text."""
    raw = b"Subject: x\nContent-Type: text/plain; charset=x-none\n\nsm\xc3\xb6rg\xc3\xa5s\n"
    assert "smörgås" in read_document("a.eml", raw).text


@pytest.mark.parametrize("raw", [b"no message at all", b"\n\nbody without head"])
def test_what_has_no_headers_is_no_message(raw: bytes) -> None:
    """A message has at least one of the usual headers."""
    with pytest.raises(UnreadableDocument) as caught:
        read_document("a.eml", raw)
    assert caught.value.reason == "corrupt"


def test_messages_within_messages_end_somewhere() -> None:
    """Beyond a depth, and beyond a number of attachments, nothing is read."""
    made = message("the innermost")
    for _ in range(DEEPEST + 2):
        outer = message("around it")
        outer.add_attachment(made)
        made = outer
    text = read(made).text
    assert "could not be read: too_large" in text
    assert "the innermost" not in text
    many = message()
    for n in range(MOST_ATTACHMENTS + 1):
        many.add_attachment("x", filename=f"{n}.txt")
    with pytest.raises(UnreadableDocument) as caught:
        read(many)
    assert caught.value.reason == "too_large"


def test_html_of_a_mail_is_read_as_any_html() -> None:
    """The body of an HTML mail keeps what is in its forms, and what a page says for machines is no text."""
    head = "<head><title>T</title><meta name='generator' content='machine'></head>"
    mail = f"From: a@example.com\nContent-Type: text/html\n\n<html>{head}<body><form><p>Words</p></form></body></html>"
    text = read_document("a.eml", mail.encode()).text
    assert "Words" in text
    assert "machine" not in text
    assert "---" not in text


HEAD = b"From: ada@example.com\nSubject: Pump\nMIME-Version: 1.0\n"


def raw(body: str, encoding: str = "utf-8") -> Document:
    """Return what is read of a message that consists of this MIME header and body."""
    return read_document("a.eml", HEAD + body.encode(encoding))


def multipart(kind: str, *parts: str) -> str:
    edge = f"edge{len(parts)}{abs(hash(parts))}"
    return (
        f"Content-Type: multipart/{kind}; boundary={edge}\n\n"
        + "".join(f"--{edge}\n{part}\n" for part in parts)
        + f"--{edge}--\n"
    )


def plain(text: str) -> str:
    return f"Content-Type: text/plain\n\n{text}\n"


def test_every_part_is_read_however_deep_it_is() -> None:
    """Text that follows the first text, parts of parts and what a forwarded message has attached are all there."""
    forwarded = f"Content-Type: message/rfc822\n\n{HEAD.decode()}" + multipart(
        "mixed", plain("Forwarded."), "Content-Type: text/plain; name=deep.txt\n\nAttached there."
    )
    inner = multipart("mixed", plain("Hello."), "Content-Type: text/csv; name=a.csv\n\nitem,EUR\nbox,12\n")
    text = raw(multipart("mixed", inner, plain("Between."), forwarded, plain("A footer."))).text
    order = ["Hello.", "Between.", "A footer.", "## a.csv", "| box | 12 |", "Forwarded.", "deep.txt", "Attached there."]
    assert [text.count(words) for words in order] == [1] * len(order)
    assert sorted(order, key=text.index) == order


def test_an_alternative_keeps_what_is_attached_to_it() -> None:
    """Text, pages and invitations of alternatives are told apart; a page's pictures are not attachments."""
    page = multipart("related", "Content-Type: text/html\n\n<p>Hello you</p>", "Content-Type: image/png\n\nx")
    sheet = "Content-Type: text/csv; name=a.csv\n\nitem,EUR\nbox,12\n"
    invitation = "Content-Type: text/calendar\n\nBEGIN:VCALENDAR\nLOCATION:Hall 4\n"
    amp = "Content-Type: text/x-amp-html\n\n<p>moving</p>"
    text = raw(multipart("alternative", plain("Hello you"), amp, multipart("mixed", page, sheet), invitation)).text
    assert text.count("Hello you") == 1
    assert "| box | 12 |" in text
    assert "LOCATION:Hall 4" in text
    assert "could not be read" not in text
    assert "moving" not in text


@pytest.mark.parametrize("stub", ["", "This message needs an HTML reader.", "The pump ..."])
def test_a_stub_does_not_stand_for_the_html(stub: str) -> None:
    """Plain text that says much less than the HTML is not read in its place."""
    html = "Content-Type: text/html\n\n<p>The <b>pump</b> of hall 4 was mended on Monday by Ada and Bo.</p>"
    text = raw(multipart("alternative", plain(stub), html)).text
    assert "mended on Monday" in text
    assert not stub or stub not in text


def test_alternatives_that_say_something_else_are_both_read() -> None:
    """Nothing is lost where the shorter of two texts is not a part of the longer one."""
    html = "Content-Type: text/html\n\n<p>Room: hall 4.</p>"
    text = raw(multipart("alternative", plain("The pump was mended on Monday by Ada and Bo."), html)).text
    assert "mended on Monday" in text
    assert "hall 4" in text


@pytest.mark.parametrize(
    ("head", "body", "words"),
    [
        ("text/html", "<h2>News</h2><p>In <b>HTML</b></p>", "In **HTML**"),
        ("text/html; name=page", "<p>In <b>HTML</b></p>", "In **HTML**"),
        ("text/calendar", "BEGIN:VCALENDAR\nLOCATION:Hall 4\n", "LOCATION:Hall 4"),
        ("text/plain; name=pump.log", "pump off", "pump off"),
        ("text/csv", "item,EUR\nbox,12\n", "| box | 12 |"),
        ("application/json; name=data", '{"watts": 90}', "- watts: 90"),
        ("text/plain; name=stock.csv", "item,EUR\nbox,12\n", "| box | 12 |"),
        ("message/delivery-status", "Reporting-MTA: dns; a\n\nStatus: 5.0.0\n", "Status: 5.0.0"),
    ],
)
def test_the_media_type_says_what_a_name_does_not(head: str, body: str, words: str) -> None:
    """An attachment without a known extension is read as what its media type says."""
    attached = f"Content-Type: {head}\nContent-Disposition: attachment\n\n{body}"
    assert words in raw(multipart("mixed", plain("Hello."), attached)).text


@pytest.mark.parametrize("disposition", ["", "Content-Disposition: attachment; filename=a.txt\n"])
@pytest.mark.parametrize(
    ("declared", "encoding", "text"),
    [
        ("iso-8859-2", "iso8859_2", "Łódź"),
        ("us-ascii", "cp1252", "Die Größe der Kühlfläche"),
        ("utf-8", "cp1252", "Die Größe der Kühlfläche"),
        ("iso-8859-1", "utf-8", "Größe"),
        ("iso-2022-nowhere", "utf-8", "Größe"),
        ("koi8-r", "koi8_r", "Насос"),
    ],
)
def test_a_declared_charset_counts_where_it_fits(declared: str, encoding: str, text: str, disposition: str) -> None:
    """Of bodies and attachments alike; one that does not fit is detected as that of any other text is."""
    part = f"{disposition}Content-Type: text/plain; charset={declared}\n\n{text}"
    assert text in raw(multipart("mixed", part), encoding).text


def test_a_page_in_a_message_may_declare_its_encoding() -> None:
    """What the message does not say is said by the HTML."""
    page = '<meta charset="koi8-r"><p>Насос</p>'
    for charset in ("", "; charset=us-ascii"):
        assert "Насос" in raw(f"Content-Type: text/html{charset}\n\n{page}", "koi8_r").text


def test_headers_in_no_encoding_are_detected() -> None:
    """Bytes beyond ASCII in a header, which say no encoding, are decoded like any other text."""
    assert read_document("a.eml", "Subject: Die Größe der Türen\n\nx".encode("cp1252")).title == "Die Größe der Türen"


@pytest.mark.parametrize("kind", ["application/pdf", "application/octet-stream; name=a.pdf"])
def test_a_message_may_be_an_attachment_alone(kind: str) -> None:
    """A message whose whole body is a file is read like one that has it attached."""
    body = base64.encodebytes(pdf([[Line("The pump manual", 700)]])).decode()
    made = raw(f"Content-Type: {kind}\nContent-Transfer-Encoding: base64\n\n{body}")
    assert "The pump manual" in made.text
    assert made.title == "Pump"


ARMOUR = "-----BEGIN PGP MESSAGE-----\n\nhQEMA4xL\n=aB3d\n-----END PGP MESSAGE-----"
SEALED = [
    "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\nMIIB",
    "Content-Type: application/x-pkcs7-mime; name=smime.p7m\n\nMIIB",
    multipart("encrypted", "Content-Type: application/pgp-encrypted\n\nVersion: 1", f"Content-Type: x/y\n\n{ARMOUR}"),
    multipart("mixed", plain(""), f"Content-Type: application/octet-stream; name=encrypted.asc\n\n{ARMOUR}"),
    plain(ARMOUR),
    f"Content-Type: text/html\n\n<pre>{ARMOUR}</pre>",
]


@pytest.mark.parametrize("sealed", SEALED)
def test_an_encrypted_message_says_so(sealed: str) -> None:
    """S/MIME and PGP are quarantined as encrypted, unless something else of the message can be read."""
    with pytest.raises(UnreadableDocument) as caught:
        raw(sealed)
    assert caught.value.reason == "encrypted"
    text = raw(multipart("mixed", sealed, plain("A footer."))).text
    assert "A footer." in text
    assert "could not be read: encrypted" in text
    assert "hQEMA4xL" not in text


def test_what_is_only_signed_is_not_called_encrypted() -> None:
    """A message whose signature wraps it is not read, but it is no secret."""
    wrapped = base64.b64encode(bytes.fromhex("308006092a864886f70d010702a080")).decode()
    head = "Content-Type: application/pkcs7-mime; name=smime.p7m\nContent-Transfer-Encoding: base64"
    assert "could not be read: unknown_type" in raw(f"{head}\n\n{wrapped}").text


def test_a_signature_is_no_attachment() -> None:
    """A signed message is what was signed."""
    signature = "Content-Type: application/pgp-signature; name=signature.asc\n\n-----BEGIN PGP SIGNATURE-----"
    made = raw(multipart("signed", plain("The pump is back."), signature))
    assert made.text.endswith("The pump is back.")


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n\r\n \n", b"\xef\xbb\xbf\n"])
def test_a_message_may_begin_late(before: bytes) -> None:
    """A byte order mark or blank lines before the headers are passed over."""
    made = read_document("a.eml", before + HEAD + b"\nHello.")
    assert made.title == "Pump"
    assert made.text.endswith("Hello.")


def test_a_message_may_be_saved_in_utf16() -> None:
    """Some programs write whatever text they are given in the encoding of their own."""
    assert read_document("a.eml", (HEAD.decode() + "\nGrüße").encode("utf-16")).text.endswith("Grüße")


def test_a_damaged_body_is_read() -> None:
    """A zero byte does not make what somebody wrote binary."""
    assert raw("Content-Type: text/plain; charset=utf-8\n\nThe pu\0mp is back.").text.endswith("The pump is back.")


def test_headings_of_an_attachment_stay_headings() -> None:
    """However Markdown writes them, they stand below the attachment's name."""
    report = "Report\nof May\n======\n\nWell.\n\nSteps\n-----\n\nOne.\n\n  ### Third ###\n\nTwo."
    made = message()
    made.add_attachment(report, subtype="markdown", filename="report.md")
    outline = [(block.level, block.heading) for block in read(made).blocks if block.heading]
    assert outline[1:] == [(2, "report.md"), (3, "Report of May"), (4, "Steps"), (5, "Third")]


def test_what_one_part_leaves_open_ends_with_it() -> None:
    """A block of code that is not closed does not swallow the attachments."""
    made = message("```\nopen")
    made.add_attachment("words", filename="a.txt")
    assert ("heading", "a.txt") in [(block.kind, block.heading) for block in read(made).blocks]


@pytest.mark.parametrize("kind", ["message/rfc822", "application/octet-stream"])
def test_a_message_is_read_however_it_is_attached(kind: str) -> None:
    """Some senders encode messages, which they should not, or say that they are any file; depth counts all the same."""
    inner = message("the innermost").as_bytes()
    for _ in range(DEEPEST):
        body = base64.encodebytes(inner).decode()
        attached = f"Content-Type: {kind}; name=old.eml\nContent-Transfer-Encoding: base64\n\n{body}"
        inner = HEAD + multipart("mixed", plain("around it"), attached).encode()
    assert "the innermost" in read_document("a.eml", inner).text
    body = base64.encodebytes(inner).decode()
    attached = f"Content-Type: {kind}; name=old.eml\nContent-Transfer-Encoding: base64\n\n{body}"
    text = raw(multipart("mixed", attached)).text
    assert "the innermost" not in text
    assert "could not be read: too_large" in text


def test_a_multipart_without_parts_is_text() -> None:
    """Where the boundary was lost, what is there is read."""
    assert "The pump" in raw("Content-Type: multipart/mixed\n\nThe pump is back.").text
    assert re.search("pump.*back", raw("Content-Type: multipart/mixed; boundary=x\n\nThe pump is back.").text)


def test_endless_nesting_of_parts_is_too_large() -> None:
    """Parts within parts without end are no crash."""
    head = b"Subject: x\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3_000)
    )
    with pytest.raises(UnreadableDocument) as caught:
        read_document("a.eml", head)
    assert caught.value.reason == "too_large"
