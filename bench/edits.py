"""The edit history of a real documentation lake: 230 documents, then 120 change sets."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.report import DATA

HISTORY = DATA / "history" / "well-architected.jsonl.gz"


@dataclass(frozen=True, slots=True)
class Edit:
    """A document's text before and after one change; `before` is None for a new one, `after` for a deleted one."""

    path: str
    before: str | None
    after: str | None

    @property
    def is_edit(self) -> bool:
        """Whether a document that was there has another text now."""
        return self.before is not None and self.after is not None and self.before != self.after

    @property
    def changed(self) -> int:
        """Characters of the new text's lines that are not among those of the old one, repeats counted."""
        if not self.is_edit:
            return 0
        fresh = Counter((self.after or "").splitlines()) - Counter((self.before or "").splitlines())
        return sum(len(line) * count for line, count in fresh.items())


def edits(sets: int | None = None, file: Path = HISTORY) -> Iterator[Edit]:
    """Yield the history's changes in order; `sets` bounds the change sets after the first load."""
    lake: dict[str, str] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if sets is not None and number > sets:
                return
            for change in json.loads(line)["ops"]:
                before, after = lake.get(change["path"]), change.get("text")
                yield Edit(change["path"], before, after)
                if after is None:
                    lake.pop(change["path"], None)
                else:
                    lake[change["path"]] = after
