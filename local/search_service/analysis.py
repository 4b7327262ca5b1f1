"""Analyzers: text to terms, the same for documents and queries.

`en.lucene` is a tokenizer, possessive ending, lower case, stop words and Porter's stemmer; the others are what their
names say.
"""

import functools
import itertools
import re
from dataclasses import dataclass

import tantivy

ANALYZERS = ("standard.lucene", "en.lucene", "fr.lucene", "keyword", "simple", "whitespace", "standard")

_LONGEST = 255  # characters of a token, as Lucene's standard tokenizer has it
_ELISION = re.compile(r"\b(?:[ldcjmnst]|qu|jusqu|lorsqu|puisqu|quoiqu)['’](?=\w)", re.IGNORECASE)
# After a letter, at the word's end. The mark comes first and what must stand before it last, so that the scan looks for
# two characters only.
_POSSESSIVE = re.compile(r"['’]s(?!\w|['’.:·][^\W\d_])(?<=[^\W\d_]['’]s)", re.IGNORECASE)
_LETTERS = r"[^\W\d_]+"
# Words as Unicode's text segmentation (UAX #29) has them, in the part that Western texts use: an apostrophe, full stop
# or colon between two letters, and a full stop, comma or semicolon between two digits, do not end a word.
_WORD = (
    r"(?:\w*(?:[^\W\d_](?:['’.:·][^\W\d_])+|\d(?:['’.,;]\d)+))+\w*"  # o'neil u.s.a 3.14
    r"|\w+"
)
_WORDS = {"simple": _LETTERS, "whitespace": r"\S+"}  # what a word is, where it is not `_WORD`
# The same for text in ASCII, which needs no table of Unicode: what always ends a word, and where a mark does.
_ASCII_ENDS = {code: " " for code in range(128) if not chr(code).isalnum() and chr(code) not in "_'.:,;"}
_ASCII_MARK = re.compile(r"['.:,;](?!(?<=[a-z]['.:])[a-z])(?!(?<=\d['.,;])\d)", re.ASCII | re.IGNORECASE)
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
    """Return the analyzer of this name. It is for prepared text (`prepare`)."""
    filters = tantivy.Filter
    if name == "keyword":
        return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).build()
    if name == "whitespace":
        return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    if name == "simple":
        return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(_LETTERS)).filter(filters.lowercase()).build()
    standard = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
        .filter(filters.remove_long(_LONGEST))
        .filter(filters.lowercase())
    )
    if name == "fr.lucene":
        standard = standard.filter(filters.stopword("french")).filter(filters.stemmer("french"))
    if name == "en.lucene":
        standard = standard.filter(filters.custom_stopword(_STOP_WORDS)).filter(filters.stemmer("english"))
    return standard.build()


@functools.cache
def _splitter() -> tantivy.TextAnalyzer:
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(_WORD)).build()


def prepare(name: str, text: str) -> str:
    """Return the text as the analyzer is to see it.

    Without English possessive endings and French elided articles, and with its words between spaces: to split it here
    costs a third of what the engine's own tokenizer by a regular expression does.
    """
    if name in ("keyword", "whitespace", "simple"):
        return text
    if name == "en.lucene":
        text = _POSSESSIVE.sub("", text)
    elif name == "fr.lucene":
        text = _ELISION.sub("", text)
    if text.isascii():
        return _ascii_words(text)
    # No word goes over a space: only what has other characters needs the engine's tokenizer.
    parts = itertools.groupby(text.split(), str.isascii)
    return " ".join(
        _ascii_words(" ".join(part)) if plain else " ".join(_splitter().analyze(" ".join(part)))
        for plain, part in parts
    )


def _ascii_words(text: str) -> str:
    return _ASCII_MARK.sub(" ", text.translate(_ASCII_ENDS))


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
