"""No foreign link or image leaves in an answer. Pure.

A document can bring a model to write a link or an image whose address carries away what it has read, or that leads the
reader elsewhere. So whatever a reader's program could follow or load by itself is taken out of the text as it streams,
unless it leads to a host that is allowed: Markdown links and images keep their words in brackets, tags go, and bare
addresses become a note that one was there.

Three stages follow each other, for what one takes out may join what the next must see. None of them looks for whole
constructs of Markdown, which are read differently everywhere, but for the signs that none of them can do without.
What a stage decides depends on the text alone, never on the pieces it comes in.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

REMOVED = "(link removed)"
MOST_TAG = 1_000  # characters of a tag; what is not closed by then is none
MOST_TARGET = 4_000  # characters of a link's target; what is not closed by then is none

_WORD = "".join(map(chr, range(0x21, 0x7F)))  # signs that addresses are made of: printable ASCII without the blank
_OPENS_TAG = re.compile(r"[a-zA-Z/!?]")
_AUTO = re.compile(r"<([a-z][a-z+.-]*:[^<>\s]*)>", re.IGNORECASE)
# With slashes any scheme is an address; without them only these are, for "note: this" has a colon too. One letter
# before a colon is a disk.
_BARE = re.compile(
    r"(?:[a-z][a-z0-9+.-]+:[/\\]+"
    r"|\b(?:javascript|vbscript|data|mailto|blob|file|https?|ftp|wss?|tel|sms|xmpp):(?=[!-~])"
    r"|\bwww\.|(?<![\w:/])//(?=\w))"
    r"(?:\([^\s()<>\[\]\"'`|}]*\)|[!-~](?<![()<>\[\]\"'`|}]))*",
    re.IGNORECASE | re.ASCII,
)
_BRACKETS = re.compile(r"[\[\]<\r\n]|!+|[^\[\]!<\r\n]+")
_LEAD = " \t>*+-.)0123456789"  # what may stand before the first word of a line: quotes, items
_BOUND = re.compile(r"[()]|\n[ \t]*\n")
_TARGET = re.compile(r"\(([^\s<>]+)(?: \"[^\"]*\")?\)")
_TRAILING = ".,;:!?"


class LinkFilter:
    """Passes an answer on as it streams, without links to hosts other than `allowed`.

    What may become a link is held back until it is decided: an open tag, the word under way, a link's target.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        hosts = frozenset(allowed)
        self._stages: tuple[_Stage, ...] = (_Tags(), _Addresses(hosts), _Brackets(hosts))

    def feed(self, text: str, last: bool = False) -> str:
        """Take the next piece, the `last` one or not; return what can be shown by now."""
        for stage in self._stages:
            text = stage.feed(text, last)
        return text

    def end(self) -> str:
        """Return what was held back to the end."""
        return self.feed("", last=True)


def without_links(text: str, allowed: Sequence[str] = ()) -> str:
    """Return a text without anything that a reader's program would follow or load, but for allowed hosts."""
    return LinkFilter(allowed).feed(text, last=True)


class _Stage:
    """Rewrites a text that comes in pieces."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str, last: bool) -> str:
        """Take the next piece; return what is decided."""
        done, self._held = self._decide(self._held + text, last)
        return done

    def _decide(self, text: str, last: bool) -> tuple[str, str]:
        """Return what becomes of a text's beginning, and the rest, which is not decided; "" of the `last` text."""
        raise NotImplementedError


class _Tags(_Stage):
    """Takes tags out, and what else is in angle brackets; an address in them loses the brackets only."""

    def _decide(self, text: str, last: bool) -> tuple[str, str]:
        done, at = "", 0
        while (start := text.find("<", at)) >= 0:
            done += text[at:start]
            if start + 1 == len(text) and not last:
                return done, text[start:]
            close = re.compile("[<>]").search(text, start + 1, start + MOST_TAG)
            if not _OPENS_TAG.match(text, start + 1):
                done, at = done + "<", start + 1
            elif close and close[0] == ">":
                address = _AUTO.fullmatch(text, start, close.end())
                done, at = done + (address[1] if address else ""), close.end()
            elif close or last or len(text) - start >= MOST_TAG:
                done, at = done + "‹", start + 1
            else:
                return done, text[start:]
        return done + text[at:], ""


