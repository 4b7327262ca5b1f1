"""What operators measure: one record in the log for each event, whatever it ended with."""

import logging
from typing import Any

import pytest

from shared.telemetry import rebuilt


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (
            {"id": "1", "status": "completed", "documents": {"added": 3, "kept": 1}, "chunks": {"added": 40}},
            "status=completed source=- documents=4 chunks=40",
        ),
        (
            {"id": "1", "status": "cancelled", "documents": 9, "documents_done": 2, "chunks": None, "chunks_done": 30},
            "status=cancelled source=- documents=2 chunks=30",
        ),
        ({"id": "1", "status": "failed", "documents": None}, "status=failed source=- documents=0 chunks=0"),
    ],
)
def test_every_end_of_a_rebuild_is_recorded(
    caplog: pytest.LogCaptureFixture, report: dict[str, Any], said: str
) -> None:
    """A report has counts; a rebuild cancelled on its way has its progress; one that failed early has neither."""
    with caplog.at_level(logging.INFO):
        rebuilt(report)
    assert said in caplog.text
