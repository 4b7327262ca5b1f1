"""`make bench-history`: what real edits cost, by the app's own chunker and reuse, over chunk sizes.

Replays the edit history of a documentation lake (121 versions) through extraction and chunking in `shared/documents`.
A chunk is embedded when the version before had none with the same breadcrumb and text: what `shared/sync.py` asks the
model for. No service is called: this counts text, not time.

    re-embedded / changed = characters of chunks embedded for edited documents
                            / characters of their new lines that are not among their old ones

Two counts of the first: the chunks' own text, as the other pipelines' figures are counted, and all that is sent to the
model, which is the breadcrumb of headings and the text.
"""

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import DATA, note, table, write
from shared.documents import (
    Chunk,
    ChunkLimits,
    Document,
    chunk_document,
    chunk_sha256,
    count_tokens,
    embedding_input,
    read_document,
)
from shared.errors import UnreadableDocument

HISTORY = DATA / "history" / "well-architected.jsonl.gz"
CURVE = (100, 130, 150, 200, 250, 300, 400)  # CHUNK_TARGET_TOKENS
MOST = 400  # CHUNK_MAX_TOKENS
MARK = {"pipeline": "LangChain index(), scoped_full, Markdown headers + recursive", "ratio": 1.84, "characters": 675}


@dataclass(frozen=True, slots=True)
class Edit:
    """A document's text before and after one change; `before` is None for a new one, `after` for a deleted one."""

    path: str
    before: str | None
    after: str | None


@dataclass(slots=True)
class Cost:
    """What a replay took: edited documents, characters and tokens embedded for them, characters that changed."""

    edits: int = 0
    embedded: int = 0
    sent: int = 0
    embedded_tokens: int = 0
    reused_tokens: int = 0
    changed: int = 0
    unreadable: int = 0
    final_chunks: int = 0
    final_characters: int = 0
    final_sent: int = 0

    def figures(self, target: int) -> dict[str, Any]:
        """Return the figures as the results file has them."""
        return {
            "chunk_target_tokens": target,
            "chunk_max_tokens": max(target, MOST),
            "reembedded_over_changed": self.embedded / self.changed,
            "mean_chunk_characters": self.final_characters / self.final_chunks,
            "sent_over_changed": self.sent / self.changed,
            "mean_sent_characters": self.final_sent / self.final_chunks,
            "edits": self.edits,
            "embedded_tokens": self.embedded_tokens,
            "reused_tokens": self.reused_tokens,
            "changed_characters": self.changed,
            "unreadable": self.unreadable,
        }


def edits(file: Path, sets: int | None) -> Iterator[Edit]:
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


def changed_characters(before: str, after: str) -> int:
    """Return the characters of the lines of `after` that are not among those of `before`, repeats counted."""
    fresh = Counter(after.splitlines()) - Counter(before.splitlines())
    return sum(len(line) * count for line, count in fresh.items())


def read(path: str, text: str) -> Document | None:
    """Return the document as the app reads it, or None when it would be quarantined."""
    try:
        return read_document(path, text.encode())
    except UnreadableDocument:
        return None


def replay(file: Path, targets: Sequence[int], sets: int | None) -> dict[int, Cost]:
    """Replay the history once for all chunk sizes; returns the cost of each."""
    costs = {target: Cost() for target in targets}
    held: dict[int, dict[str, dict[str, Chunk]]] = {target: {} for target in targets}
    for number, edit in enumerate(edits(file, sets)):
        if number % 200 == 0:
            note(f"change {number}")
        document = read(edit.path, edit.after) if edit.after is not None else None
        for target, cost in costs.items():
            if edit.after is None:
                held[target].pop(edit.path, None)
            elif document is None:
                cost.unreadable += 1  # its earlier chunks stay
            else:
                chunks = chunk_document(document, ChunkLimits(target, max(target, MOST)), count_tokens)
                now = {chunk_sha256(chunk): chunk for chunk in chunks}
                if edit.before is not None and edit.before != edit.after:
                    charge(cost, edit, held[target].get(edit.path, {}), now)
                held[target][edit.path] = now
    for target, cost in costs.items():
        final = [chunk for chunks_of in held[target].values() for chunk in chunks_of.values()]
        cost.final_chunks = len(final)
        cost.final_characters = sum(len(chunk.text) for chunk in final)
        cost.final_sent = sum(len(embedding_input(chunk)) for chunk in final)
    return costs


def charge(cost: Cost, edit: Edit, had: dict[str, Chunk], now: dict[str, Chunk]) -> None:
    """Add one edit: what it embeds, what it reuses, what changed in it."""
    assert edit.before is not None and edit.after is not None
    fresh = [chunk for digest, chunk in now.items() if digest not in had]
    sent = [embedding_input(chunk) for chunk in fresh]
    kept = [embedding_input(chunk) for digest, chunk in now.items() if digest in had]
    cost.edits += 1
    cost.embedded += sum(len(chunk.text) for chunk in fresh)
    cost.sent += sum(map(len, sent))
    cost.embedded_tokens += sum(map(count_tokens, sent))
    cost.reused_tokens += sum(map(count_tokens, kept))
    cost.changed += changed_characters(edit.before, edit.after)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench.history", description="what real edits cost")
    parser.add_argument("--quick", action="store_true", help="20 change sets in place of 120")
    parser.add_argument("--targets", type=int, nargs="+", default=list(CURVE), help="CHUNK_TARGET_TOKENS to measure")
    options = parser.parse_args()
    if not HISTORY.is_file():
        print(f"bench.history: {HISTORY} is missing; it is part of the project's shared data", file=sys.stderr)
        return 2
    costs = replay(HISTORY, options.targets, 20 if options.quick else None)
    curve = [cost.figures(target) for target, cost in costs.items()]
    names = (
        "reembedded_over_changed",
        "mean_chunk_characters",
        "sent_over_changed",
        "mean_sent_characters",
        "embedded_tokens",
        "reused_tokens",
    )
    table(
        "Cost of an edit (counted from texts; no service is called, peers are not run)",
        (
            "TARGET_TOKENS",
            "re-embedded/changed",
            "mean chunk",
            "sent/changed",
            "mean sent",
            "embedded",
            "reused tokens",
        ),
        [(str(row["chunk_target_tokens"]), *(row[name] for name in names)) for row in curve],
    )
    print(f"\nThe mark, measured earlier: {MARK['pipeline']}: {MARK['ratio']} at {MARK['characters']} characters.")
    write("history", {"quick": options.quick, "mark_measured_earlier": MARK, "curve": curve}, ("quicktok-v1",))
    return 0


if __name__ == "__main__":
    sys.exit(main())
