"""Reading JSON that may be anything: each function returns what it says or raises a 400 that names the place. Pure."""

from collections.abc import Mapping
from typing import Any

from local.search_service.errors import bad_request


def a_text(value: Any, where: str) -> str:
    """Return a text, "" for null."""
    if value is not None and not isinstance(value, str):
        raise bad_request(f"'{where}' must be a text, not {value!r:.60}.")
    return value or ""


def a_switch(value: Any, where: str) -> bool:
    """Return a boolean, false for null."""
    if value is not None and not isinstance(value, bool):
        raise bad_request(f"'{where}' must be true or false, not {value!r:.60}.")
    return bool(value)


def an_object(value: Any, where: str) -> Mapping[str, Any]:
    """Return an object, an empty one for null."""
    if value is not None and not isinstance(value, Mapping):
        raise bad_request(f"'{where}' must be an object, not {value!r:.60}.")
    return value or {}


def a_list(value: Any, where: str) -> list[Any]:
    """Return a list, an empty one for null."""
    if value is not None and not isinstance(value, list):
        raise bad_request(f"'{where}' must be a list, not {value!r:.60}.")
    return value or []


def objects(value: Any, where: str) -> list[Mapping[str, Any]]:
    """Return a list of objects, an empty one for null."""
    return [an_object(item if item is not None else "null", where) for item in a_list(value, where)]


def only(value: Mapping[str, Any], known: frozenset[str], kind: str) -> None:
    """Refuse properties that an object of this kind has not; OData's annotations may be anywhere."""
    unknown = sorted(name for name in value if name not in known and not name.startswith("@odata."))
    if unknown:
        raise bad_request(f"The property '{unknown[0]:.60}' does not exist on type '{kind}'.")


def names(value: Any, where: str) -> list[str]:
    """Return a list of names, given as such or as one text with commas."""
    parts: Any = value.split(",") if isinstance(value, str) else a_list(value, where)
    return [part.strip() for part in (a_text(item, where) for item in parts) if part.strip()]
