"""The default chat model: it quotes. The passages' sentences are ranked against the question; the best are the answer.

It writes nothing of its own, so it is fast, deterministic and honest about what it is. It stands in for a language
model, and its name says so.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from local.model_service.embedding import MiniLM
from local.model_service.passages import Passage, Sentence, sentences

MODEL = "extractive-minilm"
NO_ANSWER = "The passages do not answer this question."
ONLY_QUOTES = "This local model only quotes passages; it was given none."

CANDIDATES = 32  # sentences compared by embedding, after a look at their words
MOST = 3  # sentences in an answer
CLOSE = 0.9  # a further sentence must score at least this share of the best one
MIN_COSINE = 0.3  # below this the best sentence is about something else
ENOUGH = 0.84  # cosine and overlap together, at least; between what answered and what did not in trials
ENOUGH_UNNAMED = 1.2  # the same where a name or number of the question stands in no passage
SURE = 0.68  # a cosine from which a strange name does not matter
CONTEXT_WEIGHT = 0.5  # of a word that stands in the heading above, not in the sentence
SPELLING = 0.8  # how like a word of the passages a name must be spelled
SELF_CONTAINED = 4  # words with a meaning that make a question understandable without the one before it
SALIENT = 12  # words taken over into a follow-up
FRAGMENT = 0.1  # taken from what has no full stop: headings, items, cells
AMOUNT = 0.15  # given to what has a number, where the question asks for one
RANK_WEIGHT = 0.08  # what retrieval thought of the passage

_WORD = re.compile(r"[^\W_]+(?:[.,][0-9]+)*")
_STOP_WORDS = """
    a about an and are as at be been but by can could describe did do does explain for from give had has have how i
    if in into is it its list long many may me might much my of often on or our please s shall should show so t tell
    than that the their there they this to was we were what when where which who whom why will with would you your
"""
_STOP = frozenset(_STOP_WORDS.split())
_AMOUNT = re.compile(
    r"\bhow (?:much|many|long|often|fast|soon|old|high|far|late|early|big|large)\b"
    r"|\bwhen\b|\b(?:which|what) (?:year|day|date|time)\b"
    r"|\b(?:cost|price|fee|rate|limit|deductible|co-?pay\w*|allowance|number|amount|maximum|minimum)s?\b",
    re.I,
)
_FOLLOW_UP = re.compile(
    r"\b(it|its|they|them|their|he|she|his|her)\b"
    r"|\b(that|this|those|these|one)[?.,]*$"
    r"|^(and|or|what about|how about)\b",
    re.I,
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
    if not ranked or not _answers(ranked[0], passages, question):
        return NO_ANSWER
    chosen = [ranked[0]]
    for candidate in ranked[1:]:
        if len(chosen) == MOST or candidate.score < CLOSE * ranked[0].score:
            break
        if all(_unlike(candidate.sentence.text, other.sentence.text) for other in chosen):
            chosen.append(candidate)
    return " ".join(f"{_ended(scored.sentence.text)} [{scored.sentence.n}]" for scored in chosen)


def follow_ups(passages: Sequence[Passage], question: str) -> str:
    """Return a question a line about what stands in the passages beside what was asked: made from their headings."""
    asked = set(words(question))
    subjects = [passage.heading.rsplit(">", 1)[-1].strip(" #.:?") for passage in passages]
    other = [subject for subject in subjects if subject and not set(words(subject)) <= asked]
    return "\n".join(f"What do the documents say about “{subject}”?" for subject in dict.fromkeys(other))


def _answers(best: _Scored, passages: Sequence[Passage], question: str) -> bool:
    """Whether the best sentence is near enough to the question; nearer where the passages lack what it names."""
    known = {word for passage in passages for word in words(f"{passage.title} {passage.path} {passage.text}")}
    strange = [name for name in _names(question) if not get_close_matches(name, known, 1, SPELLING)]
    enough = ENOUGH_UNNAMED if strange and best.cosine < SURE else ENOUGH
    return best.cosine >= MIN_COSINE and best.cosine + best.overlap >= enough


def _names(question: str) -> list[str]:
    """Return the names and numbers of a question: words with a digit, or with a capital that begins no sentence."""
    found = list(_WORD.finditer(question))
    named = [word[0] for word in found[1:] if word[0][0].isupper() or any(sign.isdigit() for sign in word[0])]
    return [word for name in named for word in words(name)]


def condense(messages: Sequence[tuple[str, str]]) -> str:
    """Return the last question; a follow-up is preceded by the salient words of what was asked before it."""
    questions = [text.strip() for role, text in messages if role == "user"]
    query = ""
    for question in questions:
        query = _standing_alone(question, query)
    return query


def _standing_alone(question: str, before: str) -> str:
    if not before or (len(words(question)) >= SELF_CONTAINED and not _FOLLOW_UP.search(question)):
        return question
    known = set(words(question))
    salient = [word for word in _WORD.findall(before) if (stems := words(word)) and not known & set(stems)]
    return " ".join([*dict.fromkeys(salient[:SALIENT]), question])


def words(text: str) -> list[str]:
    """Return the words that carry meaning, in lower case, with a plain plural's or tense's ending cut off."""
    return [_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP]


def _stem(word: str) -> str:
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s", "e"):
        if len(word) > len(ending) + 2 and word.endswith(ending) and not word.endswith("ss"):
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
    asks_amount = bool(_AMOUNT.search(question))
    scored = []
    for i in order:
        sentence = found[i]
        bare = float(np.dot(target, model.embed(sentence.text)))
        placed = float(np.dot(target, model.embed(f"{sentence.context}: {sentence.text}")))
        cosine = max(bare, placed)
        score = cosine + overlaps[i] + RANK_WEIGHT / sentence.n
        if asks_amount and any(sign.isdigit() for sign in sentence.text):
            score += AMOUNT
        if not sentence.text.endswith((".", "!", "?")):
            score -= FRAGMENT
        scored.append(_Scored(sentence, score, cosine, overlaps[i]))
    return sorted(scored, key=lambda item: -item.score)


def _unlike(one: str, other: str) -> bool:
    first, second = set(words(one)), set(words(other))
    return len(first & second) < 0.7 * max(1, min(len(first), len(second)))


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
