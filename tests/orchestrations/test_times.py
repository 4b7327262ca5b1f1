"""The times that a rebuild shows."""

from datetime import datetime

from orchestrations.progress import Progress


def test_times_say_that_they_are_in_utc() -> None:
    """An orchestrator's clock names no zone; whoever reads the times elsewhere would take them for their own."""
    start, end = datetime(2026, 11, 26, 23, 14), datetime(2026, 11, 26, 23, 15)
    progress = Progress("1", {"reason": "", "source": "primary"}, start.isoformat(), start.isoformat())
    assert progress.status(end)["started"] == "2026-11-26T23:14:00+00:00"
    report = progress.report("completed", end)
    assert (report["started"], report["finished"]) == ("2026-11-26T23:14:00+00:00", "2026-11-26T23:15:00+00:00")
