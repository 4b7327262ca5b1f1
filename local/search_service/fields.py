"""Fields and the values that documents have in them. A field below a complex one is named by its path. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

import numpy as np

from local.search_service.errors import ServiceError, bad_request

COMPLEX = "Edm.ComplexType"
POINT = "Edm.GeographyPoint"
NUMBERS = frozenset({"Edm.Int32", "Edm.Int64", "Edm.Double", "Edm.Single"})
SCALARS = frozenset({"Edm.String", "Edm.Boolean", "Edm.DateTimeOffset", POINT, *NUMBERS})
VECTOR_ELEMENTS = frozenset({"Edm.Single", "Edm.Half", "Edm.Int16", "Edm.SByte", "Edm.Byte"})

Vector = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `name` is its path (`address/city`), `type` the element's type; a vector is a collection with
    `dimensions`. `many` says whether a document may have several values: a collection, or below one.
    """

    name: str
    type: str
    collection: bool
    many: bool
    key: bool
    searchable: bool
    filterable: bool
    sortable: bool
    facetable: bool
    retrievable: bool
    stored: bool
    analyzer: str
    search_analyzer: str
    dimensions: int
    metric: str
    fields: tuple["Field", ...] = ()

    @property
    def is_vector(self) -> bool:
        """Whether the field holds a vector."""
        return self.dimensions > 0

    @property
    def is_complex(self) -> bool:
        """Whether the field has fields of its own."""
        return self.type == COMPLEX

    @property
    def parts(self) -> tuple[str, ...]:
        """The names from the document's root to the field."""
        return tuple(self.name.split("/"))

    @property
    def leaf(self) -> str:
        """The field's own name, without the path."""
        return self.parts[-1]

    @property
    def kind(self) -> str:
        """The type as definitions write it."""
        return f"Collection({self.type})" if self.collection else self.type


def check_text_field(fields: Mapping[str, Field], name: str, who: str) -> None:
    """Refuse a name that is not one of a searchable text field."""
    if name not in fields or not fields[name].searchable or fields[name].is_vector:
        raise bad_request(f"{who} names {name!r}, which is no searchable text field.", "InvalidIndex")


def value_at(value: Any, parts: Sequence[str]) -> Any:
    """Return what lies at a path of a document or a complex value: a value, or the list of values of a collection."""
    for position, part in enumerate(parts):
        if isinstance(value, list):
            return [found for item in value for found in _listed(value_at(item, parts[position:]))]
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def moment(text: str, zone: tzinfo | None = None) -> datetime:
    """Return a date as the service keeps it: in UTC, with whole milliseconds.

    Raises ValueError, also where the date has no offset and no `zone` is given for it.
    """
    value = datetime.fromisoformat(text)
    value = value if value.tzinfo else value.replace(tzinfo=zone)
    if value.tzinfo is None:
        raise ValueError("it has no offset")
    try:
        value = value.astimezone(UTC)
    except OverflowError as fault:
        raise ValueError(str(fault)) from None
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def written(value: datetime) -> str:
    """Return a moment in UTC as the service writes it: with `Z`, and a fraction only where it is not 0."""
    text = value.replace(tzinfo=None).isoformat()
    return f"{text.rstrip('0')}Z" if value.microsecond else f"{text}Z"


def comparable(field: Field, value: Any) -> Any:
    """Return a stored value in the form that compares: dates as moments."""
    if field.type == "Edm.DateTimeOffset" and isinstance(value, str):
        return datetime.fromisoformat(value)
    return value


def empty_value(field: Field) -> Any:
    """Return what a document has in a field that it was not given."""
    return [] if field.collection and not field.is_vector else None


def check_value(field: Field, value: Any, whole: bool) -> Any:
    """Return a document's value in its stored form; `whole` completes complex values. Raises a 400 naming the field."""
    if value is None:
        return empty_value(field)
    if field.is_vector:
        return _vector(field, value)
    if not field.collection:
        return _element(field, value, whole)
    if not isinstance(value, list) or any(item is None for item in value):
        raise _wrong(field, value)
    return [_element(field, item, True) for item in value]


