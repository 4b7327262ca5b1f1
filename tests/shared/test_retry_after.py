"""What a service says of when to come again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from shared.retry_after import stated_wait

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"x-ms-retry-after-ms": "40"}, 0.04),
        ({"retry-after-ms": "12.5"}, 0.0125),
        ({"retry-after": "9"}, 9.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=20))}, 20.0),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=20))}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_what_the_service_states(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds go before seconds, a date is understood, and what cannot be read counts as nothing stated."""
    assert stated_wait(headers, NOW) == seconds
