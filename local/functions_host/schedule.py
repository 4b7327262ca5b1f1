"""When a timer fires: NCRONTAB expressions of six fields (five: at second 0), or a time span between two firings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from local.functions_host.config import timespan
from local.functions_host.model import HostError

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS = (  # name, first, last, names of the values
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 0, 6, DAYS),
)
YEARS = 5  # an expression that never comes true within these (30 February) is refused


@dataclass(frozen=True, slots=True)
class Interval:
    """Fires again some time after it fired."""

    seconds: float

    def after(self, moment: datetime) -> datetime:
        """Return the next time after a moment."""
        return moment + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Cron:
    """Fires at times that match all fields."""

    fields: tuple[frozenset[int], ...]
    zone: tzinfo

    def after(self, moment: datetime) -> datetime:
        """Return the first matching time after a moment. Raises ValueError when none comes within five years."""
        seconds, minutes, hours, days, months, weekdays = self.fields
        current = moment.astimezone(self.zone).replace(microsecond=0) + timedelta(seconds=1)
        last = current.year + YEARS
        while current.year <= last:
            if current.month not in months or current.day not in days or current.isoweekday() % 7 not in weekdays:
                current = (current + timedelta(days=1)).replace(hour=0, minute=0, second=0)
            elif current.hour not in hours:
                current = (current + timedelta(hours=1)).replace(minute=0, second=0)
            elif current.minute not in minutes:
                current = (current + timedelta(minutes=1)).replace(second=0)
            elif current.second not in seconds:
                current += timedelta(seconds=1)
            else:
                return current.astimezone(moment.tzinfo)
        raise ValueError(f"the schedule does not come true before {last}")


type Schedule = Interval | Cron


def parse_schedule(text: str, environ: Mapping[str, str], where: str) -> Schedule:
    """Parse a timer's schedule. Raises HostError naming `where`."""
    fields = text.split()
    try:
        if len(fields) == 1:
            seconds = timespan(text)
            if seconds <= 0:
                raise ValueError(f"{text!r} is not a positive time span")
            return Interval(seconds)
        if len(fields) == 5:
            fields = ["0", *fields]
        if len(fields) != 6:
            raise ValueError(f"{text!r} has {len(fields)} fields; six are needed")
        parsed = tuple(_field(field, *about) for field, about in zip(fields, FIELDS, strict=True))
        zone = ZoneInfo(environ.get("WEBSITE_TIME_ZONE") or "UTC")
        return Cron(parsed, zone)
    except ZoneInfoNotFoundError:
        raise HostError(f"{where}: WEBSITE_TIME_ZONE is {environ.get('WEBSITE_TIME_ZONE')!r}, no known zone") from None
    except ValueError as fault:
        raise HostError(f"{where}: the timer's schedule is wrong: {fault}") from None


def _field(text: str, name: str, first: int, last: int, names: tuple[str, ...]) -> frozenset[int]:
    values: set[int] = set()
    for part in text.lower().split(","):
        span, slash, step_text = part.partition("/")
        step = int(step_text) if slash else 1
        if step < 1:
            raise ValueError(f"the step in {part!r} ({name}) must be at least 1")
        low, dash, high = span.partition("-")
        if span in ("*", "?"):
            begin, end = first, last
        else:
            begin = _value(low, name, first, last, names)
            end = _value(high, name, first, last, names) if dash else (last if slash else begin)
        if end < begin:
            raise ValueError(f"{part!r} ({name}) runs backwards")
        values.update(range(begin, end + 1, step))
    return frozenset(values)


def _value(text: str, name: str, first: int, last: int, names: tuple[str, ...]) -> int:
    short = text[:3]
    if short in names:
        return first + names.index(short)
    number = int(text) if text.isdigit() else -1
    if number == 7 and names is DAYS:
        return 0
    if not first <= number <= last:
        raise ValueError(f"{text!r} is no {name} ({first}-{last})")
    return number
