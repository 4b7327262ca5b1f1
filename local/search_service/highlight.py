"""Highlights: sentences of a field in which the searched words are marked. Pure."""

import re
from collections.abc import Iterator

from local.search_service.analysis import terms

_WORD = re.compile(r"\w+(?:['’]\w+)?")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*\s*")


def mark(text: str, analyzer: str, wanted: set[str], tags: tuple[str, str]) -> str:
    """Return a text with every word that is a wanted term between the tags."""
    before, after = tags

    def marked(match: re.Match[str]) -> str:
        return f"{before}{match[0]}{after}" if wanted & set(terms(analyzer, match[0])) else match[0]

    return _WORD.sub(marked, text)


def fragments(text: str, analyzer: str, wanted: set[str], tags: tuple[str, str]) -> Iterator[str]:
    """Yield the sentences that hold a wanted term, each such word between the tags."""
    for sentence in _SENTENCE.findall(text):
        marked = mark(sentence, analyzer, wanted, tags)
        if marked != sentence:
            yield marked.strip()
