"""Chunking: what holds for any document, and what an edit costs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents import (
    Chunk,
    ChunkLimits,
    Document,
    chunk_document,
    chunk_sha256,
    count_tokens,
    embedding_input,
    read_document,
)
from shared.documents.chunking import MAX_BREADCRUMB
from shared.documents.markdown import Page
from shared.documents.markdown import document as document_of_pages

LIMITS = ChunkLimits(40, 80)
KNOWN_CUTS = [
    160,
    269,
    379,
    489,
    601,
    715,
    829,
    1000,
    1114,
    1285,
    1342,
]  # where chunks end in `test_known_text_gives_known_chunks`

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
lines = st.lists(st.one_of(words, st.sampled_from(["temperature", "of", "the", "truck."])), max_size=40).map(" ".join)
headings = st.tuples(st.integers(1, 6), lines).map(lambda made: f"{'#' * made[0]} {made[1]}")
lists = st.lists(lines, min_size=1, max_size=8).map(lambda items: "\n".join(f"- {item}" for item in items))
code = st.lists(lines, max_size=20).map(lambda body: "```\n" + "\n".join(body) + "\n```")
rows = st.lists(st.tuples(words, words), min_size=1, max_size=30)
tables = rows.map(lambda made: "| a | b |\n|---|---|\n" + "\n".join(f"| {a} | {b} |" for a, b in made))
gaps = st.integers(1, 40).map(lambda many: "\n" * many)
markdown = st.lists(st.one_of(lines, headings, lists, code, tables, gaps), min_size=1, max_size=12).map("\n\n".join)
limits = st.tuples(st.integers(8, 120), st.integers(0, 200)).map(lambda pair: ChunkLimits(pair[0], sum(pair)))


def document(text: str) -> Document:
    """The document in a Markdown text that is not blank."""
    return read_document("a.md", f"start\n\n{text}".encode())


def chunks_of(text: str, sizes: ChunkLimits = LIMITS) -> tuple[Chunk, ...]:
    return chunk_document(read_document("a.md", text.encode()), sizes, count_tokens)


@given(markdown, limits)
def test_every_character_is_in_exactly_one_chunk(text: str, sizes: ChunkLimits) -> None:
    """Chunks are in order, do not overlap, are exactly their offsets, and leave out nothing but blanks."""
    made = document(text)
    chunks = chunk_document(made, sizes, count_tokens)
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    end = 0
    for chunk in chunks:
        assert not made.text[end : chunk.start].strip()
        assert chunk.start >= end
        assert chunk.text == made.text[chunk.start : chunk.end]
        assert chunk.text.strip()
        end = chunk.end
    assert not made.text[end:].strip()


@given(markdown, limits)
def test_no_chunk_is_over_the_limit(text: str, sizes: ChunkLimits) -> None:
    """A chunk's own text never costs more than the limit, however it came about."""
    for chunk in chunk_document(document(text), sizes, count_tokens):
        assert count_tokens(chunk.text) <= sizes.max_tokens


@given(st.lists(markdown, min_size=1, max_size=5), limits)
def test_all_of_a_chunk_is_on_its_page(texts: list[str], sizes: ChunkLimits) -> None:
    """A chunk names the page of every block in it, and every page that has text has a chunk."""
    pages = [Page(number, f"start\n\n{text}") for number, text in enumerate(texts, start=1)]
    made = document_of_pages("a.pdf", pages)
    chunks = chunk_document(made, sizes, count_tokens)
    for chunk in chunks:
        assert {block.page for block in made.blocks if block.start < chunk.end and block.end > chunk.start} == {
            chunk.page
        }
    assert [page.number for page in pages] == sorted({chunk.page or 0 for chunk in chunks})


def test_a_small_rest_of_a_page_joins_the_chunk_before() -> None:
    """What little a page has left after a cut makes no chunk of its own where the last one has room; a page that has
    little in all does.
    """
    body = "Some words that fill this part of the document up. " * 4
    made = document_of_pages("a.pdf", [Page(1, "Cover"), Page(2, f"{body}\n\n## Next"), Page(3, body)])
    found = [
        (chunk.page, chunk.text.split()[-1], chunk.heading) for chunk in chunk_document(made, LIMITS, count_tokens)
    ]
    assert found == [(1, "Cover", ""), (2, "Next", ""), (3, "up.", "Next")]


@given(markdown)
def test_chunking_is_deterministic(text: str) -> None:
    """The same bytes give the same chunks."""
    assert chunk_document(document(text), LIMITS, count_tokens) == chunk_document(document(text), LIMITS, count_tokens)


def test_known_text_gives_known_chunks() -> None:
    """The cuts are the same on every machine and Python version: these were written down once."""
    text = "\n\n".join(f"Paragraph {n} speaks of subject {n * n} and of nothing else." for n in range(24))
    assert [chunk.end for chunk in chunks_of(text)] == KNOWN_CUTS


def test_a_heading_stays_with_what_follows_it() -> None:
    """A heading is never the last thing in a chunk when there is text below it."""
    text = "\n\n".join(f"## Part {n}\n\n" + f"Words about part {n}. " * (n % 9 + 1) for n in range(60))
    for chunk in chunks_of(text):
        assert not chunk.text.rsplit("\n", 1)[-1].startswith("#")


