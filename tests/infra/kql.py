"""Runs the alerts' queries over rows: the few operators of KQL that they use, so that a test can see which goes off.

What is null compares as false and adds up to null, as in KQL; `summarize` without `by` makes one row also of none.
https://learn.microsoft.com/kusto/query/
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

type Row = dict[str, Any]


class Null:
    """The value that is not there."""

    def _false(self, _: object) -> bool:
        return False

    def _null(self, _: object) -> "Null":
        return self

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _false
    __add__ = __radd__ = __mul__ = __rmul__ = _null

    def __hash__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return False


NULL = Null()
_SCALARS: Mapping[str, Callable[..., Any]] = {
    "isnull": lambda value: value is NULL,
    "isnotempty": lambda value: value is not NULL and value != "",
    "toint": lambda value: NULL if value is NULL else int(value),
}
_WORDS = (
    (r'(\w+) startswith ("[^"]*")', r"str(\1).lower().startswith(\2.lower())"),
    (r'(\w+) endswith ("[^"]*")', r"str(\1).lower().endswith(\2.lower())"),
    (r'(\w+) has ("[^"]*")', r"\2.lower() in str(\1).lower()"),
    (r'(\w+) in \(("[^)]*")\)', r"\1 in (\2,)"),
)


def run(query: str, rows: Sequence[Row]) -> list[Row]:
    """Return the rows that a query comes to. Raises ValueError for an operator that is not known here."""
    lines = [line for line in query.splitlines() if line.strip() and not line.startswith("//")]
    _, *steps = re.split(r"\n\| ", "\n".join(lines))
    found = list(rows)
    for step in steps:
        operator, _, rest = step.strip().partition(" ")
        if operator not in _OPERATORS:
            raise ValueError(f"{operator} is not used in these queries")
        found = _OPERATORS[operator](rest, found)
    return found


def _where(condition: str, rows: list[Row]) -> list[Row]:
    return [row for row in rows if _value(condition, row)]


def _parse_kv(rest: str, rows: list[Row]) -> list[Row]:
    columns = re.findall(r"(\w+): (\w+)", rest.split(" with ")[0])
    return [{**row, **_pairs(str(row["Message"]), columns)} for row in rows]


def _pairs(message: str, columns: list[tuple[str, str]]) -> Row:
    given = dict(re.findall(r'(\S+?)=("(?:[^"\\]|\\.)*"|\S*)', message))
    made: Row = {}
    for name, kind in columns:
        text = given.get(name)
        text = json.loads(text) if text is not None and text.startswith('"') else text
        made[name] = _typed(text, kind)
    return made


def _typed(text: str | None, kind: str) -> Any:
    if kind == "string":
        return text or ""
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else NULL


def _sort(rest: str, rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row[rest.split()[1]])


def _extend(rest: str, rows: list[Row]) -> list[Row]:
    name, _, expression = rest.partition(" = ")
    made = []
    for index, row in enumerate(rows):
        before = rows[index - 1] if index else {}

        def prev(column: str, before: Row = before) -> Any:
            return before.get(column, "")

        quoted = re.sub(r"prev\((\w+)\)", r'prev("\1")', expression)
        made.append({**row, name: _value(quoted, row, prev=prev)})
    return made


def _summarize(rest: str, rows: list[Row]) -> list[Row]:
    made: Row = {}
    for part in re.split(r", (?![^()]*\))", rest):
        name, _, aggregate = part.rpartition(" = ")
        function, _, inside = aggregate.strip().partition("(")
        inside = inside.removesuffix(")")
        if function == "arg_max":
            by, *columns = inside.split(", ")
            last = max(rows, key=lambda row: row[by], default={})
            made |= {column: last.get(column, NULL) for column in columns}
        elif function in ("count", "countif"):
            made[name] = sum(bool(_value(inside or "True", row)) for row in rows)
        elif function == "dcount":
            made[name] = len({row[inside] for row in rows})
        else:
            raise ValueError(f"{function} is not used in these queries")
    return [made]


def _value(expression: str, row: Row, **more: Any) -> Any:
    for pattern, python in _WORDS:
        expression = re.sub(pattern, python, expression)
    return eval(expression, {"str": str, "__builtins__": {}}, {**row, **_SCALARS, **more})


_OPERATORS: Mapping[str, Callable[[str, list[Row]], list[Row]]] = {
    "where": _where,
    "parse-kv": _parse_kv,
    "sort": _sort,
    "extend": _extend,
    "summarize": _summarize,
}
