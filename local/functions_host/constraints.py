"""ASP.NET's inline route constraints."""

import re
import uuid
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation

from local.functions_host.model import HostError

CONSTRAINT = re.compile(r"(?P<name>[a-z]+)(?:\((?P<arguments>.*)\))?", re.IGNORECASE | re.DOTALL)
DATE_FORMATS = ("%m/%d/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m-%d-%Y")
type Check = Callable[[str], bool]


def parse_constraint(text: str, where: str) -> Check:
    """Return the check that a constraint such as `int` or `length(2,5)` means. Raises HostError."""
    found = CONSTRAINT.fullmatch(text.strip())
    if not found:
        raise HostError(f"{where}: the route constraint {text!r} is malformed")
    name, arguments = found["name"].lower(), found["arguments"]
    if arguments is None and name in PLAIN:
        return PLAIN[name]
    if arguments is not None and name == "regex":
        pattern = re.compile(arguments.replace("{{", "{").replace("}}", "}").replace("\\\\", "\\"), re.IGNORECASE)
        return lambda value: pattern.search(value) is not None
    if arguments is not None and name in NUMERIC:
        try:
            numbers = [int(argument) for argument in arguments.split(",")]
            return NUMERIC[name](*numbers)
        except (ValueError, TypeError):
            raise HostError(f"{where}: the arguments of the route constraint {text!r} are wrong") from None
    raise HostError(f"{where}: the route constraint {text!r} is unknown")


def _integer(bits: int) -> Check:
    limit = 1 << (bits - 1)

    def check(value: str) -> bool:
        return re.fullmatch(r"[+-]?[0-9]+", value.strip()) is not None and -limit <= int(value) < limit

    return check


def _guid(value: str) -> bool:
    if not re.fullmatch(r"[0-9a-fA-F-]{32,36}|[{(][0-9a-fA-F-]{36}[)}]", value):
        return False
    try:
        uuid.UUID(value.strip("{}()"))
    except ValueError:
        return False
    return True


def _datetime(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return any(_parses(value, form) for form in DATE_FORMATS)
    return True


def _parses(value: str, form: str) -> bool:
    try:
        datetime.strptime(value, form)
    except ValueError:
        return False
    return True


def _decimal(value: str) -> bool:
    try:
        return Decimal(value.replace(",", "")).is_finite()
    except InvalidOperation:
        return False


def _float(value: str) -> bool:
    try:
        float(value.replace(",", ""))
    except ValueError:
        return False
    return True


def _length(least: int, most: int | None = None) -> Check:
    return lambda value: least <= len(value) <= (least if most is None else most)


def _bounded(least: int | None, most: int | None) -> Check:
    whole = _integer(64)

    def check(value: str) -> bool:
        return whole(value) and (least is None or int(value) >= least) and (most is None or int(value) <= most)

    return check


PLAIN: dict[str, Check] = {
    "int": _integer(32),
    "long": _integer(64),
    "bool": lambda value: value.strip().lower() in ("true", "false"),
    "guid": _guid,
    "alpha": lambda value: re.fullmatch(r"[a-zA-Z]*", value) is not None,
    "datetime": _datetime,
    "decimal": _decimal,
    "double": _float,
    "float": _float,
    "required": lambda value: bool(value),
}
NUMERIC: dict[str, Callable[..., Check]] = {
    "length": _length,
    "minlength": lambda least: lambda value: len(value) >= least,
    "maxlength": lambda most: lambda value: len(value) <= most,
    "min": lambda least: _bounded(least, None),
    "max": lambda most: _bounded(None, most),
    "range": lambda least, most: _bounded(least, most),
}
