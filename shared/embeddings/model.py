"""Calls to the embedding model: packed to the service's limits, under one budget, with every wait counted."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import openai
from openai import AsyncOpenAI

from shared.embeddings.budget import Budget
from shared.embeddings.record import Vectors
from shared.embeddings.retry import wait_before
from shared.embeddings.windows import average, windows

logger = logging.getLogger(__name__)

MAX_INPUTS = 2_048  # inputs the service takes in one request
MAX_REQUEST_TOKENS = 300_000  # tokens the service takes in one request
MAX_INPUT_TOKENS = 8_191  # tokens that the text-embedding models take in one input


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """Which model gives the vectors: name (the deployment's on Azure) and vector length."""

    name: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """What embedding some texts gave and took.

    `vectors` has shape (texts, dimensions), float32; `tokens` is what the service charged; `calls` counts those that
    succeeded and `throttled` the refusals for lack of quota; `waited` is the longest that a call was kept waiting by
    the budget, by refusals or by faults, in seconds: calls wait side by side.
    """

    vectors: Vectors
    tokens: int = 0
    calls: int = 0
    throttled: int = 0
    waited: float = 0.0


def batches(
    texts: Sequence[str], count_tokens: Callable[[str], int], most: int, most_tokens: int = MAX_REQUEST_TOKENS
) -> Iterator[list[str]]:
    """Split texts, in order, into requests of at most `most` inputs and `most_tokens` tokens."""
    batch: list[str] = []
    tokens = 0
    for text in texts:
        cost = count_tokens(text)
        if batch and (len(batch) == min(most, MAX_INPUTS) or tokens + cost > most_tokens):
            yield batch
            batch, tokens = [], 0
        batch.append(text)
        tokens += cost
    if batch:
        yield batch


class Embedder:
    """Embeds texts within a budget that it shares with others; `live` goes before what is not."""

    def __init__(
        self,
        client: AsyncOpenAI,
        model: EmbeddingModel,
        count_tokens: Callable[[str], int],
        batch: int,
        budget: Budget,
        live: bool = True,
    ) -> None:
        self.model = model
        self._client = client.with_options(max_retries=0)  # waits are made here, where they are counted
        self._count_tokens = count_tokens
        self._batch = batch
        self._budget = budget
        self._live = live
        # A request above a whole minute's quota would be refused for ever.
        self._most_tokens = min(MAX_REQUEST_TOKENS, budget.tokens_per_minute or MAX_REQUEST_TOKENS)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector per text, in order: shape (len(texts), dimensions), float32. Raises as `measured` does."""
        return (await self.measured(texts)).vectors

    async def measured(self, texts: Sequence[str]) -> Embedded:
        """Return the vectors of the texts, in order, and what they took.

        A text over MAX_INPUT_TOKENS is embedded in windows, and has their mean by length. Raises ValueError when the
        model answers with another vector length than the settings say, and what the service raises when it refuses for
        good or for longer than retries last.
        """
        if not texts:
            return Embedded(np.empty((0, self.model.dimensions), dtype=np.float32))
        cut = [windows(text, self._count_tokens, MAX_INPUT_TOKENS) for text in texts]
        pieces = [piece for parts in cut for piece in parts]
        made = await self._all(list(batches(pieces, self._count_tokens, self._batch, self._most_tokens)))
        vectors = np.concatenate([part.vectors for part in made])
        if len(pieces) > len(texts):
            vectors = self._joined(vectors, cut)
        return Embedded(
            vectors,
            tokens=sum(part.tokens for part in made),
            calls=len(made),
            throttled=sum(part.throttled for part in made),
            waited=max(part.waited for part in made),
        )

    async def _all(self, requests: list[list[str]]) -> list[Embedded]:
        """Make all calls; the first that fails ends the others, which would be paid for in vain."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._call(request)) for request in requests]
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _call(self, texts: list[str]) -> Embedded:
        tokens = sum(map(self._count_tokens, texts))
        waited, throttled, attempt = 0.0, 0, 0
        while True:
            attempt += 1
            async with self._budget.call(tokens, self._live) as grant:
                waited += grant.waited
                try:
                    reply = await self._client.embeddings.create(model=self.model.name, input=texts)
                    vectors = self._vectors(reply, len(texts))
                    return Embedded(vectors, reply.usage.prompt_tokens, 1, throttled, waited)
                except openai.APIError as error:
                    wait = wait_before(attempt, error)
                    grant.refused = isinstance(error, openai.RateLimitError)
                    if wait is None:
                        raise
                    throttled += grant.refused
                    self._budget.pause(wait[0])
                    logger.warning("embedding attempt=%d wait=%.3f fault=%s", attempt, wait[1], error)
            await asyncio.sleep(wait[1])
            waited += wait[1]

    def _vectors(self, reply: openai.types.CreateEmbeddingResponse, count: int) -> Vectors:
        ordered = sorted(reply.data, key=lambda item: item.index)
        lengths = {len(item.embedding) for item in ordered}
        if len(ordered) != count or lengths != {self.model.dimensions}:
            raise ValueError(
                f"{self.model.name} answered {len(ordered)} vectors of length {sorted(lengths)}, expected {count} of "
                f"{self.model.dimensions}; EMBEDDING_DIMENSIONS must be the model's"
            )
        return np.array([item.embedding for item in ordered], dtype=np.float32)

    def _joined(self, vectors: Vectors, cut: list[list[str]]) -> Vectors:
        """Return one vector a text from the vectors of the texts' windows."""
        ends = np.cumsum([len(parts) for parts in cut])
        grouped = zip(np.split(vectors, ends[:-1]), cut, strict=True)
        return np.stack([average(own, [self._count_tokens(part) for part in parts]) for own, parts in grouped])
