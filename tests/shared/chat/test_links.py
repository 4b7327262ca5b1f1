"""No foreign link, image or tag leaves in an answer, however it arrives."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chat.links import MOST_TARGET, REMOVED, LinkFilter, without_links

LIVE = re.compile(
    r"[a-z][a-z0-9+.-]+:[/\\]|\]\(|<[a-zA-Z/!?]|!\[|(?<![a-z0-9_])www\.\w|\b(?:javascript|data|mailto|https?):[!-~]"
    r"|^[\s>*+\-\d.)]*\[[^\]]*\]:",
    re.IGNORECASE | re.MULTILINE,
)

attacks = st.sampled_from(
    [
        "[here](http://evil.example/a b)",
        "![x](https://evil.example/?q=secret)",
        "https://evil.example/x",
        "<img src=x onerror=alert(1)>",
        "<https://evil.example>",
        "javascript:alert(1)",
        "ht<b>tp://evil.example</b>",
        "[[1]](http://evil.example)",
        "www.evil.example",
        "[a](ht<i>tp://e.example)",
        "<a href='http://evil.example'>",
        "data:text/html;base64,AAAA",
        "![](//evil.example/p.png)",
        "HTTPS://EVIL.EXAMPLE",
        "中文https://evil.example",
        "mailto:a@evil.example",
        "<svg/onload=x>",
        "[x]: http://evil.example",
        "[click\nhere](https:/evil.example/x)",
        "[click\nhere](https:\\evil.example)",
        "[a [b] c](https:/evil.example)",
        "[a](x(y(z)))",
        f"[{'long ' * 110}](https:/evil.example)",
        "[r]: https:\\evil.example",
        "> 1. [r\ns]: /\\evil.example",
        "[a][r]",
        "[a](b)(/c)",
        "!![x](/y)",
        "![x](/y):",
        "[a](<https:/evil.example> (title))",
        "[a](/x\\)y)",
        "[a]( \n/x 'a)b' )",
        "]",
        "](",
        ":",
        "<[x](y)b>",
        "https:evil.example",
        "java<b>script:x",
        "\\",
        "/",
        "!",
        "[",
        "(",
        ")",
        "]",
        "<",
        ">",
        "\n",
        " ",
    ]
)
words = st.sampled_from(["The limit is 165 EUR. [1]", "x < 5", "a/b", "10:30", "note: this", "e.g. it", "Ends [2][3]."])
texts = st.lists(attacks | words, max_size=8).map(" ".join) | st.lists(attacks, max_size=6).map("".join)


def streamed(text: str, sizes: list[int], allowed: tuple[str, ...] = ()) -> str:
    """Pass a text through the filter in pieces of these sizes."""
    links, out, at = LinkFilter(allowed), "", 0
    for size in sizes:
        out += links.feed(text[at : at + size])
        at += size
    return out + links.feed(text[at:]) + links.end()


pieces = st.lists(st.integers(1, 7), max_size=400)


@given(texts | st.text("[]()<>!:/\\aw.\n -", max_size=40), pieces, st.sampled_from([(), ("evil.example",)]))
def test_pieces_do_not_matter(text: str, sizes: list[int], allowed: tuple[str, ...]) -> None:
    """The same is shown however a text was cut."""
    assert streamed(text, sizes, allowed) == without_links(text, allowed)


@given(texts | st.text("[]()<>!:/\\aw.\n -", max_size=40), pieces)
def test_nothing_to_follow_is_left(text: str, sizes: list[int]) -> None:
    """Whatever pieces a text arrives in, nothing in it can be followed, loaded or run."""
    assert not LIVE.search(streamed(text, sizes))


@given(st.lists(words, max_size=6).map(" ".join), st.lists(st.integers(1, 7), max_size=60))
def test_plain_text_comes_through_unchanged(text: str, sizes: list[int]) -> None:
    """Markers, comparisons, times and slashes are no links."""
    assert streamed(text, sizes) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See [the rules](http://evil.example) now.", "See [the rules] now."),
        ("An image: ![a chart](http://evil.example/p.png).", "An image: [a chart]."),
        ("It is 165 EUR![1] Yes![^2]", "It is 165 EUR! [1] Yes! [^2]"),
        ("[a](http://x.example/A_(b)) or [b](x(y(z))).", "[a] or [b]."),
        ("[r]: /x and a[1]: b", "[r] : /x and a[1]: b"),
        ("C:\\Temp, \\\\server\\share, note:this", "C:\\Temp, \\\\server\\share, note:this"),
        ("https:\\\\evil.example/x and https:/evil.example", f"{REMOVED} and {REMOVED}"),
        ("Go to https://evil.example/x, then on.", f"Go to {REMOVED}, then on."),
        ("<b>Bold</b> text", "Bold text"),
        ("[x](/api/documents/1)", "[x]"),
    ],
)
def test_words_stay(text: str, shown: str) -> None:
    """Of a link its words stay in brackets, of an image its description, of an address a note; other text stays."""
    assert without_links(text) == shown


def test_allowed_hosts_stay() -> None:
    """Links to hosts that are allowed stay, over https and without a name in front of the host."""
    text = "[a](https://ok.example/x) https://ok.example/y"
    assert streamed(text, [3] * 20, ("ok.example",)) == text
    for other in ("http://ok.example/x", "https://ok.example@evil.example/", "https://ok.example.evil.example/"):
        assert "example/" not in streamed(f"[a]({other}) {other}", [5], ("ok.example",))
    assert streamed("![a](https://ok.example/x)", [], ("ok.example",)) == "[a](https://ok.example/x)"  # loads nothing


def test_what_never_ends_is_let_go() -> None:
    """An open bracket, tag or target does not hold the rest of a long answer back, and makes no link of it."""
    for opening in ("[", "<a ", "[a]("):
        links = LinkFilter()
        shown = links.feed(opening + "a " * MOST_TARGET)
        assert len(shown) > MOST_TARGET
        assert not LIVE.search(shown)


def test_a_long_target_in_small_pieces_is_no_link() -> None:
    """A target that is longer than what is held back leads nowhere, and its address is gone."""
    for target in (f"https://evil.example/{'x' * 9_000}", f"https:/evil.example/{'x y' * 3_000}"):
        shown = streamed(f"[a]({target})", [3] * 4_000)
        assert not LIVE.search(shown)
        assert "evil" not in shown
