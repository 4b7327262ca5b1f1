"""The default chat model: it quotes. The passages' sentences are ranked against the question; the best are the answer.

It writes nothing of its own, so it is fast, deterministic and honest about what it is. It stands in for a language model,
and its name says so.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from local.model_service.embedding import MiniLM
from local.model_service.passages import Passage, Sentence, sentences

MODEL = "extractive-minilm"
NO_ANSWER = "The passages do not answer this question."
ONLY_QUOTES = "This local model only quotes passages; it was given none."

CANDIDATES = 32  # sentences compared by embedding, after a look at their words
MOST = 3  # sentences in an answer
CLOSE = 0.9  # a further sentence must score at least this share of the best one
MIN_COSINE = 0.38  # below both bounds nothing in the passages answers the question
MIN_OVERLAP = 0.5
CONTEXT_WEIGHT = 0.5  # of a word that stands in the heading above, not in the sentence
RANK_WEIGHT = 0.08  # what retrieval thought of the passage

_WORD = re.compile(r"[^\W_]+(?:[.,][0-9]+)*")
_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "me",
        "may",
        "might",
        "much",
        "many",
        "my",
        "of",
        "on",
        "or",
        "our",
        "shall",
        "should",
        "so",
        "than",
        "that",
        "the",
        "their",
        "there",
        "they",
        "this",
        "to",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
        "often",
        "long",
    ]
)
_FOLLOW_UP = re.compile(
    r"\b(it|its|they|them|their|that|this|those|these|he|she|his|her|one)\b|^(and|what about)\b", re.I
)


@dataclass(frozen=True, slots=True)
class _Scored:
    sentence: Sentence
    score: float
    cosine: float
    overlap: float


def answer(model: MiniLM, passages: Sequence[Passage], question: str) -> str:
    """Return the best sentences of the passages, each with its `[n]`, or a sentence that says there is none."""
    ranked = _rank(model, [sentence for passage in passages for sentence in sentences(passage)], question)
    if not ranked or (ranked[0].cosine < MIN_COSINE and ranked[0].overlap < MIN_OVERLAP):
        return NO_ANSWER
    chosen = [ranked[0]]
    for candidate in ranked[1:]:
        if len(chosen) == MOST or candidate.score < CLOSE * ranked[0].score:
            break
        if all(_unlike(candidate.sentence.text, other.sentence.text) for other in chosen):
            chosen.append(candidate)
    return " ".join(f"{_ended(scored.sentence.text)} [{scored.sentence.n}]" for scored in chosen)


def condense(messages: Sequence[tuple[str, str]]) -> str:
    """Return the last question; a follow-up is preceded by the salient words of the question before it."""
    questions = [text for role, text in messages if role == "user"]
    last = questions[-1].strip()
    if len(questions) < 2 or (len(words(last)) > 3 and not _FOLLOW_UP.search(last)):
        return last
    known = set(words(last))
    salient = [word for word in dict.fromkeys(words(questions[-2])) if word not in known]
    return " ".join([*salient, last])


def words(text: str) -> list[str]:
    """Return the words that carry meaning, in lower case, with a plain plural's or tense's ending cut off."""
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP]


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if len(word) > len(ending) + 3 and word.endswith(ending):
            return word[: -len(ending)]
    return word


def _rank(model: MiniLM, found: Sequence[Sentence], question: str) -> list[_Scored]:
    asked = set(words(question))
    bags = [set(words(sentence.text)) for sentence in found]
    contexts = [set(words(sentence.context)) for sentence in found]
    frequency = Counter(word for bag in bags for word in bag)
    weight = {word: math.log(1 + len(found) / (1 + frequency[word])) for word in asked}
    whole = sum(weight.values()) or 1.0
    overlaps = [
        sum(weight[w] * (1.0 if w in bag else CONTEXT_WEIGHT if w in context else 0.0) for w in asked) / whole
        for bag, context in zip(bags, contexts, strict=True)
    ]
    order = sorted(range(len(found)), key=lambda i: -overlaps[i])[:CANDIDATES]
    target = model.embed(question)
    scored = []
    for i in order:
        sentence = found[i]
        bare = float(np.dot(target, model.embed(sentence.text)))
        placed = float(np.dot(target, model.embed(f"{sentence.context}: {sentence.text}")))
        cosine = max(bare, placed)
        score = cosine + overlaps[i] + RANK_WEIGHT / sentence.n
        scored.append(_Scored(sentence, score, cosine, overlaps[i]))
    return sorted(scored, key=lambda item: -item.score)


def _unlike(one: str, other: str) -> bool:
    first, second = set(words(one)), set(words(other))
    return len(first & second) < 0.7 * max(1, min(len(first), len(second)))


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
