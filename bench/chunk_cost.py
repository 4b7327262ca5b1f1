"""What edits cost by the app's own chunker and reuse, over chunk sizes: counted from texts, no service is called.

A chunk is embedded when the version before had none with the same breadcrumb and text: what `shared/sync.py` asks the
model for. Counted is all that is sent to the model, which is the breadcrumb of headings and the chunk's text, and
beside it the chunk's own text alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.edits import Edit
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

MOST = 400  # CHUNK_MAX_TOKENS


@dataclass(slots=True)
class Cost:
    """What a replay took for edited documents, and the chunks that it ended with."""

    sent: int = 0
    text: int = 0
    embedded_tokens: int = 0
    reused_tokens: int = 0
    changed: int = 0
    chunks: int = 0
    chunks_sent: int = 0
    chunks_text: int = 0

    def figures(self, target: int) -> dict[str, Any]:
        """Return the figures as the results file has them."""
        return {
            "chunk_target_tokens": target,
            "reembedded_over_changed": self.sent / self.changed,
            "mean_chunk_characters": self.chunks_sent / self.chunks,
            "text_over_changed": self.text / self.changed,
            "mean_text_characters": self.chunks_text / self.chunks,
            "embedded_tokens": self.embedded_tokens,
            "reused_tokens": self.reused_tokens,
        }


def curve(history: Iterable[Edit], targets: Sequence[int]) -> list[dict[str, Any]]:
    """Replay the history once for all chunk sizes; returns the figures of each."""
    costs = {target: Cost() for target in targets}
    held: dict[int, dict[str, dict[str, Chunk]]] = {target: {} for target in targets}
    for edit in history:
        document = _read(edit) if edit.after is not None else None
        for target, cost in costs.items():
            if edit.after is None:
                held[target].pop(edit.path, None)
            elif document is not None:  # of an unreadable version the earlier chunks stay
                chunks = chunk_document(document, ChunkLimits(target, max(target, MOST)), count_tokens)
                now = {chunk_sha256(chunk): chunk for chunk in chunks}
                if edit.is_edit:
                    _charge(cost, held[target].get(edit.path, {}), now)
                    cost.changed += edit.changed
                held[target][edit.path] = now
    for target, cost in costs.items():
        final = [chunk for chunks_of in held[target].values() for chunk in chunks_of.values()]
        cost.chunks = len(final)
        cost.chunks_text = sum(len(chunk.text) for chunk in final)
        cost.chunks_sent = sum(len(embedding_input(chunk)) for chunk in final)
    return [cost.figures(target) for target, cost in costs.items()]


def _read(edit: Edit) -> Document | None:
    try:
        return read_document(edit.path, (edit.after or "").encode())
    except UnreadableDocument:
        return None


def _charge(cost: Cost, had: dict[str, Chunk], now: dict[str, Chunk]) -> None:
    fresh = [chunk for digest, chunk in now.items() if digest not in had]
    cost.text += sum(len(chunk.text) for chunk in fresh)
    cost.sent += sum(len(embedding_input(chunk)) for chunk in fresh)
    cost.embedded_tokens += sum(count_tokens(embedding_input(chunk)) for chunk in fresh)
    cost.reused_tokens += sum(count_tokens(embedding_input(chunk)) for digest, chunk in now.items() if digest in had)
