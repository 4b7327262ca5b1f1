"""`python -m local.settings_files`: bring docs/settings.md, the sample and infra/ up to date with the settings."""

import json
import re
import sys
from pathlib import Path

from shared.settings import SETTINGS

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "settings.md"
SAMPLE = ROOT / "local.settings.sample.json"
DEFAULTS = ROOT / "infra" / "settings-defaults.json"
HEAD = "| name | default | meaning |\n|---|---|---|\n"


def table() -> str:
    """Return the rows of the table in docs/settings.md."""
    shown = {None: "required", "": "empty"}
    return "".join(
        f"| `{row.name}` | {shown.get(row.default, f'`{row.default}`')} | {row.meaning} |\n" for row in SETTINGS
    )


def sample(values: dict[str, str]) -> dict[str, str]:
    """Return the sample's values in the table's order: what is there stays, what is new gets its default."""
    names = [row.name for row in SETTINGS]
    kept = {name: value for name, value in values.items() if name not in names}
    required = {row.name: values[row.name] for row in SETTINGS if row.default is None and row.name in values}
    others = {row.name: row.default or values.get(row.name, "") for row in SETTINGS if row.default is not None}
    return {**kept, **required, **others}


def defaults() -> dict[str, str]:
    """Return the settings that have a default; empty ones (keys, identities) are left to the infrastructure."""
    return {row.name: row.default for row in SETTINGS if row.default}


def main() -> int:
    """Write the files; returns the exit code."""
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(re.sub(re.escape(HEAD) + r"(?:\|.*\n)+", lambda _: HEAD + table(), text), encoding="utf-8")
    whole = json.loads(SAMPLE.read_text(encoding="utf-8"))
    whole["Values"] = sample(whole["Values"])
    SAMPLE.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    DEFAULTS.write_text(json.dumps(defaults(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
