"""Calls to the embedding model, packed to the service's limits."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from openai import AsyncOpenAI

from shared.embeddings.record import Vectors

MAX_INPUTS = 2_048  # inputs the service takes in one request
MAX_REQUEST_TOKENS = 300_000  # tokens the service takes in one request


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """Which model gives the vectors: name (the deployment's on Azure) and vector length."""

    name: str
    dimensions: int


def batches(texts: Sequence[str], count_tokens: Callable[[str], int], most: int) -> Iterator[list[str]]:
    """Split texts, in order, into requests of at most `most` inputs and MAX_REQUEST_TOKENS tokens."""
    batch: list[str] = []
    tokens = 0
    for text in texts:
        cost = count_tokens(text)
        if batch and (len(batch) == min(most, MAX_INPUTS) or tokens + cost > MAX_REQUEST_TOKENS):
            yield batch
            batch, tokens = [], 0
        batch.append(text)
        tokens += cost
    if batch:
        yield batch


class Embedder:
    """Embeds texts with a bounded number of calls under way.

    The OpenAI client retries 429 and 5xx itself and honours `retry-after-ms` and `Retry-After`; what it gives up on is
    raised.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        model: EmbeddingModel,
        count_tokens: Callable[[str], int],
        batch: int,
        concurrency: int,
    ) -> None:
        self.model = model
        self._client = client
        self._count_tokens = count_tokens
        self._batch = batch
        self._slots = asyncio.Semaphore(concurrency)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector per text, in order: shape (len(texts), dimensions), float32.

        Raises ValueError when the model answers with another vector length than the settings say.
        """
        if not texts:
            return np.empty((0, self.model.dimensions), dtype=np.float32)
        parts = [self._call(batch) for batch in batches(texts, self._count_tokens, self._batch)]
        return np.concatenate(await asyncio.gather(*parts))

    async def _call(self, texts: list[str]) -> Vectors:
        async with self._slots:
            reply = await self._client.embeddings.create(model=self.model.name, input=texts)
        vectors = np.array(
            [item.embedding for item in sorted(reply.data, key=lambda item: item.index)], dtype=np.float32
        )
        if vectors.shape != (len(texts), self.model.dimensions):
            raise ValueError(
                f"{self.model.name} answered vectors of shape {vectors.shape}, expected "
                f"{(len(texts), self.model.dimensions)}; EMBEDDING_DIMENSIONS must be the model's"
            )
        return vectors
