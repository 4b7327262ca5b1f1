"""The simple query syntax: text to a tree. Pure; nothing is ever a syntax error, as in the service.

https://learn.microsoft.com/azure/search/query-simple-syntax
"""

import re
from dataclasses import dataclass

_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Term:
    """A word; `prefix` when it ended in `*`."""

    text: str
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in quotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Negated:
    """`-term`."""

    term: "Query"


@dataclass(frozen=True, slots=True)
class Group:
    """Terms side by side (`operator` ""), joined by `+` ("and") or by `|` ("or")."""

    operator: str
    terms: tuple["Query", ...]


Query = Term | Phrase | Negated | Group


def parse_query(text: str) -> Query | None:
    """Return the tree of a query, or None when there is no term in it."""
    return _Parser(text).disjunction()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def disjunction(self) -> Query | None:
        """Parse terms joined by `|`, up to a closing bracket or the end."""
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        return _group("or", parts)

    def _sequence(self) -> Query | None:
        parts: list[Query | None] = []
        while (part := self._conjunction()) is not None:
            parts.append(part)
        return _group("", parts)

    def _conjunction(self) -> Query | None:
        parts = [self._unary()]
        while self._take("+"):
            parts.append(self._unary())
        return _group("and", parts)

    def _unary(self) -> Query | None:
        self._skip_spaces()
        if self._take_here("-"):
            term = self._unary()
            return Negated(term) if term is not None else None
        if self._take_here("("):
            group = self.disjunction()
            self._take(")")
            return group
        if self._take_here('"'):
            return self._phrase()
        return self._term()

    def _phrase(self) -> Query | None:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] != '"':
            self._at += 2 if self._text[self._at] == "\\" else 1
        body = self._text[start : self._at]
        self._at += 1
        return Phrase(_ESCAPED.sub(r"\1", body)) if body.strip() else None

    def _term(self) -> Query | None:
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in ' \t\n"()|+':
            self._at += 2 if self._text[self._at] == "\\" else 1
        word = self._text[start : self._at]
        if not word:
            return None
        prefix = word.endswith("*") and not word.endswith("\\*")
        text = _ESCAPED.sub(r"\1", word.rstrip("*") if prefix else word)
        return Term(text, prefix) if text else self._unary()

    def _take(self, mark: str) -> bool:
        self._skip_spaces()
        return self._take_here(mark)

    def _take_here(self, mark: str) -> bool:
        if self._text.startswith(mark, self._at):
            self._at += 1
            return True
        return False

    def _skip_spaces(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1


def _group(operator: str, parts: list[Query | None]) -> Query | None:
    found = tuple(part for part in parts if part is not None)
    if not found:
        return None
    return found[0] if len(found) == 1 else Group(operator, found)
