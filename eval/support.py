"""The check of markers against labelled pairs of a sentence and a passage: how often it is right, and its weights anew.

Each line of `support_pairs.jsonl` gives a passage of the sample lake (the one that has `quote`), a sentence that it
supports and one that it contradicts. The third pair is made: the supported sentence with the passage nearest to it that
is not its own, which is the mistake that a model makes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.chat import support
from shared.chat.support import Evidence, evidence
from shared.clients import Services
from shared.index.schema import IndexedChunk

KINDS = ("supported", "swapped", "contradicted")
RIDGE = 0.3  # keeps weights of rare features small
STEPS = 50  # of Newton's method; it has long converged by then


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence and a passage, and whether the one supports the other; `fold` is 0 for fitting and 1 for judging."""

    sentence: str
    kind: str
    found: Evidence
    cosine: float
    fold: int

    @property
    def probability(self) -> float:
        """What the check says."""
        return self.found.probability(self.cosine)

    def features(self) -> list[float]:
        """Return what the check decides on, a constant first."""
        one = self.found
        return [1.0, one.coverage, self.cosine, min(2, one.missing), min(2, one.misplaced), one.denied, one.opposed]


async def load_pairs(made: Services, items: Sequence[dict[str, Any]]) -> list[Pair]:
    """Return the pairs of the lines of a file, three for each."""
    generation = await made.generations.require_live()
    chunks = [chunk async for chunk in made.indexer.chunks(generation).all()]
    vectors = await made.embedder.embed([f"{chunk.heading}\n{chunk.content}" for chunk in chunks])
    pairs: list[Pair] = []
    for number, item in enumerate(items):
        own = next(at for at, chunk in enumerate(chunks) if _holds(chunk, item["path"], item["quote"]))
        (wanted,) = await made.embedder.embed([item["supported"]])
        order = [int(at) for at in np.argsort(-(vectors @ wanted)) if not _says(chunks[int(at)], item, own, int(at))]
        for kind, sentence, at in (
            ("supported", item["supported"], own),
            ("contradicted", item["contradicted"], own),
            ("swapped", item["supported"], order[0]),
        ):
            pairs.append(await _pair(made, sentence, kind, chunks[at], number % 2))
    return pairs


def read_items(file: Path) -> list[dict[str, Any]]:
    """Return the objects in a JSONL file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _holds(chunk: IndexedChunk, path: str, quote: str) -> bool:
    return chunk.path == path and quote in chunk.content


def _says(chunk: IndexedChunk, item: dict[str, Any], own: int, at: int) -> bool:
    """Whether a chunk is the pair's own, or one that says the same elsewhere in the lake."""
    return at == own or any(chunk.path == path and quote in chunk.content for path, quote in item.get("also", []))


async def _pair(made: Services, sentence: str, kind: str, chunk: IndexedChunk, fold: int) -> Pair:
    found = evidence(sentence, chunk.content, f"{chunk.title} {chunk.name} {chunk.heading}")
    one, other = await made.embedder.embed([sentence, found.part or chunk.content])
    cosine = float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
    return Pair(sentence, kind, found, cosine, fold)


def judged(pairs: Sequence[Pair], bound: float = support.SUPPORTED) -> dict[str, Any]:
    """Return precision and recall of "supported", and the share of each kind that the check lets pass."""
    passed = [pair for pair in pairs if pair.probability >= bound]
    right = sum(pair.kind == "supported" for pair in passed)
    kinds = {kind: [pair for pair in pairs if pair.kind == kind] for kind in KINDS}
    swaps = [pair for pair in passed if pair.kind != "contradicted"]
    return {
        "pairs": len(pairs),
        "precision": round(right / max(1, len(passed)), 4),
        "recall": round(right / max(1, len(kinds["supported"])), 4),
        "precision_against_swapped": round(right / max(1, len(swaps)), 4),
        **{
            f"passed_{kind}": round(sum(pair in passed for pair in own) / max(1, len(own)), 4)
            for kind, own in kinds.items()
        },
    }


def fit(pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Return the weights of a logistic regression over the pairs that are for fitting, in the order of the features."""
    chosen = [pair for pair in pairs if pair.fold == 0]
    matrix = np.array([pair.features() for pair in chosen], dtype=np.float64)
    wanted = np.array([pair.kind == "supported" for pair in chosen], dtype=np.float64)
    weights = np.zeros(matrix.shape[1])
    ridge = RIDGE * np.diag([0.0, *[1.0] * (matrix.shape[1] - 1)])
    for _ in range(STEPS):
        likely = 1 / (1 + np.exp(-matrix @ weights))
        slope = matrix.T @ (likely - wanted) + ridge @ weights
        curve = (matrix * (likely * (1 - likely))[:, None]).T @ matrix + ridge
        weights -= np.linalg.solve(curve, slope)
    return weights
