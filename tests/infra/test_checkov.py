"""checkov: no finding beyond the committed skips, no file that it could not parse, no skip without a reason."""

import re
import shutil
from pathlib import Path

from tests.infra.checkov import scan
from tests.infra.evaluate import INFRA

CONFIG = INFRA / ".checkov.yaml"


def test_checkov_passes_and_reads_every_file() -> None:
    """Nothing fails, nothing is unreadable, no check broke down; and there was something to check."""
    found = scan(INFRA, CONFIG)
    assert (found.failed, found.parsing_errors, found.errors) == ((), 0, "")
    assert found.passed > 30


def test_every_skip_has_its_reason() -> None:
    """A check is left out with a sentence that says why, never silently."""
    lines = re.findall(r"^  - (\w+)(.*)$", CONFIG.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) > 5
    assert [name for name, reason in lines if len(reason) < 30] == []


def test_a_broken_template_is_found(tmp_path: Path) -> None:
    """A shared key, a missing bracket: checkov fails the one and counts the other as unreadable."""
    for name in ("host-storage.bicep", "identity.bicep", "roles.json"):
        shutil.copy(INFRA / name, tmp_path / name)
    storage = tmp_path / "host-storage.bicep"
    storage.write_text(storage.read_text(encoding="utf-8").replace("'TLS1_2'", "'TLS1_0'"), encoding="utf-8")
    identity = tmp_path / "identity.bicep"
    identity.write_text(
        identity.read_text(encoding="utf-8").replace("location: location", "location: {"), encoding="utf-8"
    )
    found = scan(tmp_path, CONFIG)
    assert any("CKV_AZURE_44" in fault for fault in found.failed)
    assert found.parsing_errors == 1
