"""Facets: how many documents have which value, or a value in which range. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from local.search_service.fields import Field, comparable, value_at, written
from local.search_service.request import Facet
from local.search_service.schema import IndexSchema

Bucket = dict[str, Any]


def count_facet(schema: IndexSchema, facet: Facet, documents: Iterable[Mapping[str, Any]]) -> list[Bucket]:
    """Return a facet's buckets. A document counts once in each bucket that one of its values falls into."""
    field = schema.fields[facet.field]
    counts: Counter[Any] = Counter()
    for body in documents:
        counts.update({_bucket(field, facet, value) for value in _values(field, body)})
    if facet.values:
        return _ranges(field, facet, counts)
    by_value = sorted(counts.items(), key=lambda item: item[0], reverse=facet.sort == "-value")
    if facet.interval is None and facet.sort in ("count", "-count"):
        by_value.sort(key=lambda item: item[1], reverse=facet.sort == "count")
    most = len(by_value) if facet.interval is not None else facet.count
    return [{"count": count, "value": _shown(field, value)} for value, count in by_value[:most]]


def _values(field: Field, body: Mapping[str, Any]) -> list[Any]:
    found = value_at(body, field.parts)
    items = found if isinstance(found, list) else [] if found is None else [found]
    return [comparable(field, item) for item in items]


def _bucket(field: Field, facet: Facet, value: Any) -> Any:
    """Return what a value is counted under: itself, the start of its interval, or the number of its range."""
    if facet.values:
        return sum(1 for bound in facet.values if value >= bound)
    if facet.interval is None:
        return value
    if isinstance(value, datetime):
        return _start(value, str(facet.interval))
    width = float(facet.interval)
    start = math.floor(value / width) * width
    return int(start) if field.type in ("Edm.Int32", "Edm.Int64") else start


def _start(moment: datetime, unit: str) -> datetime:
    """Return the start of the minute, hour, day, month, quarter or year that a moment lies in."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {
        "minute": moment.replace(second=0, microsecond=0),
        "hour": moment.replace(minute=0, second=0, microsecond=0),
        "day": day,
        "month": day.replace(day=1),
        "quarter": day.replace(day=1, month=moment.month - (moment.month - 1) % 3),
        "year": day.replace(day=1, month=1),
    }
    return starts[unit]


def _ranges(field: Field, facet: Facet, counts: Mapping[int, int]) -> list[Bucket]:
    """Return one bucket for every range between the given bounds, empty ones too."""
    buckets: list[Bucket] = []
    for number in range(len(facet.values) + 1):
        bucket: Bucket = {"count": counts.get(number, 0)}
        if number > 0:
            bucket["from"] = _shown(field, facet.values[number - 1])
        if number < len(facet.values):
            bucket["to"] = _shown(field, facet.values[number])
        buckets.append(bucket)
    return buckets


def _shown(field: Field, value: Any) -> Any:
    return written(value) if isinstance(value, datetime) else value
