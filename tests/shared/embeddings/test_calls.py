"""Embedding calls through the official SDK against the model service, with faults and a quota."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import numpy as np
import openai
import pytest
from openai import AsyncOpenAI

from shared.documents import count_tokens
from shared.embeddings import model as module
from shared.embeddings.budget import Budget
from shared.embeddings.model import Embedder, EmbeddingModel
from shared.embeddings.retry import ATTEMPTS
from tests.conftest import Service

MODEL = EmbeddingModel("all-minilm-l6-v2-int8", 384)
SOON = {"headers": {"retry-after-ms": "1"}}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a service that can be made to fail."""
    service = Service("local.model_service", "--faults", log=tmp_path_factory.mktemp("model") / "log")
    yield service.url
    assert service.stop() == 0


@pytest.fixture
def faults(address: str) -> Iterator[httpx2.Client]:
    """The administration of its faults; none are left afterwards."""
    with httpx2.Client(base_url=f"{address}/-") as client:
        yield client
        client.delete("/faults")


def add(faults: httpx2.Client, **rule: Any) -> None:
    """Add a rule for embedding calls."""
    assert faults.post("/faults", json={"path": "/embeddings$", **rule}).status_code == 201


def fired(faults: httpx2.Client) -> list[int]:
    """Return how often each rule fired."""
    return [rule["fired"] for rule in faults.get("/faults").json()["rules"]]


@asynccontextmanager
async def embedder(
    address: str, batch: int = 64, quota: int = 0, model: EmbeddingModel = MODEL
) -> AsyncIterator[Embedder]:
    """An embedder with a budget of its own."""
    async with AsyncOpenAI(base_url=f"{address}/openai/v1", api_key="unused") as client:
        yield Embedder(client, model, count_tokens, batch, Budget(quota, 2))


def measured(address: str, texts: list[str], **options: Any) -> module.Embedded:
    """Embed texts in an event loop of their own."""

    async def run() -> module.Embedded:
        async with embedder(address, **options) as made:
            return await made.measured(texts)

    return asyncio.run(run())


def test_vectors_come_in_order_whatever_the_batch(address: str) -> None:
    """Seven texts in calls of two give the vectors that one call gives, and four calls are counted."""
    texts = [f"text number {number}" for number in range(7)]
    apart, together = measured(address, texts, batch=2), measured(address, texts)
    np.testing.assert_allclose(apart.vectors, together.vectors, atol=2e-2)
    assert (apart.calls, together.calls) == (4, 1)
    assert apart.tokens == together.tokens > 0
    assert (apart.throttled, apart.waited < 1) == (0, True)


def test_throttling_is_waited_out_and_reported(address: str, faults: httpx2.Client) -> None:
    """Two refusals cost two waits as stated, are counted, and the vectors come all the same."""
    add(faults, status=429, times=2, headers={"retry-after-ms": "40"})
    result = measured(address, ["throttled"])
    assert result.vectors.shape == (1, 384)
    assert (result.throttled, result.calls, fired(faults)) == (2, 1, [2])
    assert result.waited >= 0.08


@pytest.mark.parametrize(
    "fault", [{"status": 500, **SOON}, {"status": 503, **SOON}, {"drop": "before"}, {"drop": "after"}]
)
def test_passing_faults_are_tried_again(address: str, faults: httpx2.Client, fault: dict[str, Any]) -> None:
    """A server error or a lost connection is tried again by us alone, and is no throttling."""
    add(faults, times=1, **fault)
    result = measured(address, [f"passing {fault}"])
    assert (result.vectors.shape, result.throttled, result.calls) == ((1, 384), 0, 1)
    assert fired(faults) == [1]


def test_a_refusal_for_good_is_raised_at_once(address: str, faults: httpx2.Client) -> None:
    """A 400 is asked for once."""
    add(faults, status=400)
    with pytest.raises(openai.BadRequestError):
        measured(address, ["refused"])
    assert fired(faults) == [1]


def test_retries_end(address: str, faults: httpx2.Client) -> None:
    """Endless throttling is raised after the last attempt, so that the trigger tries again later."""
    add(faults, status=429, headers={"retry-after-ms": "1"})
    with pytest.raises(openai.RateLimitError):
        measured(address, ["throttled for ever"])
    assert fired(faults) == [ATTEMPTS]


def test_a_failed_call_ends_the_others(address: str, faults: httpx2.Client) -> None:
    """When one call of several is refused for good, those not yet made are not paid for."""
    add(faults, status=400)
    with pytest.raises(openai.BadRequestError):
        measured(address, [f"many {number}" for number in range(40)], batch=1)
    assert fired(faults)[0] < 20


def test_an_over_long_text_is_cut_and_averaged(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text above the model's limit is embedded whole, in windows; its neighbours keep their own vectors."""
    monkeypatch.setattr(module, "MAX_INPUT_TOKENS", 8)
    texts = ["before", "one two three four five six seven eight nine ten eleven twelve", "after"]
    result = measured(address, texts, batch=1)
    assert result.vectors.shape == (3, 384) and result.calls == 4
    np.testing.assert_allclose(np.linalg.norm(result.vectors[1]), 1, rtol=1e-5)
    np.testing.assert_allclose(result.vectors[[0, 2]], measured(address, ["before", "after"], batch=1).vectors)


def test_calls_fit_the_quota(address: str) -> None:
    """No call asks for more than a minute's quota, which the service would refuse for ever."""
    text = " word" * 300
    quota = 2 * count_tokens(text) - 1
    result = measured(address, [text] * 2, quota=quota)
    assert result.calls == 2


def test_another_vector_length_is_refused(address: str) -> None:
    """A model whose vectors do not fit the index is named, with the setting to mend."""
    with pytest.raises((ValueError, openai.BadRequestError), match="EMBEDDING_DIMENSIONS"):
        measured(address, ["x"], model=EmbeddingModel(MODEL.name, 3))


def test_a_refusal_holds_the_other_calls_too(address: str, faults: httpx2.Client) -> None:
    """When one call is refused, the next waits out the stated time as well, and is not refused itself."""
    add(faults, status=429, times=1, headers={"retry-after-ms": "150"})

    async def run() -> list[module.Embedded]:
        async with AsyncOpenAI(base_url=f"{address}/openai/v1", api_key="unused") as client:
            made = Embedder(client, MODEL, count_tokens, 1, Budget(0, 1))
            return list(await asyncio.gather(made.measured(["first"]), made.measured(["second"])))

    first, second = asyncio.run(run())
    assert (first.throttled, second.throttled, fired(faults)) == (1, 0, [1])
    assert first.waited >= 0.15 and second.waited >= 0.15
