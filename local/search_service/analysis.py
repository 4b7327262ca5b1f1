"""Analyzers: text to terms, the same for documents and queries.

`en.lucene` is a tokenizer, possessive ending, lower case, stop words and Porter's stemmer; the others are what their
names say.
"""

import functools
import re
from dataclasses import dataclass

import tantivy

ANALYZERS = ("standard.lucene", "en.lucene", "fr.lucene", "keyword", "simple", "whitespace", "standard")

_LONGEST = 255  # characters of a token, as Lucene's standard tokenizer has it
_ELISION = re.compile(r"\b(?:[ldcjmnst]|qu|jusqu|lorsqu|puisqu|quoiqu)['’](?=\w)", re.IGNORECASE)
_POSSESSIVE = re.compile(r"(?<=\w)['’]s\b", re.IGNORECASE)
_LETTERS = r"[^\W\d_]+"
# Words as Unicode's text segmentation (UAX #29) has them, in the part that Western texts use: an apostrophe, full stop
# or colon between two letters, and a full stop, comma or semicolon between two digits, do not end a word.
_WORD = (
    r"(?:\w*(?:[^\W\d_](?:['’.:·][^\W\d_])+|\d(?:['’.,;]\d)+))+\w*"  # o'neil u.s.a 3.14
    r"|\w+"
)
_WORDS = {"simple": _LETTERS, "whitespace": r"\S+"}  # what a word is, where it is not `_WORD`
# Lucene's English stop words.
_STOP_WORDS = [
    "a",
    "an",
    "and",
    "are",
    "as",
    "at",
    "be",
    "but",
    "by",
    "for",
    "if",
    "in",
    "into",
    "is",
    "it",
    "no",
    "not",
    "of",
    "on",
    "or",
    "such",
    "that",
    "the",
    "their",
    "then",
    "there",
    "these",
    "they",
    "this",
    "to",
    "was",
    "will",
    "with",
]


@functools.cache
def analyzer(name: str) -> tantivy.TextAnalyzer:
    """Return the analyzer of this name."""
    filters = tantivy.Filter
    if name == "keyword":
        return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).build()
    if name == "whitespace":
        return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    if name == "simple":
        return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(_LETTERS)).filter(filters.lowercase()).build()
    standard = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(_WORD))
        .filter(filters.remove_long(_LONGEST))
        .filter(filters.lowercase())
    )
    if name == "fr.lucene":
        standard = standard.filter(filters.stopword("french")).filter(filters.stemmer("french"))
    if name == "en.lucene":
        standard = standard.filter(filters.custom_stopword(_STOP_WORDS)).filter(filters.stemmer("english"))
    return standard.build()


def prepare(name: str, text: str) -> str:
    """Return the text as the analyzer is to see it: without English possessive endings and French elided articles."""
    if name == "en.lucene":
        return _POSSESSIVE.sub("", text)
    return _ELISION.sub("", text) if name == "fr.lucene" else text


@dataclass(frozen=True, slots=True)
class Token:
    """A term: from which character to which (exclusive), and which word of the text it is, from 0."""

    term: str
    start: int
    end: int
    position: int


def tokens_of(name: str, text: str) -> list[Token]:
    """Return the terms of a text with their places. A word without a term, such as a stop word, leaves a gap."""
    if name == "keyword":
        return [Token(text, 0, len(text), 0)]
    return [
        Token(term, word.start(), word.end(), position)
        for position, word in enumerate(re.finditer(_WORDS.get(name, _WORD), text))
        for term in terms(name, word[0])
    ]


def terms(name: str, text: str) -> list[str]:
    """Return the terms of a text."""
    return list(analyzer(name).analyze(prepare(name, text)))
