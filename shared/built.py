"""What a generation was built by: whether this app's documents and questions belong into it.

A release with another schema, chunking or embedding model is another pipeline. The generation that answers is then
another pipeline's until a rebuild has made one of this pipeline, and it must not become a mixture: its chunks say who
wrote them, so that nothing kept beside the index can disagree with it.
"""

import time
from collections.abc import Callable

from azure.core.exceptions import AzureError

from shared.index.chunks import Chunks
from shared.index.generations import Generations
from shared.state import RegionalState

LOOK_SECONDS = 30.0  # a question need not ask again what the one before has found


def verified_name(generation: str) -> str:
    """Return where it is noted that a generation was verified, which alone may answer, and what made its vectors."""
    return f"generations/{generation}.json"


class Built:
    """Tells generations of this pipeline from those of another one. `vectors` names what makes this one's vectors."""

    def __init__(
        self,
        pipeline: str,
        vectors: str,
        generations: Generations,
        chunks_of: Callable[[str], Chunks],
        state: RegionalState,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pipeline = pipeline
        self._vectors = vectors
        self._generations = generations
        self._chunks_of = chunks_of
        self._state = state
        self._clock = clock
        self._known: dict[str, tuple[float, bool]] = {}

    async def rebuild_needed(self) -> str:
        """Return why the index has to be rebuilt, or "" where this pipeline has built what answers, or nothing does."""
        live = await self._generations.live()
        other = live and await self._chunks_of(live).other_pipeline(self._pipeline)
        if not other:
            return ""
        return (
            f"rebuild needed: the index {live} was built by another pipeline ({other}; this app's is "
            f"{self._pipeline}). It answers and follows deletions and groups, but takes up no new content until "
            "POST /api/recovery/rebuild has built one of this pipeline"
        )

    async def comparable(self, generation: str) -> bool:
        """Whether questions can be compared with a generation's vectors: whether the same model has made both."""
        until, known = self._known.get(generation, (0.0, False))
        if self._clock() >= until:
            known = await self._look(generation)
            self._known = {generation: (self._clock() + LOOK_SECONDS, known)}
        return known

    async def _look(self, generation: str) -> bool:
        if await self._chunks_of(generation).other_pipeline(self._pipeline) is None:
            return True
        try:
            note = await self._state.read(verified_name(generation))
        except AzureError:
            note = None  # what is not known is not compared
        return note is not None and note.get("vectors") == self._vectors
