"""Every number in an answer is checked against the passage that it names, while the answer streams.

Text flows on as it comes. Only what is between two sentences waits: the marker that the model put there is held until
it has been checked, which takes a look at the words and, where these do not decide, one embedding. So what has been
shown is never taken back. A number that is wrong is exchanged for that of the passage that supports the sentence; where
none does, the sentence is marked `[?]`; a sentence without a number gets one where a passage plainly says the same.
"""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.chat.code import CodeSplitter, Piece
from shared.chat.passages import Passage
from shared.chat.support import SUPPORTED, SURE, Evidence, evidence
from shared.chat.words import content_words

UNSUPPORTED = "[?]"
FEWEST_WORDS = 3  # words with a meaning that a sentence needs to be given a number it did not have
MOST_EMBEDDED = 3  # passages whose nearness is asked for, the best by their words
MOST_RANGE = 50  # passages that a range such as [1-3] can name
MOST_DIGITS = 6  # of a number that may be a passage's

# Whatever a reader may take for a marker: numbers and ranges in brackets of any kind, as [1, 2], [^1], 【4:0†source】.
_OPEN, _CLOSE = r"[\[【［〔]", r"[\]】］〕]"
_SIGNS = r"(?:[\d\s,;、，&^~\-‐‑‒–—−]|and)*"
_SOURCE = r"【\s*\^?\d[^【】\n]{0,40}】"
_NUMBERS = rf"{_OPEN}(?=[^\d\]】］〕]*\d){_SIGNS}{_CLOSE}|{_SOURCE}"
_SIGN = rf"{_OPEN}\s*[?？][\s?？]*{_CLOSE}"
_BEGUN = rf"{_OPEN}(?:{_SIGNS}a?n?|[\s?？]*)|【\s*\^?(?:\d[^【】\n]{{0,40}})?"
_MARKER = re.compile(rf"\s*({_NUMBERS})")
_FORGED = re.compile(rf"\s*{_SIGN}")  # only this program marks a sentence as unsupported
_MAY_BECOME_MARKER = re.compile(rf"\s*(?:{_BEGUN})?\Z")
_LIKE_MARKER = re.compile(rf"{_NUMBERS}|{_SIGN}")
_BEGUN_AT_END = re.compile(rf"(?:{_BEGUN})\Z")
_NUMBER = re.compile(r"(\d+)(?:\s*[~\-‐‑‒–—−]\s*(\d+))?")
_NEXT = re.compile(rf"\s|{_OPEN}")
_SENTENCE_END = re.compile(r"[.!?…][\"')\]»”]*\Z")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|No|Nr|Dr|Mr|Mrs|Ms|St|approx|ca|bzw|z\.B|cf|Fig|p)|^\s*\d{1,2})\.\Z"
)

