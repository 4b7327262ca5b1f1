"""What a caller may narrow a question to: paths, tags, dates. Parsed strictly; an OData filter comes out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.access import quoted, under
from shared.body import no_unknown, shown
from shared.errors import BadRequest
from shared.index.schema import label

FIELDS = frozenset({"path", "tags", "after", "before"})
MOST_PATHS = 20
MOST_TAGS = 10
LONGEST = 1024  # characters of a path or tag: the longest name that a blob can have


@dataclass(frozen=True, slots=True)
class Filters:
    """Only passages of documents at one of `paths` or below it, that have all of `tags`, and that were written from
    `after` (inclusive) to `before` (exclusive), both in UTC.
    """

    paths: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    after: datetime | None = None
    before: datetime | None = None

    def odata(self) -> str:
        """Return the filter; "" when nothing is narrowed."""
        clauses: list[str] = []
        if self.paths:
            clauses.append("(" + " or ".join(_path_clause(path) for path in self.paths) + ")")
        clauses += [f"labels/any(l: l eq '{quoted(label(name, value))}')" for name, value in self.tags]
        if self.after:
            clauses.append(f"last_modified ge {_stamp(self.after)}")
        if self.before:
            clauses.append(f"last_modified lt {_stamp(self.before)}")
        return " and ".join(clauses)

    def shown(self) -> dict[str, Any]:
        """Return the filters as they are shown."""
        return {
            "path": list(self.paths),
            "tags": dict(self.tags),
            "after": self.after and _stamp(self.after),
            "before": self.before and _stamp(self.before),
        }


def parse_filters(value: Any) -> Filters:
    """Return the filters in a request's context. Raises BadRequest that names the value and the way out."""
    if value is None:
        return Filters()
    if not isinstance(value, dict):
        raise BadRequest(f"context.filters must be an object, not {shown(value)}")
    no_unknown(value, FIELDS, "context.filters")
    made = Filters(
        _paths(value.get("path")),
        _tags(value.get("tags")),
        _moment(value.get("after"), "after"),
        _moment(value.get("before"), "before"),
    )
    if made.after and made.before and made.after >= made.before:
        raise BadRequest("context.filters.after must be earlier than context.filters.before: nothing lies between")
    return made


def _path_clause(path: str) -> str:
    """Return the filter for a path: of a document, or of a folder, with or without "/" at its end."""
    below = f"({under(path if path.endswith('/') else path + '/')})"
    return below if path.endswith("/") else f"path eq '{quoted(path)}' or {below}"


def _paths(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not given or not all(_is_name(item) for item in given):
        raise BadRequest(
            f'context.filters.path must be a path, a folder such as "policies/", or a list of them, not {shown(value)}'
        )
    if len(given) > MOST_PATHS:
        raise BadRequest(f"context.filters.path has {len(given)} entries; at most {MOST_PATHS} are accepted")
    return tuple(dict.fromkeys(given))


def _tags(value: Any) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping) or not all(_is_name(one) for pair in value.items() for one in pair):
        raise BadRequest(f'context.filters.tags must be texts by name such as {{"team": "hr"}}, not {shown(value)}')
    if len(value) > MOST_TAGS:
        raise BadRequest(f"context.filters.tags has {len(value)} entries; at most {MOST_TAGS} are accepted")
    return tuple(sorted(value.items()))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST and value.isprintable()


def _moment(value: Any, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as fault:
        raise BadRequest(
            f'context.filters.{name} must be a date such as "2026-01-31" or "2026-01-31T08:00:00Z", not {shown(value)}'
        ) from fault


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
