"""Checks that several scenarios share."""

from typing import Any, cast

import pytest

from local.drill.drill import Drill, Options
from local.drill.proofs import GRACE_SECONDS, detect_check
from local.drill.record import Record
from shared.health import CACHE_SECONDS


@pytest.mark.parametrize(
    ("scale", "told", "most"),
    [(1.0, 0.0, 25.0), (0.2, 0.0, 5.0), (1.0, CACHE_SECONDS, 35.0), (0.2, CACHE_SECONDS, 15.0)],
)
def test_a_loss_that_is_detected_late_fails(scale: float, told: float, most: float) -> None:
    """Two probes that fail, the second one's timeout, and what a living host goes on telling; not a second longer."""
    for seconds, passed in ((most + GRACE_SECONDS - 0.1, True), (most + GRACE_SECONDS + 0.1, False)):
        record = Record(lambda said: None)
        record.phase("detect", 7.0, 7.0 + seconds)
        drill = Drill(Options(scale=scale), cast(Any, None), record, cast(Any, None))
        found = detect_check(drill, told)
        assert (found.name, found.passed) == ("the loss is detected in time", passed)
        assert f"{most:.0f} s at most" in found.says
