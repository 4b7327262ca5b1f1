"""OData filters: text to a syntax tree. Pure.

https://learn.microsoft.com/azure/search/search-query-odata-syntax-reference
"""

import re
from dataclasses import dataclass
from datetime import datetime

from local.search_service.errors import ServiceError, bad_request, unsupported
from local.search_service.fields import moment

Value = str | int | float | bool | datetime | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left op right`; one side names a field (or a lambda's variable), the other is a constant."""

    field: str
    operator: str  # eq ne gt ge lt le
    value: Value


@dataclass(frozen=True, slots=True)
class Truth:
    """A bare boolean field, or a bare constant."""

    field: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A bare true or false."""

    value: bool


@dataclass(frozen=True, slots=True)
class In:
    """`search.in(field, 'a,b', ',')`."""

    field: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Logic:
    """`and` or `or` over two or more terms."""

    operator: str
    terms: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`not term`."""

    term: "Node"


@dataclass(frozen=True, slots=True)
class Quantifier:
    """`field/any(x: term)` or `all`; without a term, `any()` asks whether there is an element at all."""

    field: str
    kind: str  # any all
    variable: str
    term: "Node | None"


Node = Comparison | Truth | Constant | In | Logic | Not | Quantifier

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<date>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|-?INF|NaN)
    | (?P<string>'(?:[^']|'')*')
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_]+)?(?:/[A-Za-z_][A-Za-z0-9_]*)*)
    | (?P<mark>[(),:])
    )""",
    re.VERBOSE,
)
_OPERATORS = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
_FLIPPED = {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge", "eq": "eq", "ne": "ne"}
_DEPTH = 100  # nesting that is parsed; the service has a limit of the same kind


def parse_filter(text: str) -> Node:
    """Return the syntax tree of a filter. Raises a 400 that says where it went wrong."""
    parser = _Parser(text)
    node = parser.disjunction()
    parser.expect_end()
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._lex(text))
        self._at = 0
        self._depth = 0

    def _lex(self, text: str) -> list[tuple[str, str, int]]:
        found: list[tuple[str, str, int]] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self._fault(position, text[position : position + 20].strip())
            found.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            position = match.end()
        return found

    def disjunction(self) -> Node:
        self._depth += 1
        if self._depth > _DEPTH:
            raise bad_request("Invalid expression: the filter is nested too deeply.", "InvalidRequestParameter")
        terms = [self._conjunction()]
        while self._take("or"):
            terms.append(self._conjunction())
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Logic("or", tuple(terms))

    def _conjunction(self) -> Node:
        terms = [self._negation()]
        while self._take("and"):
            terms.append(self._negation())
        return terms[0] if len(terms) == 1 else Logic("and", tuple(terms))

    def _negation(self) -> Node:
        negated = False
        while self._take("not"):
            negated = not negated
        term = self._primary()
        return Not(term) if negated else term

    def _primary(self) -> Node:
        if self._take("("):
            node = self.disjunction()
            self._need(")")
            return node
        kind, text, position = self._next()
        if kind == "word" and text == "search.in":
            return self._search_in()
        if kind == "word" and text.startswith(("search.", "geo.")):
            raise unsupported(f"the filter function '{text}'")
        if kind == "word" and text.endswith(("/any", "/all")):
            return self._quantifier(text)
        operator = self._peek()
        if operator in _OPERATORS:
            self._at += 1
            return self._comparison((kind, text, position), operator, self._next())
        if kind == "word" and text in ("true", "false"):
            return Constant(text == "true")
        if kind == "word":
            return Truth(text)
        raise self._fault(position, text)

    def _comparison(self, left: tuple[str, str, int], operator: str, right: tuple[str, str, int]) -> Node:
        if self._is_field(left) and not self._is_field(right):
            return Comparison(left[1], operator, self._constant(right))
        if self._is_field(right) and not self._is_field(left):
            return Comparison(right[1], _FLIPPED[operator], self._constant(left))
        raise bad_request("Invalid expression: a comparison needs a field and a constant.", "InvalidRequestParameter")

    @staticmethod
    def _is_field(token: tuple[str, str, int]) -> bool:
        return token[0] == "word" and token[1] not in ("true", "false", "null")

    def _constant(self, token: tuple[str, str, int]) -> Value:
        kind, text, position = token
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            if text.lstrip("-") in ("INF", "NaN"):
                return float(text.replace("INF", "inf"))
            return float(text) if any(mark in text for mark in ".eE") else int(text)
        if kind == "date":
            try:
                return moment(text)
            except ValueError:
                raise self._fault(position, text) from None
        if text in ("true", "false"):
            return text == "true"
        if text == "null":
            return None
        raise self._fault(position, text)

    def _search_in(self) -> Node:
        self._need("(")
        field = self._next()
        self._need(",")
        values = self._constant(self._next())
        delimiters: Value = " ,"
        if self._take(","):
            delimiters = self._constant(self._next())
        self._need(")")
        if not self._is_field(field) or not isinstance(values, str) or not isinstance(delimiters, str):
            raise bad_request("Invalid expression: search.in takes a field and one or two strings.")
        parts = re.split(f"[{re.escape(delimiters)}]", values) if delimiters else [values]
        return In(field[1], frozenset(part for part in parts if part))

    def _quantifier(self, word: str) -> Node:
        field, _, kind = word.rpartition("/")
        self._need("(")
        if self._take(")"):
            if kind == "all":
                raise bad_request("Invalid expression: all() needs a condition.")
            return Quantifier(field, kind, "", None)
        variable = self._next()[1]
        self._need(":")
        term = self.disjunction()
        self._need(")")
        return Quantifier(field, kind, variable, term)

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            _, text, position = self._tokens[self._at]
            raise self._fault(position, text)

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self) -> tuple[str, str, int]:
        if self._at >= len(self._tokens):
            raise self._fault(len(self._text), "the end")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, text: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][:2] in (("word", text), ("mark", text)):
            self._at += 1
            return True
        return False

    def _need(self, mark: str) -> None:
        _, text, position = self._next()
        if text != mark:
            raise self._fault(position, text)

    def _fault(self, position: int, found: str) -> ServiceError:
        return bad_request(f"Invalid expression: Syntax error at position {position} in '{self._text}' ({found}).")
