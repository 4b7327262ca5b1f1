"""How long a service asks to wait before the same request is made again. Pure."""

import email.utils
from collections.abc import Mapping
from datetime import UTC, datetime

MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")


def stated_wait(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a reply asks to wait, None where it names no time: `retry-after-ms` (or Azure's older
    `x-ms-retry-after-ms`), else `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3).
    """
    for name in MILLISECONDS:
        milliseconds = headers.get(name, "").strip()
        if _is_number(milliseconds):
            return float(milliseconds) / 1000
    stated = headers.get("retry-after", "").strip()
    if _is_number(stated):
        return float(stated)
    try:
        then = email.utils.parsedate_to_datetime(stated)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()
