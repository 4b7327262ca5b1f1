"""Words that carry meaning, as texts are compared by them. Pure; English endings, other languages whole."""

import re
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:[.,:/][0-9]+)*")
_STOP_WORDS = """
    a about above after again all also am an and any are as at be because been before being below between both but by
    can could did do does doing done down during each either every few for from further get give given gives had has
    have having he her here hers him his how however i if in into is it its itself just let like made make makes many
    may me might more most much must my no nor not now of off on once one only or other our ours out over own per please
    same shall she should so some such than that the their theirs them then there these they this those through to too
    under until up upon us use used using very via was we were what when where whether which while who whom whose why
    will with within without would you your yours
"""
STOP = frozenset(_STOP_WORDS.split())


def content_words(text: str) -> list[str]:
    """Return the words of a text that carry meaning, in order: lower case, plain endings cut off."""
    return [stem(word) for word in WORD.findall(text.lower()) if word not in STOP]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return a word without the ending of a plain plural or tense, so that both forms are one."""
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "ly", "s", "e"):
        if len(word) > len(ending) + 2 and word.endswith(ending) and not word.endswith("ss"):
            return word[: -len(ending)]
    return word
