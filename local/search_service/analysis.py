"""Analyzers: text to terms, the same for documents and queries.

`en.lucene` is a tokenizer, possessive ending, lower case, stop words and Porter's stemmer; the others are what their
names say.
"""

import functools
import re

import tantivy

ANALYZERS = ("standard.lucene", "en.lucene", "fr.lucene", "keyword", "simple", "whitespace", "standard")

_LONGEST = 255  # characters of a token, as Lucene's standard tokenizer has it
_ELISION = re.compile(r"\b(?:[ldcjmnst]|qu|jusqu|lorsqu|puisqu|quoiqu)['’](?=\w)", re.IGNORECASE)
_POSSESSIVE = re.compile(r"(?<=\w)['’]s\b", re.IGNORECASE)
_LETTERS = r"[^\W\d_]+"
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
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
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


def terms(name: str, text: str) -> list[str]:
    """Return the terms of a text."""
    return list(analyzer(name).analyze(prepare(name, text)))
