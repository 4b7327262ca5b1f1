"""Nearness in meaning: known while the embedding model answers, and never worth a failure or a wait."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from shared.chat.model import Budget
from shared.chat.nearness import Nearness
from shared.chat.support import UNKNOWN_COSINE
from shared.embeddings.record import Vectors


def test_it_is_the_cosine() -> None:
    """Lengths of vectors do not matter, also not that of none."""

    async def embed(texts: Sequence[str]) -> Vectors:
        return np.array([[2.0, 0.0], [3.0, 0.0], [0.0, 0.1], [0.0, 0.0]], dtype=np.float32)

    near = asyncio.run(Nearness(embed, Budget(60))("a", ["b", "c", "d"]))
    assert near == pytest.approx([1.0, 0.0, 0.0])


@pytest.mark.parametrize("hangs", [True, False])
def test_after_a_fault_words_decide(hangs: bool) -> None:
    """A model that fails, or has no answer while there is time, is not asked again in the same answer."""
    asked = []

    async def embed(texts: Sequence[str]) -> Vectors:
        asked.append(texts)
        if hangs:
            await asyncio.Event().wait()
        raise ValueError("vectors of another length")

    async def scenario() -> None:
        nearness = Nearness(embed, Budget(0.0 if hangs else 60))
        assert await nearness("a", ["b", "c"]) == [UNKNOWN_COSINE] * 2
        assert await nearness("d", ["e"]) == [UNKNOWN_COSINE]
        assert nearness.fault.endswith("TimeoutError" if hangs else "ValueError")
        assert len(asked) == 1

    asyncio.run(scenario())


def test_cancelling_is_no_fault() -> None:
    """A caller who goes away ends the call as well."""

    async def embed(texts: Sequence[str]) -> Vectors:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Nearness(embed, Budget(60))("a", ["b"]))
