"""When timers fire."""

from datetime import UTC, datetime
from zoneinfo import available_timezones

import pytest

from local.functions_host.config import timespan
from local.functions_host.model import HostError
from local.functions_host.schedule import parse_schedule

FRIDAY = datetime(2026, 1, 30, 10, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/5 * * * * *", "2026-01-30T10:20:35"),
        ("0 */5 * * * *", "2026-01-30T10:25:00"),
        ("*/5 * * * *", "2026-01-30T10:25:00"),
        ("0 0 9-17 * * Mon-Fri", "2026-01-30T11:00:00"),
        ("0 30 9 * * 1-5", "2026-02-02T09:30:00"),
        ("0 0 0 1 Jan,March *", "2026-03-01T00:00:00"),
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
        ("0 0 0 * * 7", "2026-02-01T00:00:00"),
        ("0 10/20 10 * * *", "2026-01-30T10:30:00"),
        ("00:00:45", "2026-01-30T10:21:15"),
        ("1.00:00:00", "2026-01-31T10:20:30"),
    ],
)
def test_the_next_time(text: str, expected: str) -> None:
    """NCRONTAB of five or six fields, and time spans."""
    assert parse_schedule(text, {}, "test").after(FRIDAY) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.skipif("Europe/Berlin" not in available_timezones(), reason="the machine has no time zone data")
def test_a_time_zone_counts() -> None:
    """Nine in Berlin is eight in winter's UTC."""
    schedule = parse_schedule("0 0 9 * * *", {"WEBSITE_TIME_ZONE": "Europe/Berlin"}, "test")
    assert schedule.after(FRIDAY) == datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "1 2", "60 * * * * *", "* * * * * Foo", "5-2 * * * * *", "*/0 * * * * *", "25:xx", "00:00:00"]
)
def test_wrong_schedules_are_refused(text: str) -> None:
    """With the function's name."""
    with pytest.raises(HostError, match="test"):
        parse_schedule(text, {}, "test")


def test_time_spans() -> None:
    """As .NET writes them."""
    assert [timespan(text) for text in ("00:00:30", "01:02:03.5", "2.00:00:00", "-00:00:01")] == [
        30,
        3723.5,
        172800,
        -1,
    ]
