"""Compare the lake with a generation: what catching up must converge, and what verification finds wrong. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.index.schema import IndexedChunk
from shared.lake.model import LakeDocument
from shared.sync import is_whole

SHOWN = 50  # paths listed in a report; the counts are complete


@dataclass(frozen=True, slots=True)
class Difference:
    """How a generation differs from the lake, by path. All empty: the generation is true to the lake."""

    missing: tuple[str, ...] = ()  # in the lake, not in the index
    stale: tuple[str, ...] = ()  # another version, or a set of chunks that is not whole
    extra: tuple[str, ...] = ()  # in the index, not in the lake
    quarantined: tuple[str, ...] = ()  # known to be unreadable at this version: not a fault of the index

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that converging can mend."""
        return tuple(sorted({*self.missing, *self.stale, *self.extra}))

    def summary(self) -> dict[str, object]:
        """Return counts and the first paths of each kind, for a report."""
        kinds = {"missing": self.missing, "stale": self.stale, "extra": self.extra, "quarantined": self.quarantined}
        return {kind: {"count": len(paths), "paths": list(paths[:SHOWN])} for kind, paths in kinds.items()}


def by_path(chunks: Iterable[IndexedChunk]) -> dict[str, tuple[IndexedChunk, ...]]:
    """Group chunks by the path of their document."""
    found: dict[str, list[IndexedChunk]] = {}
    for chunk in chunks:
        found.setdefault(chunk.path, []).append(chunk)
    return {path: tuple(group) for path, group in found.items()}


def compare(
    lake: Mapping[str, LakeDocument],
    indexed: Mapping[str, tuple[IndexedChunk, ...]],
    unreadable: Mapping[str, str],
    pipeline: str,
) -> Difference:
    """Return how the index differs from the lake. `unreadable` gives path -> etag of the quarantined versions.

    An unreadable version is expected to be absent, or to have left an earlier version's chunks in place.
    """
    missing, stale, quarantined = [], [], []
    for path, document in lake.items():
        chunks = indexed.get(path, ())
        if is_whole(chunks, document.etag, pipeline):
            continue
        if unreadable.get(path) == document.etag:
            quarantined.append(path)
        elif chunks:
            stale.append(path)
        else:
            missing.append(path)
    extra = sorted(path for path in indexed if path not in lake)
    return Difference(tuple(sorted(missing)), tuple(sorted(stale)), tuple(extra), tuple(sorted(quarantined)))
