"""Analyzers: what a word is, and that splitting a text by hand or by the engine's tokenizer is the same."""

import pytest
import tantivy
from hypothesis import given, settings
from hypothesis import strategies as st

from local.search_service import analysis
from local.search_service.analysis import prepare, terms, tokens_of

REFERENCE = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(analysis._WORD)).build()
SPLITTER = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()


@settings(max_examples=2_000, deadline=None)
@given(
    st.text(alphabet="abZ12_'.:,;- \t\n\x0b\x1c()", max_size=14)
    | st.text(alphabet="ab1_'.:,’·é\u0301\u00a0 ", max_size=14)
)
def test_prepared_text_has_the_words_that_the_rule_says(text: str) -> None:
    """Words split in Python, in ASCII or beyond, are those of the rule in the engine's own tokenizer."""
    assert SPLITTER.analyze(prepare("standard.lucene", text)) == REFERENCE.analyze(text)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("en.lucene", "The dogs' keeper's running in O'Neil's U.S.A. at 3.14", "dog keeper run o'neil u.s.a 3.14"),
        ("en.lucene", "The café’s tables", "café tabl"),
        ("en.lucene", "ann's'x ANN'S 7's", "ann's'x ann 7 s"),
        ("en.lucene", "let-7q 1,000;2 a.1 1.a", "let 7q 1,000;2 1 1"),
        ("standard.lucene", "The dogs' keeper's", "the dogs keeper's"),
        ("fr.lucene", "L'église qu’il aimait", "églis aim"),
        ("simple", "Room 101's Bed", "room s bed"),
        ("whitespace", "Room 101's Bed", "Room 101's Bed"),
    ],
)
def test_each_analyzer_finds_its_terms(name: str, text: str, expected: str) -> None:
    """Splitting, case, possessives, elisions, stop words and stems are those of the analyzer's name."""
    assert terms(name, text) == expected.split()


def test_keyword_keeps_the_whole_text() -> None:
    """The keyword analyzer changes nothing."""
    assert terms("keyword", "New York, O'Neil's") == ["New York, O'Neil's"]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="abs1.' é’-", max_size=30))
def test_tokens_say_where_their_words_stand(text: str) -> None:
    """Tokens are the terms of the text in order, each at the place of its word."""
    tokens = tokens_of("en.lucene", text)
    assert [token.term for token in tokens] == terms("en.lucene", text)
    for token in tokens:
        assert terms("en.lucene", text[token.start : token.end]) == [token.term]
