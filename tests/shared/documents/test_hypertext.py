"""HTML: what of a page is text."""

import pytest

from shared.documents import Document, read_document
from shared.errors import UnreadableDocument


def html(body: str, head: str = "<title>A &amp;  B</title>") -> Document:
    return read_document("a.html", f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode())


def test_html_becomes_markdown() -> None:
    """Headings, lists and tables keep their meaning; the page's title is the document's."""
    made = html("<h1>Top</h1><ul><li>one<li>two</ul><table><tr><th>a<th>b<tr><td>1<td>2</table><pre>x = 1</pre>")
    assert made.title == "A & B"
    assert [block.kind for block in made.blocks] == ["heading", "list", "table", "code"]
    assert made.blocks[0].heading == "Top"


def test_html_without_what_is_not_read_by_people() -> None:
    """Scripts, styles, comments, metadata, choices of a form and navigation are no text."""
    noise = (
        "<script>var noise</script><style>p{noise:1}</style><!-- noise --><nav><a href=noise>noise</a></nav>"
        "<select><option>noise</select><input type=hidden value=noise>"
    )
    head = "<meta name=description content=noise>"
    assert html(f"{noise}<p>Words</p>", head).text == "Words"
    assert html("<p>Words</p>", head="").title == "A"


def test_html_keeps_the_links_text() -> None:
    """A link's words are in the text."""
    assert "the rules" in html('<p>See <a href="https://example.org/x">the rules</a>.</p>').text


@pytest.mark.parametrize(
    "frame",
    ["<form action=x>{}</form>", "<header>{}</header>", "<noscript>{}</noscript>", "<div><form><main>{}</main></form>"],
)
def test_text_is_read_wherever_a_page_puts_it(frame: str) -> None:
    """A page that is one form, a title in a header, and what stands in for scripts are text."""
    assert html(frame.format("<h1>Top</h1><p>Words</p>")).text == "# Top\n\nWords"


@pytest.mark.parametrize("head", ["", "<title>T</title><meta name=description content=d>"])
@pytest.mark.parametrize("first", ["<p>Price: 42 euro.</p>", "<p>---<br>price: 42 euro<br>---</p>"])
def test_rules_make_no_front_matter(head: str, first: str) -> None:
    """What stands between two rules at the top of a page is text."""
    made = html(f"<hr>{first}<hr><p>Rest</p>", head)
    assert "42 euro" in made.text
    assert made.text.endswith("Rest")


def test_elements_nested_beyond_measure_lose_no_text() -> None:
    """Where elements are nested by the thousand, those without a meaning of their own are looked through; when that
    does not help the document says so.
    """
    deep = html("<p>First</p>" + "<div><font>" * 3_000 + "<h2>Deep</h2>text" + "</font></div>" * 3_000 + "<p>Last</p>")
    assert deep.text == "First\n\n## Deep\n\ntext\n\nLast"
    with pytest.raises(UnreadableDocument, match="nested too deeply") as caught:
        html("<ul><li>" * 3_000 + "text")
    assert caught.value.reason == "too_large"


def test_images_within_the_page_leave_their_words_only() -> None:
    """Data addresses and drawings are no text; what describes them is."""
    made = html(
        "<p>Before</p><img alt='A pump' src='data:image/png;base64,iVBORw0KGgo='>"
        "<svg><title>A valve</title><path d='M0 0'/></svg><a href='data:text/plain;base64,iVBORw0KGgo='>file</a>"
    )
    assert made.text == "Before\n\nA pump A valve file"
