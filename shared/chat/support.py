"""Whether a passage supports a sentence. Pure.

A sentence is held against the part of the passage that has most of its words: up to three neighbouring sentences. What
counts is how many of its words that part has, how near the two are in meaning, which of its numbers the part lacks or
says of something else, and whether one of the two denies what the other says. The weights are a logistic regression
over labelled pairs (`python -m eval --fit`); docs/evaluation.md has how well it does on pairs it was not made from.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from shared.chat.words import STOP, WORD, content_words, stem

MOST_SENTENCES = 3  # of a passage, looked at together
NUMBER_WEIGHT, NAME_WEIGHT = 2.0, 1.5  # of a number and of a name, beside 1 of any other word
CONTEXT_WEIGHT = 0.6  # of a word that stands in the title or heading, not in the text
MARGIN = 1.0  # so many times as much must be said of another number than of the same
CACHED_TEXTS = 256  # the passages of one answer are looked at again for every sentence
REACH = 5  # words to each side that say what a number is of

# Weights: of 1, coverage, cosine, missing numbers, misplaced numbers, denial, opposites.
BIAS, COVERAGE, COSINE, MISSING, MISPLACED, DENIED, OPPOSED = -3.5, 3.3, 2.3, -1.55, -1.15, -1.8, -2.2
UNKNOWN_COSINE = 0.55  # where nearness cannot be asked for; docs/evaluation.md has how well words do alone
SUPPORTED = 0.4  # probability from which a passage supports a sentence
SURE = 0.6  # probability from which a number is put behind a sentence that the model left without one

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+")
_WRAPPED = re.compile(r"(?<![.!?:\n|])\n(?![\n|*#-])")  # a line that ends because the paragraph is wide
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NUMERALS = {
    word: str(number)
    for number, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], 1
    )
}
_DENIAL_WORDS = """
    no not never none nobody nothing neither nor without cannot forbidden refused refuse blocked rejected unless except
    declined prohibited exclude excludes excluded excluding rather independent instead banned
"""
_DENIALS = frozenset(_DENIAL_WORDS.split())
# Denials that deny nothing: they only say how far something goes.
_BOUNDS = re.compile(
    r"\b(?:no|not|never) (?:longer|more|less|later|earlier|fewer|colder|warmer|higher|lower) than\b"
    r"|\b(?:never|not) exceed\w*|\bnot only\b"
)
# Of each pair, one in the sentence and only the other in the passage turns what is said around.
_OPPOSITES: tuple[tuple[frozenset[str], frozenset[str]], ...] = tuple(
    (frozenset(one.split()), frozenset(other.split()))
    for one, other in (
        ("before", "after"),
        ("above more over exceeding", "below less under"),
        ("most maximum", "least minimum"),
        ("earliest", "latest"),
        ("first", "last"),
        ("includes including included include with", "excludes excluding excluded exclude without except"),
        ("allowed permitted recommended may can", "forbidden prohibited blocked cannot banned"),
        ("opened open opens", "closed close closes"),
        ("higher raised up rises increases", "lower lowered down falls decreases"),
        ("approved accepted accepts", "rejected refused refuses declined"),
        ("always every", "never"),
        ("on", "off"),
        ("all both", "half none"),
        ("monthly", "yearly"),
        ("day", "night"),
        ("longer", "shorter"),
        ("free nothing", "costs"),
    )
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for and against a passage's support of a sentence. `part` is the part of the passage looked at;
    `quoted` says that the sentence stands in the passage as it is.

    `coverage` is the share of the sentence's words that it has, from 0 to 1; `missing` and `misplaced` count numbers
    that the part lacks and that it says of something else.
    """

    part: str
    coverage: float
    missing: int
    misplaced: int
    denied: bool
    opposed: bool
    quoted: bool = False

    def probability(self, cosine: float) -> float:
        """Return how likely the passage supports the sentence, given their nearness in meaning (-1 to 1)."""
        if self.quoted:
            return 1.0
        total = (
            BIAS
            + COVERAGE * self.coverage
            + COSINE * cosine
            + MISSING * min(2, self.missing)
            + MISPLACED * min(2, self.misplaced)
            + DENIED * self.denied
            + OPPOSED * self.opposed
        )
        return 1 / (1 + math.exp(-total))


