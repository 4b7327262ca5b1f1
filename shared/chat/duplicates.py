"""Texts that say the same: the same words but for a few that carry no fact. Pure.

Nearness is the share of common word triples (Jaccard; Broder, "On the resemblance and containment of documents", 1997).
Two texts that differ in a number or a name differ in what they say, however near they are: a policy for one plan is not
that of another.
"""

import re
from dataclasses import dataclass

NEAR = 0.85  # share of triples in common from which two texts are one
NEGATIONS = frozenset(["no", "nor", "not", "never", "none", "neither", "without", "except", "unless", "cannot"])
_WORD = re.compile(r"[^\W_]+(?:[.,'’][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What two texts are compared by: their words, and those that carry facts."""

    words: tuple[str, ...]
    facts: frozenset[str]

    def says_the_same(self, other: "Fingerprint") -> bool:
        """Whether two texts say the same."""
        if self.words == other.words:
            return True
        if self.facts != other.facts:
            return False
        # Few texts have the same facts, so triples are made only for those that do.
        own, others = _triples(self.words), _triples(other.words)
        whole = len(own | others)
        return bool(whole) and len(own & others) / whole >= NEAR


def fingerprint(text: str) -> Fingerprint:
    """Return a text's fingerprint. Words with a digit or a capital letter carry facts, and so do negations."""
    found = _WORD.findall(text)
    facts = frozenset(word.lower() for word in set(found) if _is_fact(word))
    return Fingerprint(tuple(map(str.lower, found)), facts)


def _triples(words: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def _is_fact(word: str) -> bool:
    lowered = word.lower()
    if word != lowered or lowered in NEGATIONS:
        return True
    # Most words are letters alone, and can be neither of these.
    return not word.isalpha() and (lowered.endswith(("n't", "n’t")) or any(map(str.isdigit, word)))
