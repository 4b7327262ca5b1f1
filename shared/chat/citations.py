"""Markers `[n]` in an answer: only those that name a passage reach the user. Pure."""

import re

_MARKER = re.compile(r"\[(\d{1,3})\]")
_OPEN = re.compile(r"\[\d{0,3}$")  # the start of a marker at the end of what has arrived so far


def markers(text: str) -> list[int]:
    """Return the numbers of the markers in `text`, each once, in order of appearance."""
    return list(dict.fromkeys(int(number) for number in _MARKER.findall(text)))


class MarkerFilter:
    """Passes an answer on as it streams, without markers that name no passage.

    A marker may arrive in pieces, so an open bracket with digits is held back until it is decided.
    """

    def __init__(self, passages: int) -> None:
        self._passages = passages
        self._held = ""
        self._shown = ""  # the last characters passed on

    def feed(self, text: str) -> str:
        """Take the next piece of the answer; return what can be shown by now."""
        pending = self._held + text
        match = _OPEN.search(pending)
        self._held = pending[match.start() :] if match else ""
        return self._clean(pending[: len(pending) - len(self._held)])

    def end(self) -> str:
        """Return what was held back to the end."""
        rest, self._held = self._held, ""
        return rest

    def _clean(self, text: str) -> str:
        parts: list[str] = []
        position = 0
        for match in _MARKER.finditer(text):
            parts.append(self._pass(text[position : match.start()]))
            if 1 <= int(match[1]) <= self._passages:
                parts.append(self._pass(match[0]))
            elif _OPEN.search(self._shown):
                parts.append(self._pass(" "))  # what is left around it must not close up to another marker
            position = match.end()
        parts.append(self._pass(text[position:]))
        return "".join(parts)

    def _pass(self, text: str) -> str:
        self._shown = (self._shown + text)[-4:]
        return text