def evidence(sentence: str, text: str, context: str = "") -> Evidence:
    """Return what a passage has for a sentence; `context` is what stands above the passage: title and heading."""
    if _plain(sentence) in _plain(text):
        return Evidence(sentence, 1.0, 0, 0, denied=False, opposed=False, quoted=True)
    weights = _weights(sentence)
    total = sum(weights.values()) or 1.0
    above = _with_numerals(content_words(context))
    best, part = -1.0, ""
    for window, have in _windows(text):
        found = sum(
            weight if word in have else CONTEXT_WEIGHT * weight if word in above else 0.0
            for word, weight in weights.items()
        )
        if found / total > best + 1e-9:
            best, part = found / total, window
    return Evidence(
        part=part,
        coverage=max(0.0, best),
        missing=len(_numbers(sentence) - _numbers(part)),
        misplaced=_misplaced(sentence, part),
        denied=_denies(sentence) != _denies(part),
        opposed=_opposed(sentence, part),
    )


@lru_cache(maxsize=CACHED_TEXTS)
def _plain(text: str) -> str:
    """Return a text's words with a blank around each, so that one text is searched for in another word by word."""
    return f" {' '.join(WORD.findall(text.lower()))} "


def _weights(sentence: str) -> dict[str, float]:
    """Return the sentence's words with what each counts; a name is a word with a capital that begins no sentence."""
    names = {stem(word.lower()) for word in WORD.findall(sentence)[1:] if word[0].isupper()}
    return {
        _NUMERALS.get(word, word): NUMBER_WEIGHT if _is_number(word) else NAME_WEIGHT if word in names else 1.0
        for word in content_words(sentence)
    }


def _with_numerals(words: Sequence[str]) -> set[str]:
    return {_NUMERALS.get(word, word) for word in words}


def _is_number(word: str) -> bool:
    return any(map(str.isdigit, word)) or word in _NUMERALS


@lru_cache(maxsize=CACHED_TEXTS)
def _windows(text: str) -> list[tuple[str, set[str]]]:
    """Return every run of up to MOST_SENTENCES sentences of a text with its words, short ones first."""
    sentences = [part.strip() for part in _END.split(_WRAPPED.sub(" ", text)) if part.strip()]
    words = [_with_numerals(content_words(sentence)) for sentence in sentences]
    return [
        (" ".join(sentences[at : at + size]), set().union(*words[at : at + size]))
        for size in range(1, MOST_SENTENCES + 1)
        for at in range(len(sentences) - size + 1)
    ]


def _numbers(text: str) -> set[str]:
    words = {_NUMERALS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in _NUMERALS and word != "one"}
    return set(_NUMBER.findall(text)) | words


def _misplaced(sentence: str, part: str) -> int:
    """Count the numbers of a sentence whose neighbourhood in the passage belongs to another number."""
    said, found = _neighbourhoods(sentence), _neighbourhoods(part)
    wrong = 0
    for number, around in said:
        own = max((_likeness(around, near) for other, near in found if other == number), default=0.0)
        others = max((_likeness(around, near) for other, near in found if other != number), default=0.0)
        wrong += others > MARGIN * own
    return wrong


def _neighbourhoods(text: str) -> list[tuple[str, dict[str, float]]]:
    """Return each number of a text with the words around it; the nearer a word, the more it counts."""
    words = [word for word in WORD.findall(text.lower()) if word not in STOP or word in _NUMERALS]
    found = []
    for at, word in enumerate(words):
        if not _is_number(word):
            continue
        near: dict[str, float] = {}
        for distance in range(1, REACH + 1):
            for place in (at - distance, at + distance):
                if 0 <= place < len(words) and not _is_number(words[place]):
                    near.setdefault(stem(words[place]), 1.0 / distance)
        found.append((_NUMERALS.get(word, word), near))
    return found


def _likeness(one: dict[str, float], other: dict[str, float]) -> float:
    return sum(min(weight, other[word]) for word, weight in one.items() if word in other)


def _denies(text: str) -> bool:
    """Whether a text denies something."""
    plain = _BOUNDS.sub(" ", text.lower().replace("n't", " not").replace("n’t", " not"))
    return bool(_DENIALS & set(re.findall(r"[a-z]+", plain)))


def _opposed(sentence: str, part: str) -> bool:
    said, found = (set(re.findall(r"[a-z]+", text.lower())) for text in (sentence, part))
    return any(
        (said & one and not said & other and found & other and not found & one)
        or (said & other and not said & one and found & one and not found & other)
        for one, other in _OPPOSITES
    )
