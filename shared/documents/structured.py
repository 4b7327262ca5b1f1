"""CSV and JSON to Markdown, so that a row or a record says by itself what its values are."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.documents.encoding import decode
from shared.documents.limits import ReadLimits
from shared.documents.markdown import Page, document
from shared.documents.model import Document
from shared.errors import UnreadableDocument

TABLE_ROWS = 30  # a longer table is cut into chunks; its rows then have to name their columns themselves
SAMPLE = 65_536  # characters looked at to tell the delimiter
DELIMITERS = ",;\t|"
TOP_LEVEL, DEEPEST_LEVEL = 2, 6  # of headings made from the keys of nested JSON
DEEPEST = 64  # JSON that is nested deeper is shown as it is
LONG = 300  # characters; a longer value is a paragraph under its key
TITLES = ("title", "name", "subject")
MOST_DIGITS = 1_000  # of an integer; a longer one is shown as it is written
MOST_LISTED = 20  # lines that are not read, by their numbers
NAMES = 150  # characters of columns' names that every row may repeat: a quarter of what a chunk aims at
SHORT_NAME = 16  # characters; a shorter name is never cut

_SEPARATOR = re.compile(r'"?sep=([^\w\s"]|\t)"?[ \t]*\n', re.IGNORECASE)  # Excel's own first line
_BEGIN = re.compile(r"[^\s,\x1e]")  # of a value; a comma or a record separator [RFC 7464] may stand before it
_NOT_READ = "(Lines that are not JSON and could not be read: {}.)"

csv.field_size_limit(1 << 24)  # a cell may hold a whole text


def read_csv(path: str, content: bytes, limits: ReadLimits) -> Document:
    """Read comma-, semicolon-, tab- or bar-separated rows. A first row with a single value is the table's title."""
    text = decode(content).replace("\r\n", "\n").replace("\r", "\n")
    if said := _SEPARATOR.match(text):
        text = text[said.end() :]
    dialect = _delimited(said[1]) if said else _dialect(text)
    rows = [[" ".join(cell.split()) for cell in row] for row in csv.reader(io.StringIO(text), dialect)]
    rows = [row for row in rows if any(row)]
    if not rows:
        raise UnreadableDocument("empty", "the table has no values")
    width = max(map(len, rows))
    title = ""
    if width > 1 and len(rows) > 1 and sum(map(bool, rows[0])) == 1:
        title = next(filter(None, rows[0]))
        rows = rows[1:]
    made = _table(rows, width) if len(rows) <= TABLE_ROWS else "\n".join(_lines(rows, width))
    return document(path, [Page(None, f"# {title}\n\n{made}" if title else made)], title)


def read_json(path: str, content: bytes, limits: ReadLimits) -> Document:
    """Read JSON: keys become headings and names of values, objects in a list become one line or section each.

    Several values that follow each other are read as JSON lines. Raises JSONDecodeError, RecursionError.
    """
    try:
        return _shown(path, _JSON.decode(decode(content)))
    except json.JSONDecodeError as fault:
        if fault.msg != "Extra data":
            raise
    return read_json_lines(path, content, limits)


def read_json_lines(path: str, content: bytes, limits: ReadLimits) -> Document:
    """Read JSON values that follow each other, one a line as a rule. Lines that are none are named below the others.

    Raises UnreadableDocument (corrupt) when most lines are none, RecursionError.
    """
    text = decode(content)
    try:
        return _shown(path, list(_following(text)))
    except (json.JSONDecodeError, RecursionError):
        values, bad = _line_by_line(text)
    return _shown(path, values, _NOT_READ.format(_listed(bad)))


# ---- tables --------------------------------------------------------------------------------------------------------


def _dialect(text: str) -> type[csv.Dialect]:
    """Return how the values are separated: by whatever parts the first line most often, where that cannot be told."""
    sample = text[:SAMPLE]
    try:
        found = csv.Sniffer().sniff(sample, DELIMITERS)
        found.doublequote = True  # also where the sample has none, or none that the sniffer knows
        return found
    except csv.Error:
        first = sample.split("\n", 1)[0]
        return _delimited(max(DELIMITERS, key=first.count))


def _delimited(by: str) -> type[csv.Dialect]:
    class Delimited(csv.excel):
        delimiter = by

    return Delimited


def _table(rows: Sequence[Sequence[str]], width: int) -> str:
    filled = [[cell.replace("|", "\\|") for cell in [*row, *[""] * (width - len(row))]] for row in rows]
    head, *body = [f"| {' | '.join(row)} |" for row in filled]
    return "\n".join([head, "|" + " --- |" * width, *body])


