"""Markdown to blocks: kinds, levels, titles, pages."""

from hypothesis import given
from hypothesis import strategies as st

from shared.documents.markdown import MAX_HEADING, Page, document
from shared.documents.model import Document, title_from_path

TEXT = """\
# Top

Words of *weight*
over two lines.

- one
- two
  - deeper

| a | b |
|---|---|
| 1 | 2 |

```python
# no heading
x = 1

y = 2
```

Underlined
----------

[link]: https://example.org "never shown"

    indented code
"""


def read(text: str, path: str = "folder/some-file_name.md") -> Document:
    return document(path, [Page(None, text)], authored=True)


def test_kinds_of_blocks() -> None:
    """Every construct becomes one block of its kind, and a block's offsets are its text."""
    made = read(TEXT)
    found = [(block.kind, made.text[block.start : block.end].split("\n")[0]) for block in made.blocks]
    assert found == [
        ("heading", "# Top"),
        ("paragraph", "Words of *weight*"),
        ("list", "- one"),
        ("table", "| a | b |"),
        ("code", "```python"),
        ("heading", "Underlined"),
        ("paragraph", '[link]: https://example.org "never shown"'),
        ("code", "    indented code"),
    ]


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=200), min_size=1, max_size=4))
def test_blocks_cover_every_character(pages: list[str]) -> None:
    """Whatever the text, blocks are in order, do not overlap, are not blank and leave out nothing but blanks."""
    made = document("a.md", [Page(number, text) for number, text in enumerate(pages, start=1)], "title")
    end = 0
    for block in made.blocks:
        assert block.start >= end
        assert not made.text[end : block.start].strip()
        assert made.text[block.start : block.end].strip()
        end = block.end
    assert not made.text[end:].strip()
    assert [block.page for block in made.blocks] == sorted(block.page or 0 for block in made.blocks)


def test_pages_are_numbered_and_scanned_apart() -> None:
    """A block belongs to the page it stands on; an open code fence ends with its page."""
    made = document("a.pdf", [Page(1, "# One\n\n```\nopen"), Page(2, ""), Page(3, "# Three")])
    assert [(block.kind, block.page) for block in made.blocks] == [("heading", 1), ("code", 1), ("heading", 3)]


def test_title_is_the_front_matters() -> None:
    """Front matter gives the title and is no text of the document."""
    made = read("---\nauthor: x\ntitle: 'A title: with colon'\n---\n# Heading\n\nText")
    assert made.title == "A title: with colon"
    assert made.text == "# Heading\n\nText"


def test_title_is_the_first_headings_without_front_matter() -> None:
    """Failing front matter, the first heading's plain text is the title."""
    assert read("words\n\n## The **first** `one` [here](x)\n\n# Second").title == "The first one here"


def test_title_is_made_of_the_path_without_headings() -> None:
    """Failing headings, the file's name is the title, made readable."""
    assert read("words").title == "Some file name"
    assert title_from_path("a/b/q3-report.final.pdf") == "Q3 report.final"
    assert title_from_path("-") == "-"


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    """A thematic break does not swallow the text up to the next one as front matter would."""
    assert read("---\n\nwords\n\n---\n\nmore").text == "---\n\nwords\n\n---\n\nmore"


def test_front_matter_with_windows_line_ends() -> None:
    """Line ends are made equal before anything is looked at."""
    made = read("---\r\ntitle: T\r\n---\r\nText\rmore\r\n")
    assert (made.title, made.text) == ("T", "Text\nmore")


def test_control_characters_are_dropped() -> None:
    """Characters that no text has, and that JSON or XML downstream may refuse, do not reach the index."""
    assert read("a\0b\x01c\x7fd\ufeffe").text == "abcde"


def test_what_parts_words_leaves_a_space() -> None:
    """The end of a page or of a line of another kind does not join the words on either side."""
    assert read("one\ftwo\vthree\x1efour").text == "one two three four"


def test_an_endless_heading_is_a_paragraph() -> None:
    """A heading is repeated in every chunk below it: one that is too long to be a heading is text like any other."""
    fits, long = "w" * MAX_HEADING, "w" * (MAX_HEADING + 1)
    made = read(f"# {long}\n\n## {fits}\n\nwords\n\n{long}\n---")
    assert [(block.kind, block.level, block.heading) for block in made.blocks] == [
        ("paragraph", 0, ""),
        ("heading", 2, fits),
        ("paragraph", 0, ""),
        ("paragraph", 0, ""),
    ]
    assert made.title == fits


def test_a_title_is_no_longer_than_a_heading() -> None:
    """A title is stored with every chunk: an endless one loses its end."""
    assert len(document("a.md", [Page(None, "words")], "word " * 1000).title) <= MAX_HEADING
    assert document("a.md", [Page(None, "words")], "word " * 1000).title.endswith("word…")


def test_only_markdown_that_somebody_wrote_has_front_matter_and_underlined_headings() -> None:
    """In text that was made into Markdown, dashes are what they were: a rule, a signature, the border of a table."""
    text = "---\ntitle: T\nauthor: x\n---\n\nBest wishes\n-----\nAnna"
    made = document("a.txt", [Page(None, text)])
    assert made.text == text
    assert made.title == "A"
    assert {block.kind for block in made.blocks} == {"paragraph"}