Kind = Literal["supported", "repaired", "assigned", "unsupported", "unmarked"]
Nearness = Callable[[str, Sequence[str]], Awaitable[Sequence[float]]]  # cosines of a text to others


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the markers of one sentence: those that the model gave, and those that are shown."""

    sentence: str
    kind: Kind
    given: tuple[int, ...]
    shown: tuple[int, ...]
    probability: float

    def as_dict(self) -> dict[str, Any]:
        """Return it as it is shown."""
        return {
            "sentence": self.sentence,
            "kind": self.kind,
            "given": list(self.given),
            "shown": list(self.shown),
            "probability": round(self.probability, 3),
        }


@dataclass(slots=True)
class Checks:
    """The verdicts of one answer, and the seconds that they took."""

    verdicts: list[Verdict] = field(default_factory=list)
    seconds: float = 0.0

    def counts(self) -> dict[str, int]:
        """Return the number of sentences by kind."""
        kinds = ("supported", "repaired", "assigned", "unsupported", "unmarked")
        return {kind: sum(verdict.kind == kind for verdict in self.verdicts) for kind in kinds}

    def used(self) -> frozenset[int]:
        """Return the numbers of the passages that the answer names."""
        return frozenset(n for verdict in self.verdicts for n in verdict.shown)

    def claims(self) -> bool:
        """Whether the answer says anything that a passage supports, or that the model said one does."""
        return any(verdict.shown or verdict.kind == "unsupported" for verdict in self.verdicts)

    def unsupported(self) -> list[str]:
        """Return the sentences that no passage supports although the model said that one does."""
        return [verdict.sentence for verdict in self.verdicts if verdict.kind == "unsupported"]


class Checker:
    """Checks the sentences of one answer. `nearness` is asked only where words do not decide."""

    def __init__(self, passages: Sequence[Passage], nearness: Nearness) -> None:
        self.checks = Checks()
        self._passages = {passage.n: passage for passage in passages}
        self._nearness = nearness

    async def check(self, sentence: str, given: Sequence[int]) -> Verdict:
        """Return which markers a sentence gets. Numbers of no passage count as given, and are wrong."""
        started = time.monotonic()
        try:
            verdict = await self._verdict(sentence, tuple(dict.fromkeys(given)))
        finally:
            self.checks.seconds += time.monotonic() - started
        self.checks.verdicts.append(verdict)
        return verdict

    async def _verdict(self, sentence: str, given: tuple[int, ...]) -> Verdict:
        if not given and len(content_words(sentence)) < FEWEST_WORDS:
            return Verdict(sentence, "unmarked", (), (), 0.0)
        found = {n: self._evidence(sentence, passage) for n, passage in self._passages.items()}
        least = SUPPORTED if given else SURE
        named = {n: found[n] for n in given if n in found}
        likely = await self._likely(sentence, named, least)
        good = tuple(n for n in given if likely.get(n, 0.0) >= least)
        if good:
            return Verdict(sentence, "supported", given, good, max(likely[n] for n in good))
        likely |= await self._likely(sentence, {n: one for n, one in found.items() if n not in likely}, least)
        best = max(likely, key=lambda n: likely[n], default=0)
        if best and likely[best] >= least:
            return Verdict(sentence, "repaired" if given else "assigned", given, (best,), likely[best])
        return Verdict(sentence, "unsupported" if given else "unmarked", given, (), likely.get(best, 0.0))

    def _evidence(self, sentence: str, passage: Passage) -> Evidence:
        chunk = passage.chunk
        return evidence(sentence, passage.text, f"{chunk.title} {chunk.name} {chunk.heading}")

    async def _likely(self, sentence: str, found: dict[int, Evidence], least: float) -> dict[int, float]:
        """Return how likely each passage supports a sentence; nearness is asked for only where it can decide."""
        sure = {n: one.probability(0.0) for n, one in found.items()}
        if not any(value >= least for value in sure.values()):
            open_ = [n for n, one in found.items() if one.probability(1.0) >= least]
            open_ = sorted(open_, key=lambda n: -found[n].coverage)[:MOST_EMBEDDED]
            if open_:
                near = await self._nearness(sentence, [found[n].part for n in open_])
                sure |= {n: found[n].probability(cosine) for n, cosine in zip(open_, near, strict=True)}
        return sure


class MarkerStream:
    """Passes an answer on as it streams, with the markers that its checker lets through; code stays as it is."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._code = CodeSplitter()
        self._pending = ""  # text that has come and cannot be shown yet
        self._sentence = ""  # what has been shown since the last marker or sentence's end
        self._given: list[int] = []  # markers behind it
        self._behind_block = False  # the sentence is a block of code
        self._begun = ""  # the end of what has been shown, where it could become a marker
        self._shown_last = ""  # sign
        self._cut = False  # a marker stood between what was shown and what comes

    async def feed(self, text: str, last: bool = False) -> AsyncIterator[str]:
        """Take the next piece of the answer, the `last` one or not; yield what can be shown by now."""
        for piece in self._code.feed(text, last):
            parts = self._text(piece.text) if piece.kind == "text" else self._verbatim(piece)
            async for part in parts:
                yield part

    async def end(self) -> AsyncIterator[str]:
        """Yield what was held back to the end."""
        async for part in self.feed("", last=True):
            yield part
        rest, self._pending = self._pending.rstrip(), ""
        if rest:
            if self._given or self._behind_block:
                yield await self._close()
            yield self._visible(rest)
        if self._sentence.strip() or self._given:
            yield await self._close()

    async def _text(self, text: str) -> AsyncIterator[str]:
        self._pending += text
        while True:
            marker = _MARKER.match(self._pending)
            if found := marker or _FORGED.match(self._pending):
                self._given += _numbers(marker[1]) if marker else []
                self._pending = self._pending[found.end() :]
                self._cut = True
                continue
            if _MAY_BECOME_MARKER.match(self._pending):
                return  # blanks and an open bracket say nothing yet
            shown, self._pending = self._upto_next(self._pending)
            if self._closes_before(shown):
                yield await self._close()
            yield self._visible(shown)

    async def _verbatim(self, piece: Piece) -> AsyncIterator[str]:
        """Yield code, which belongs to the sentence around it; a block is one of its own."""
        before, self._pending = self._pending, ""
        begins = piece.kind == "block" and not self._behind_block
        if begins or (piece.kind == "span" and self._closes_before(f"{before}`x")):
            yield await self._close()
        if before:
            yield self._visible(before)
        yield piece.text
        self._sentence = piece.text if begins else self._sentence + piece.text
        self._behind_block = piece.kind == "block"
        self._begun, self._shown_last, self._cut = "", piece.text[-1], False

    def _closes_before(self, shown: str) -> bool:
        """Whether the sentence ends before what is shown next."""
        ends = bool(self._given) and not _only_ends(shown)
        return ends or self._behind_block or (shown[:1].isspace() and self._ended(shown))

    def _visible(self, text: str) -> str:
        """Return a text as it is shown: nothing in it becomes a marker because another one was taken out before it."""
        if self._cut and self._shown_last == "]" and text[:1] in "(:":
            text = f" {text}"
        joined = _LIKE_MARKER.sub(lambda match: f"{match[0][:-1]})", self._begun + text)
        text = joined[len(self._begun) :]
        begun = _BEGUN_AT_END.search(joined)
        self._begun = begun[0] if begun else ""
        self._sentence += text
        self._shown_last, self._cut = text[-1:], False
        return text

    def _upto_next(self, text: str) -> tuple[str, str]:
        """Split a text before the next place where a marker may stand: the next blanks or bracket."""
        lead = len(text) - len(text.lstrip())
        match = _NEXT.search(text, lead + 1)
        cut = len(text) if match is None else match.start()
        return text[:cut], text[cut:]

    def _ended(self, following: str) -> bool:
        """Whether what has been shown is a whole sentence, given what follows it: blanks and a word."""
        shown = self._sentence.rstrip()
        if not shown:
            return False
        return "\n" in following[: len(following) - len(following.lstrip())] or bool(
            _SENTENCE_END.search(shown) and not _ABBREVIATION.search(shown)
        )

    async def _close(self) -> str:
        """End the sentence: return the markers that are shown behind it."""
        sentence, given, block = self._sentence.strip(), self._given, self._behind_block
        self._sentence, self._given, self._behind_block = "", [], False
        if not content_words(sentence) or (block and not given):
            return ""  # punctuation, markers behind nothing, or code that nobody says where it is from
        verdict = await self._checker.check(sentence, given)
        numbers = "".join(f"[{n}]" for n in verdict.shown)
        if verdict.kind == "unsupported":
            numbers = UNSUPPORTED
        if not numbers:
            return ""
        self._begun, self._shown_last = "", "]"
        return f" {numbers}"


def _numbers(marker: str) -> list[int]:
    """Return the numbers that a marker names, a range's among them; 0, which no passage has, for one out of reach."""
    found: list[int] = []
    for one, other in _NUMBER.findall(marker):
        first, last = (int(digits) if len(digits) <= MOST_DIGITS else 0 for digits in (one, other or one))
        found += range(first, last + 1) if 0 < first <= last < first + MOST_RANGE else (first, last)
    return found


def _only_ends(text: str) -> bool:
    """Whether a text is nothing but the end of a sentence: what follows a marker that stands before the full stop."""
    return not text[:1].isspace() and not any(sign.isalnum() for sign in text)
