"""Semantic ranking, as a local approximation: the service's ranker is a language model, and there is none here.

The shape of the answer is the service's: reranker scores from 0 to 4, captions, answers. The judgement is not: a result
is scored by the share of the question's words (rare ones count more) that its best passage has, by how close together
they stand, and by its rank before. A reply that was ranked so says it in the header `x-local-approximation`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.search_service.analysis import terms
from local.search_service.fields import value_at
from local.search_service.highlight import mark
from local.search_service.index import SearchIndex
from local.search_service.request import SearchRequest

HEADER = {"x-local-approximation": "semantic ranking is lexical here"}
ANALYZER = "en.lucene"
CAPTION_WORDS = 60
ANSWER_SCORE = 3.0  # results from this reranker score on are offered as answers
_COVERAGE, _CLOSENESS, _RANK = 2.6, 0.8, 0.6  # what the three parts give at most, of 4
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")


@dataclass(frozen=True, slots=True)
class Ranked:
    """What the ranker says of one row: a score from 0 to 4 and a caption, plain and with the words marked."""

    row: int
    score: float
    caption: str
    marked: str


@dataclass(frozen=True, slots=True)
class _Passage:
    text: str
    coverage: float  # share of the question's words, by weight
    closeness: float  # 1 when all words found stand side by side


def rerank(
    index: SearchIndex, request: SearchRequest, hits: Sequence[tuple[float, int]]
) -> tuple[list[Ranked], list[dict[str, Any]]]:
    """Return the hits by reranker score, best first, and the answers."""
    assert request.semantic is not None
    configuration = index.schema.semantic[request.semantic.configuration]
    texts = {row: _text(index.documents[row], configuration.contents, configuration.title) for _, row in hits}
    wanted = set(terms(ANALYZER, request.semantic.query))
    weights = _weights(wanted, list(texts.values()))
    ranked = []
    for rank, (_, row) in enumerate(hits):
        best = max(_passages(texts[row], wanted, weights), key=_value, default=_Passage("", 0.0, 0.0))
        score = _COVERAGE * best.coverage + _CLOSENESS * best.closeness + _RANK * (1 - rank / len(hits))
        ranked.append(
            Ranked(row, round(min(4.0, score), 6), best.text, mark(best.text, ANALYZER, wanted, request.tags))
        )
    ranked.sort(key=lambda item: -item.score)
    key = index.schema.key
    answers = [
        {
            "key": index.documents[item.row][key],
            "text": item.caption,
            "highlights": item.marked,
            "score": item.score / 4,
        }
        for item in ranked[: request.semantic.answers]
        if item.score >= ANSWER_SCORE
    ]
    return ranked, answers


def _value(passage: _Passage) -> float:
    return _COVERAGE * passage.coverage + _CLOSENESS * passage.closeness


def _text(body: Mapping[str, Any], contents: Sequence[str], title: str) -> str:
    names = [*contents, *([title] if title else [])]
    found = [value_at(body, name.split("/")) for name in names]
    return "\n".join(text for text in found if isinstance(text, str))


def _weights(wanted: set[str], texts: Sequence[str]) -> dict[str, float]:
    """Return the inverse document frequency of each word among the results."""
    held = [set(terms(ANALYZER, text)) for text in texts]
    counts = {word: sum(1 for words in held if word in words) for word in wanted}
    return {word: math.log(1 + (len(held) - count + 0.5) / (count + 0.5)) for word, count in counts.items()}


def _passages(text: str, wanted: set[str], weights: Mapping[str, float]) -> list[_Passage]:
    """Return the passages of a text, one begun at every sentence, with how well each answers."""
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(text) if sentence.strip()]
    total = sum(weights.values()) or 1.0
    found: list[_Passage] = []
    for start in range(len(sentences)):
        taken: list[str] = []
        for sentence in sentences[start:]:
            if taken and sum(len(part.split()) for part in taken) + len(sentence.split()) > CAPTION_WORDS:
                break
            taken.append(sentence)
        passage = " ".join(taken)
        words = terms(ANALYZER, passage)
        places = [place for place, word in enumerate(words) if word in wanted]
        have = {words[place] for place in places}
        span = places[-1] - places[0] + 1 if places else 1
        found.append(_Passage(passage, sum(weights[word] for word in have) / total, len(have) / span if have else 0.0))
    return found
