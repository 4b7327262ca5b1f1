"""How near a sentence is to passages in meaning, as far as the embedding model says so while an answer is written.

The answer does not depend on it: a model that is out of quota, slow or away leaves the decision to the words, for the
rest of this answer too, so that no sentence waits for it again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from shared.chat.model import Budget
from shared.chat.support import UNKNOWN_COSINE
from shared.embeddings.record import Vectors

logger = logging.getLogger(__name__)

MOST_SECONDS = 3.0  # of one call, while the reader waits for the end of a sentence

Embed = Callable[[Sequence[str]], Awaitable[Vectors]]


class Nearness:
    """The nearness of sentences of one answer. `fault` is why words alone decide; "" while the model answers."""

    def __init__(self, embed: Embed, budget: Budget) -> None:
        self.fault = ""
        self._embed = embed
        self._budget = budget

    async def __call__(self, sentence: str, parts: Sequence[str]) -> Sequence[float]:
        """Return the cosine of a sentence to each of `parts`, from -1 to 1; UNKNOWN_COSINE where it is not known."""
        if self.fault:
            return [UNKNOWN_COSINE] * len(parts)
        try:
            async with asyncio.timeout(min(MOST_SECONDS, self._budget.left)):
                vectors = await self._embed([sentence, *parts])
        except Exception as error:  # whatever it is, half an answer is on the page
            self.fault = f"the embedding model does not answer: {type(error).__name__}"
            logger.warning("markers are checked by words alone: %r", error)
            return [UNKNOWN_COSINE] * len(parts)
        one, *others = (vector / max(1e-12, float((vector @ vector) ** 0.5)) for vector in vectors)
        return [float(one @ other) for other in others]
