"""Whether what was found has anything to do with the question. Pure.

The scores of a hybrid search are ranks: they say what comes first, not whether it is any good. Two things do: how near
the nearest chunk is to the question in meaning, and how many of the question's own words one passage has. Either may be
enough; with neither, there is no answer. docs/evaluation.md has how the bounds were found.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.chat.passages import Passage
from shared.chat.words import STOP, WORD, content_words

FEWEST_WORDS = 2  # of a question whose words may be enough; "salary" stands in too many places to say anything


@dataclass(frozen=True, slots=True)
class Relevance:
    """`cosine` of the nearest chunk to the question, from -1 to 1; `coverage`, the largest share of the question's
    words that one passage has, from 0 to 1. Words of different passages together are no answer to anything.
    """

    cosine: float
    coverage: float

    def enough(self, least_cosine: float, least_coverage: float) -> bool:
        """Whether an answer may stand on what was found."""
        return self.cosine >= least_cosine or self.coverage >= least_coverage

    def shown(self) -> dict[str, float]:
        """Return both, rounded, as they are shown."""
        return {"cosine": round(self.cosine, 4), "coverage": round(self.coverage, 4)}


def relevance(query: str, cosine: float, passages: Sequence[Passage]) -> Relevance:
    """Return how near the passages are to a query; `cosine` is that of the nearest chunk."""
    asked = set(content_words(query))
    if len(asked) < FEWEST_WORDS and not _has_name(query):
        return Relevance(cosine, 0.0)
    covered = max((len(asked & _words(passage)) for passage in passages), default=0)
    return Relevance(cosine, covered / len(asked))


def _words(passage: Passage) -> set[str]:
    chunk = passage.chunk
    return set(content_words(f"{chunk.title} {chunk.name} {chunk.heading} {passage.text}"))


def _has_name(query: str) -> bool:
    """Whether a word with a meaning is written as names and numbers are: one of them may say enough by itself."""
    said = [word for word in WORD.findall(query) if word.lower() not in STOP]
    return any(sign.isupper() or sign.isdigit() for word in said for sign in word)
