"""What one region on one machine consists of."""

import dataclasses
from pathlib import Path

from local.region import ModelChoice, new_region


def test_only_a_region_that_was_asked_for_faults_says_where_they_are_set(tmp_path: Path) -> None:
    """Search, lake and model take rules then, each at its own port; a model that is elsewhere takes none."""
    region = new_region("local", tmp_path, 7071, ModelChoice(), "[]")
    assert region.fault_addresses() == {}
    failing = dataclasses.replace(region, faults=True)
    assert failing.fault_addresses() == {
        "search": f"http://127.0.0.1:{region.search_port}/-/faults",
        "lake": f"http://127.0.0.1:{region.lake_port}/-/faults",
        "model": f"http://127.0.0.1:{region.model_port}/-/faults",
    }
    elsewhere = dataclasses.replace(failing, model=ModelChoice(endpoint="http://127.0.0.1:1/v1"))
    assert list(elsewhere.fault_addresses()) == ["search", "lake"]
