"""Highlights: sentences of a field in which the searched words are marked. Pure."""

import re
from collections.abc import Iterator

from local.search_service.analysis import terms

_WORD = re.compile(r"\w+(?:['’]\w+)?")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*\s*")


def fragments(text: str, analyzer: str, wanted: set[str], tags: tuple[str, str]) -> Iterator[str]:
    """Yield the sentences that hold a wanted term, each such word between the tags."""
    before, after = tags

    def mark(match: re.Match[str]) -> str:
        return f"{before}{match[0]}{after}" if wanted & set(terms(analyzer, match[0])) else match[0]

    for sentence in _SENTENCE.findall(text):
        marked = _WORD.sub(mark, sentence)
        if marked != sentence:
            yield marked.strip()
