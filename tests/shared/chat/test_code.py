"""Where code is: never where a reader of Markdown sees none, whatever pieces the text comes in."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.chat.code import MOST_SPAN, CodeSplitter

signs = st.sampled_from(
    [
        *("`", "``", "```", "~~~", "````", "~", "\\", "\n", "\n\n", "  ", " ", "    ", "\t", "\r", "\r\n"),
        *("- ", "1. ", "> ", "# ", "|", "a", "Z"),
    ]
)
texts = st.lists(signs, max_size=30).map("".join)
pieces = st.lists(st.integers(1, 5), max_size=60)


def split(text: str, sizes: Sequence[int] = ()) -> list[tuple[str, str]]:
    """Return the kinds and texts of a text's parts, neighbours of one kind joined."""
    splitter, found, at = CodeSplitter(), [], 0
    for size in (*sizes, len(text)):
        found += splitter.feed(text[at : at + size])
        at += size
    joined: list[tuple[str, str]] = []
    for piece in [*found, *splitter.feed("", last=True)]:
        if joined and joined[-1][0] == piece.kind != "span":
            joined[-1] = (piece.kind, joined[-1][1] + piece.text)
        else:
            joined.append((piece.kind, piece.text))
    return joined


@given(texts, pieces)
def test_pieces_do_not_matter(text: str, sizes: list[int]) -> None:
    """Nothing is lost, and the same is code however the text was cut."""
    assert "".join(part for _, part in split(text, sizes)) == text
    assert split(text, sizes) == split(text)


@given(texts)
def test_code_is_code_to_every_reader(text: str) -> None:
    """A word that is taken for code is code to a reader of CommonMark, with tables and without."""
    marked, count = "", 0
    inside: list[str] = []
    for kind, part in split(text):
        for sign in part:
            if sign in "aZ":
                marked += f"w{count}w"
                inside += [f"w{count}w"] if kind != "text" else []
                count += 1
            else:
                marked += sign
    for reader in (
        MarkdownIt("commonmark", {"html": False}),
        MarkdownIt("commonmark", {"html": False}).enable("table"),
    ):
        code = " ".join(_code(reader.parse(marked)))
        assert all(word in code for word in inside), (marked, inside, code)


def _code(tokens: Sequence[Token]) -> list[str]:
    found = [token.content + token.info for token in tokens if token.type in ("fence", "code_block", "code_inline")]
    return found + [text for token in tokens for text in _code(token.children or [])]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("see `a[1]` and", ["text", "span", "text"]),
        ("see ``a ` [1]`` and", ["text", "span", "text"]),
        ("```py\na[1]\n```\nand", ["block", "text"]),
        ("~~~\na[1]\n", ["block"]),
        ("- item\n  ```\n  a[1]\n  ```\n- b", ["text", "block", "text"]),
        ("- item\n  ```\n  a\n- b [1]\n  ```\n[2]", ["text", "block", "text"]),
        ("a ` b\nc ` [1] ` d", ["text"]),
        ("a ` b\n\nc `[1]` d", ["text", "span", "text"]),
        ("a \\`[1]` b", ["text"]),
        ("| a ` | [1] ` |", ["text"]),
        (f"`{'x' * (MOST_SPAN + 1)}`", ["text"]),
    ],
)
def test_kinds(text: str, parts: list[str]) -> None:
    """Spans, blocks, and what is none of them because it may be read in two ways."""
    assert [kind for kind, _ in split(text)] == parts