def test_breadcrumb_names_the_headings_above() -> None:
    """A chunk's breadcrumb is the path of headings to its start; a shallower heading ends deeper ones."""
    body = "Some words that fill this part of the document up. " * 6
    text = f"# Top\n\n{body}\n\n## One\n\n{body}\n\n### Deep\n\n{body}\n\n## *Two* [link](x)\n\n{body}"
    found = {chunk.text.split("\n")[0]: chunk.heading for chunk in chunks_of(text, ChunkLimits(60, 120))}
    assert found["# Top"] == "Top"
    assert found["## One"] == "Top > One"
    assert found["### Deep"] == "Top > One > Deep"
    assert found["## *Two* [link](x)"] == "Top > Two link"


def test_a_breadcrumb_has_an_end() -> None:
    """Where all the headings above are too long together, the innermost are kept, and what is sent stays small."""
    names = [f"{n} {'word ' * 30}".strip() for n in range(1, 7)]
    body = "\n\n".join("Some words that fill this part of the document up. " * 3 for _ in range(50))
    text = "\n\n".join(f"{'#' * n} {name}" for n, name in enumerate(names, start=1)) + f"\n\n{body}"
    chunks = chunks_of(text, ChunkLimits(150, 400))
    assert chunks[-1].heading == names[-1]
    assert max(len(chunk.heading) for chunk in chunks) <= MAX_BREADCRUMB
    assert sum(len(embedding_input(chunk)) for chunk in chunks) < 2 * len(text)


def test_a_table_that_fits_stays_whole() -> None:
    """A table, a list and a code block within the limit are each in one chunk."""
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| {n} | value {n} |" for n in range(8))
    listing = "\n".join(f"- item number {n}" for n in range(10))
    fence = "```\n" + "\n".join(f"line {n}\n" for n in range(10)) + "```"
    filler = "Words between the blocks that are long enough to be cut somewhere. " * 3
    text = "\n\n".join([filler, table, filler, listing, filler, fence, filler])
    for whole in (table, listing, fence):
        assert count_tokens(whole) <= LIMITS.max_tokens
        assert any(whole in chunk.text for chunk in chunks_of(text))


def test_a_table_that_does_not_fit_is_cut_between_rows() -> None:
    """An over-long table is cut at line ends only."""
    rows_ = [f"| {n} | the value of row {n} |" for n in range(100)]
    chunks = chunks_of("| a | b |\n|---|---|\n" + "\n".join(rows_))
    assert len(chunks) > 1
    assert all(re.fullmatch(r"\|.*\|", line) for chunk in chunks for line in chunk.text.split("\n"))


def test_one_endless_line_is_cut() -> None:
    """A line over the limit is cut between sentences, and even text without a space within the limit."""
    sentences = chunks_of("This sentence has exactly these words. " * 100)
    assert all(chunk.text.endswith(".") for chunk in sentences)
    assert all(count_tokens(chunk.text) <= LIMITS.max_tokens for chunk in chunks_of("x1y2" * 2_000))


class Counting:
    """Counts tokens, and how many characters it was asked to count them in."""

    def __init__(self) -> None:
        self.characters = 0

    def __call__(self, text: str) -> int:
        self.characters += len(text)
        return count_tokens(text)


@pytest.mark.parametrize("unit", ["日本語", "冷蔵庫の温度は五度以下に保ってください。", "x1y2"])
def test_the_work_of_an_endless_line_grows_with_its_length(unit: str) -> None:
    """A line of ten times the length, in a script without spaces too, takes about ten times the counting."""
    work = []
    for length in (20_000, 200_000):
        counting = Counting()
        made = read_document("a.txt", (unit * (length // len(unit))).encode())
        chunks = chunk_document(made, LIMITS, counting)
        assert "".join(chunk.text for chunk in chunks) == made.text
        work.append(counting.characters)
    assert work[1] < 15 * work[0]


def test_an_endless_line_is_cut_between_sentences_of_any_script() -> None:
    """Where a line is longer than what is split at once, that falls apart at the end of a sentence too."""
    chunks = chunks_of("冷蔵庫の温度は五度以下に保ってください。" * 1_000)
    assert {chunk.text[-1] for chunk in chunks} == {"。"}


def test_text_that_looks_like_a_special_token_is_text() -> None:
    """Control tokens of the model in a document are counted as the characters that they are."""
    assert count_tokens("<|endoftext|>") > 1
    assert chunks_of("a <|endoftext|> b")[0].text == "a <|endoftext|> b"


def test_an_edit_changes_the_chunks_around_it_only() -> None:
    """A paragraph put in anywhere changes at most four of some sixty chunks: the cuts come back into step."""
    paragraphs = [f"Paragraph {n} speaks of subject {n * 7 % 31} at some length. " * (n % 3 + 1) for n in range(200)]
    before = {chunk_sha256(chunk) for chunk in chunks_of("\n\n".join(paragraphs))}
    worst = 0
    for at in range(0, 200, 9):
        edited = [*paragraphs[:at], f"A new paragraph, put in at {at}.", *paragraphs[at:]]
        worst = max(worst, sum(chunk_sha256(chunk) not in before for chunk in chunks_of("\n\n".join(edited))))
    assert len(before) > 60
    assert worst <= 4


def test_hash_and_embedding_input_cover_breadcrumb_and_text() -> None:
    """Equal text under another heading is another content; what is embedded begins with the breadcrumb."""
    first, second = (Chunk(0, heading, "text", None, 0, 4) for heading in ("A", "B"))
    assert chunk_sha256(first) != chunk_sha256(second)
    assert chunk_sha256(first) == chunk_sha256(Chunk(5, "A", "text", 9, 10, 14))
    assert embedding_input(first) == "A\ntext"
    assert embedding_input(Chunk(0, "", "text", None, 0, 4)) == "text"