def objects_in_collections(fields: Sequence[Field], body: Mapping[str, Any]) -> int:
    """Return how many complex values a document has in collections, at every level."""
    total = 0
    for field in fields:
        value = body.get(field.leaf) if field.is_complex else None
        items = value if isinstance(value, list) else [value] if value else []
        total += len(items) if field.collection else 0
        total += sum(objects_in_collections(field.fields, item) for item in items)
    return total


def merged(field: Field, before: Any, given: Any) -> Any:
    """Return a field's value after a merge: a single complex value is merged, everything else replaced."""
    if not field.is_complex or field.collection or before is None or given is None:
        return completed(field, given)
    inner = {child.leaf: child for child in field.fields}
    return {**before, **{name: merged(inner[name], before.get(name), value) for name, value in given.items()}}


def completed(field: Field, value: Any) -> Any:
    """Return a complex value with all of its fields."""
    if not field.is_complex or field.collection or value is None:
        return value
    return {child.leaf: completed(child, value.get(child.leaf, empty_value(child))) for child in field.fields}


def _element(field: Field, value: Any, whole: bool) -> Any:
    return _complex(field, value, whole) if field.is_complex else _scalar(field, value)


def _complex(field: Field, value: Any, whole: bool) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(field, value)
    inner = {child.leaf: child for child in field.fields}
    for name in value:
        if name not in inner:
            raise bad_request(
                f"The property '{name}' does not exist on type 'search.complex.{field.name}'.", "InvalidDocument"
            )
    given = {name: check_value(inner[name], item, whole) for name, item in value.items()}
    return {**{name: empty_value(child) for name, child in inner.items()}, **given} if whole else given


def _scalar(field: Field, value: Any) -> Any:
    kind = field.type
    if kind == "Edm.String" and isinstance(value, str):
        return value
    if kind == "Edm.Boolean" and isinstance(value, bool):
        return value
    if kind == POINT:
        return _point(field, value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in ("Edm.Int32", "Edm.Int64") and number and value == int(value):
        bound = 31 if kind == "Edm.Int32" else 63
        if -(2**bound) <= int(value) < 2**bound:
            return int(value)
    if kind in ("Edm.Double", "Edm.Single") and number:
        return float(value)
    if kind == "Edm.DateTimeOffset" and isinstance(value, str):
        return _moment(field, value)
    raise _wrong(field, value)


def _moment(field: Field, value: str) -> str:
    try:
        return written(moment(value))
    except ValueError:
        raise _wrong(field, value) from None


def _point(field: Field, value: Any) -> dict[str, Any]:
    """Check a GeoJSON point and return it with its coordinate system, as the service answers it."""
    coordinates = value.get("coordinates") if isinstance(value, Mapping) and value.get("type") == "Point" else None
    if (
        not isinstance(coordinates, list)
        or len(coordinates) != 2
        or not all(isinstance(number, int | float) and not isinstance(number, bool) for number in coordinates)
        or not (-180 <= coordinates[0] <= 180 and -90 <= coordinates[1] <= 90)
    ):
        raise _wrong(field, value)
    system = {"type": "name", "properties": {"name": "EPSG:4326"}}
    return {"type": "Point", "coordinates": coordinates, "crs": system}


def _vector(field: Field, value: Any) -> Vector:
    if not isinstance(value, list):
        raise _wrong(field, value)
    if len(value) != field.dimensions:
        raise bad_request(
            f"The vector field '{field.name}' has dimension {field.dimensions} but a vector of length {len(value)} was "
            "given.",
            "InvalidDocument",
        )
    try:
        vector = np.array(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        raise _wrong(field, value) from None
    # numpy takes texts, true and null for numbers; of the types only the numbers' own are meant.
    if vector.ndim != 1 or not np.isfinite(vector).all() or not {float, int}.issuperset(map(type, value)):
        raise _wrong(field, value)
    return vector


def _wrong(field: Field, value: Any) -> ServiceError:
    shown = str(value)[:60]
    return bad_request(
        f"Cannot convert the value {shown!r} of field '{field.name}' to {field.kind}.", "InvalidDocument"
    )
