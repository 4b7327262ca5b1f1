"""Where code is in a Markdown answer, as it streams. Pure.

Numbers in brackets mean something else in code, so code is left alone. Only what is code in every reading counts: where
readers of Markdown may differ (a span over several lines or table cells, a fence that its list item ends) nothing more
is taken for code, to the end of the paragraph or of the answer.
"""

import re
from dataclasses import dataclass
from typing import Literal

MOST_SPAN = 200  # characters of a span; a longer one would hold the stream back
DEEPEST = 3  # blanks before a fence

_LINE_END = re.compile(r"\r\n?|\n")
_STOP = re.compile(r"[`~\\\r\n]")
_RUN = re.compile(r"`+|~+")
_FENCE = re.compile(r"( {0,3})(`{3,}|~{3,})([^\r\n]*)")
_MAY_BECOME_FENCE = re.compile(r" {0,3}(?:`*|~*)\Z")
_INDENT = re.compile(r"[ \t]*")

Kind = Literal["text", "span", "block"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer: text in any pieces, a whole code span, or a whole line of a fenced block."""

    kind: Kind
    text: str


class CodeSplitter:
    """Splits an answer into text and code; joined again, the pieces are the answer."""

    def __init__(self) -> None:
        self._held = ""
        self._fence: tuple[str, int] | None = None  # the open block's fence, and the blanks before it
        self._at_start = True  # of a line
        self._blank = True  # so far, the line
        self._doubt: Literal["", "paragraph", "rest"] = ""  # how far nothing is taken for code

    def feed(self, text: str, last: bool = False) -> list[Piece]:
        """Take the next piece of the answer, the `last` one or not; return what is decided by now."""
        self._held += text
        found = []
        while self._held:
            piece = (self._fence and self._block_line(last)) or self._next(last)
            if piece is None:
                break
            self._held = self._held[len(piece.text) :]
            found.append(piece)
        return found

    def _block_line(self, last: bool) -> Piece | None:
        """Return the next line of the open block; None while it is not whole, or when it is no line of the block."""
        assert self._fence is not None
        line = self._line(last)
        if line is None:
            return None
        fence, indent = self._fence
        lead = _INDENT.match(line)[0]  # type: ignore[index]
        depth = DEEPEST + 1 if "\t" in lead else len(lead)
        body = line.strip()
        closes = len(body) >= len(fence) and not body.strip(fence[0])
        if body and (depth < indent or (closes and indent and depth > DEEPEST)):
            self._fence, self._doubt = None, "rest"  # the end of a list item may have ended the block, or not
            return None
        if closes and depth <= DEEPEST:
            self._fence = None
        return Piece("block", line)

    def _next(self, last: bool) -> Piece | None:
        """Return the next piece outside of blocks, or None while it is not decided."""
        if self._fence:
            return None
        if self._at_start:
            if _MAY_BECOME_FENCE.match(self._held) and not last:
                return None
            if fence := _FENCE.match(self._held):
                return self._opening(fence, last)
        stop = _STOP.search(self._held)
        if stop is None or stop.start():
            return self._text(self._held[: stop.start()] if stop else self._held)
        return self._special(last)

    def _opening(self, fence: re.Match[str], last: bool) -> Piece | None:
        line = self._line(last)
        if line is None:
            return None
        blanks, signs, info = fence.groups()
        if self._doubt or (signs[0] == "`" and "`" in info):
            return self._run(last)
        self._fence = signs, len(blanks)
        return Piece("block", line)

    def _special(self, last: bool) -> Piece | None:
        if self._held[0] == "\\":
            if len(self._held) == 1 and not last:
                return None
            return self._text(self._held[: 1 if _LINE_END.match(self._held, 1) else 2])
        if end := _LINE_END.match(self._held):
            if end[0] == "\r" and len(self._held) == 1 and not last:
                return None
            if self._blank and self._doubt == "paragraph":
                self._doubt = ""
            self._at_start = self._blank = True
            return Piece("text", end[0])
        return self._run(last)

    def _run(self, last: bool) -> Piece | None:
        """Return the code span that begins here, or the run of signs that begins none."""
        run = _RUN.search(self._held)
        assert run is not None
        if run.end() == len(self._held) and not last:
            return None
        signs = run[0]
        if signs[0] == "`" and not self._doubt:
            close = re.compile(f"(?<!`){signs}(?!`)").search(self._held, run.end())
            line_end = _LINE_END.search(self._held, run.end())
            most = min(run.end() + MOST_SPAN, line_end.start() if line_end else len(self._held))
            if close and close.end() <= most:
                if close.end() == len(self._held) and not last:
                    return None
                if "|" not in self._held[run.end() : close.start()]:  # in a table it parts two cells
                    return self._emit(Piece("span", self._held[: close.end()]))
            elif not (line_end or last or len(self._held) > run.end() + MOST_SPAN):
                return None
        if len(signs) >= 3:
            self._doubt = "rest"
        elif signs[0] == "`" and not self._doubt:
            self._doubt = "paragraph"
        return self._text(self._held[: run.end()])

    def _line(self, last: bool) -> str | None:
        """Return the line that is held, with its end; None while there is none."""
        end = _LINE_END.search(self._held)
        if end is None or (end[0] == "\r" and end.end() == len(self._held)):
            return self._held if last else None
        return self._held[: end.end()]

    def _text(self, text: str) -> Piece:
        return self._emit(Piece("text", text))

    def _emit(self, piece: Piece) -> Piece:
        self._at_start = False
        self._blank = self._blank and not piece.text.strip()
        return piece