class _Addresses(_Stage):
    """Puts a note in the place of addresses."""

    def __init__(self, allowed: frozenset[str]) -> None:
        super().__init__()
        self._allowed = allowed

    def _decide(self, text: str, last: bool) -> tuple[str, str]:
        end = len(text) if last else len(text.rstrip(_WORD))
        return _BARE.sub(self._noted, text[:end]), text[end:]

    def _noted(self, match: re.Match[str]) -> str:
        address = match[0].rstrip(_TRAILING)
        return match[0] if _may(address, self._allowed) else REMOVED + match[0][len(address) :]


class _Brackets(_Stage):
    """Takes the targets of links, and parts what would make a link, an image, a tag or the definition of a link."""

    def __init__(self, allowed: frozenset[str]) -> None:
        super().__init__()
        self._allowed = allowed
        self._at_start = True  # of a line, but for what may lead it
        self._defines = False  # an open bracket that began a line: its colon would make a definition
        self._escapes = False  # the last sign was a backslash

    def _decide(self, text: str, last: bool) -> tuple[str, str]:
        done, at = "", 0
        while part := _BRACKETS.match(text, at):
            sign = part[0]
            if sign[0] in "]!<":
                following = text[part.end() : part.end() + 2]
                if len(following) < (2 if sign[0] == "!" and following == "[" else 1) and not last:
                    break
                if sign == "]" and following[:1] == "(":
                    end = self._target(text, at + 1, last)
                    if end is None:
                        break
                    if end > 0 and not self._is_allowed(text[at + 1 : end]):
                        text, at = f"]{text[end:]}", 0  # what follows the target may be the next one
                        continue
                    shown, at = (text[at:end], end) if end > 0 else ("] ", at + 1)
                else:
                    shown, at = self._parted(sign, following), part.end()
                if sign == "]":
                    self._defines = self._defines and self._escapes
            else:
                shown, at = sign, part.end()
                self._defines = self._defines or (sign == "[" and self._at_start)
            done += shown
            self._at_start = sign in "\r\n" or (self._at_start and not shown.strip(_LEAD))
            self._escapes = sign.endswith("\\")
        return done, text[at:]

    def _parted(self, sign: str, following: str) -> str:
        """Return a sign, kept apart from what follows where the two would make something."""
        if sign == "]":
            return "] " if following[:1] == ":" and self._defines else "]"
        if sign == "<":
            return "< " if _OPENS_TAG.match(following) else "<"
        if following[:1] != "[":
            return sign
        ends = sign != "!" or following[1:].isdigit() or following[1:] == "^"
        return f"{sign} " if ends else ""  # the end of a sentence before a marker, or an image's sign

    def _target(self, text: str, at: int, last: bool) -> int | None:
        """Return where the target that opens at `at` ends, -1 when it does not, None while that is not decided."""
        depth = 0
        for bound in _BOUND.finditer(text, at, at + MOST_TARGET):
            if bound[0] not in "()":
                return -1
            depth += 1 if bound[0] == "(" else -1
            if not depth:
                return bound.end()
        return -1 if last or len(text) - at >= MOST_TARGET else None

    def _is_allowed(self, target: str) -> bool:
        address = _TARGET.fullmatch(target)
        return address is not None and _may(address[1], self._allowed)


def _may(address: str, allowed: frozenset[str]) -> bool:
    if not allowed:
        return False
    try:
        parts = urlsplit(address if "//" in address else f"https://{address}")
    except ValueError:
        return False
    return parts.scheme == "https" and (parts.hostname or "") in allowed and not parts.username