def _lines(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield every row but the first with the names of its columns, which the first row has.

    Names that would be longer than what they name are said in full once, with the numbers that the rows have of them.
    """
    head = [*rows[0], *[""] * (width - len(rows[0]))]
    if sum(map(len, head)) > NAMES:
        most = max(SHORT_NAME, NAMES // width)
        if any(len(name) > most for name in head):
            numbered = [f"{number} {name}" if name else "" for number, name in enumerate(head, start=1)]
            yield from (f"- {name}" for name in numbered if name)
            head = [name if len(name) <= most else f"{name[: most - 1].rstrip()}…" for name in numbered]
    for row in rows[1:]:
        named = [f"{name}: {cell}" if name else cell for name, cell in zip(head, row, strict=False) if cell]
        yield f"- {'; '.join(named)}"


# ---- JSON ----------------------------------------------------------------------------------------------------------


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object without loss: a key that stands there more than once has the list of its values."""
    found: dict[str, list[Any]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MOST_DIGITS else digits


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_float=str, parse_int=_integer)


def _following(text: str) -> Iterator[Any]:
    """Yield the values that follow each other. Raises JSONDecodeError, RecursionError."""
    at = 0
    while begin := _BEGIN.search(text, at):
        value, at = _JSON.raw_decode(text, begin.start())
        yield value


def _line_by_line(text: str) -> tuple[list[Any], list[int]]:
    """Return the values of lines, and the numbers of the lines that have none.

    Raises UnreadableDocument (corrupt), RecursionError: the first fault, where there are more faults than values.
    """
    values: list[Any] = []
    faults: dict[int, json.JSONDecodeError | RecursionError] = {}
    for number, line in enumerate(map(str.strip, text.split("\n")), start=1):
        try:
            values += [_JSON.decode(line)] if line else []
        except (json.JSONDecodeError, RecursionError) as fault:
            faults[number] = fault
    if len(faults) > len(values):
        number, first = next(iter(faults.items()))
        if isinstance(first, RecursionError):
            raise first
        raise UnreadableDocument("corrupt", f"line {number} is not JSON: {first.msg}, column {first.colno}")
    return values, list(faults)


def _listed(numbers: Sequence[int]) -> str:
    rest = f" and {len(numbers) - MOST_LISTED} more" if len(numbers) > MOST_LISTED else ""
    return ", ".join(map(str, numbers[:MOST_LISTED])) + rest


def _shown(path: str, value: Any, note: str = "") -> Document:
    title = ""
    if isinstance(value, dict):
        title = next((str(value[name]) for name in TITLES if isinstance(value.get(name), str) and value[name]), "")
    pages = ["\n".join(_value(value, TOP_LEVEL, 0)), note]
    return document(path, [Page(None, text) for text in pages if text], title)


def _value(value: Any, level: int, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        yield json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        yield from _members(value, level, depth)
    elif isinstance(value, list):
        yield from _items(value, level, depth)
    else:
        yield _scalar(value)


def _members(value: Mapping[str, Any], level: int, depth: int) -> Iterator[str]:
    """Yield what is short first, so that it stays with the heading above it."""
    short = {key: one for key, one in value.items() if _is_short(one)}
    yield from (f"- {key}: {_scalar(one)}" for key, one in short.items())
    for key, one in value.items():
        if key not in short:
            yield from _section(key, one, level, depth)


def _items(value: Sequence[Any], level: int, depth: int) -> Iterator[str]:
    for number, one in enumerate(value, start=1):
        if _is_short(one):
            yield f"- {_scalar(one)}"
        elif isinstance(one, dict) and all(map(_is_short, one.values())):
            yield "- " + "; ".join(f"{key}: {_scalar(part)}" for key, part in one.items())
        elif isinstance(one, list) and all(map(_is_short, one)):
            yield "- " + "; ".join(map(_scalar, one))
        else:
            yield from _section(_named(one) or str(number), one, level, depth)


def _section(name: str, value: Any, level: int, depth: int) -> Iterator[str]:
    yield f"\n{'#' * min(level, DEEPEST_LEVEL)} {' '.join(name.split())}\n"
    yield from _value(value, level + 1, depth + 1)
    yield ""


def _named(value: Any) -> str:
    found = (value.get(name) for name in TITLES) if isinstance(value, dict) else ()
    return next((name for name in found if isinstance(name, str) and 0 < len(name) <= LONG), "")


def _is_short(value: Any) -> bool:
    return not isinstance(value, (dict, list)) and len(str(value)) <= LONG and "\n" not in str(value)


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
