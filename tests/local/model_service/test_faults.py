"""Faults of the model service, as OpenAI's SDK sees them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.conftest import Service

CHAT, EMBEDDING = "extractive-minilm", "all-minilm-l6-v2-int8"
QUICK = {"retry-after-ms": "1"}


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


def client(address: str, retries: int) -> OpenAI:
    """OpenAI's client with a number of retries."""
    return OpenAI(base_url=f"{address}/openai/v1", api_key="unused", max_retries=retries)


def add(faults: httpx2.Client, **rule: Any) -> None:
    """Add a rule."""
    assert faults.post("/faults", json=rule).status_code == 201


def fired(faults: httpx2.Client) -> list[int]:
    """Return how often each rule fired."""
    return [rule["fired"] for rule in faults.get("/faults").json()["rules"]]


def vectors(address: str) -> int:
    """Return how many vectors the service computed."""
    return int(httpx2.get(f"{address}/health").json()["vectors_computed"])


def stream(sdk: OpenAI, received: list[str]) -> None:
    """Read a streamed answer, piece by piece."""
    with sdk.chat.completions.create(model=CHAT, messages=[{"role": "user", "content": "Hello"}], stream=True) as reply:
        for chunk in reply:
            received += [choice.delta.content or "" for choice in chunk.choices]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (408, openai.APIStatusError),
    ],
)
def test_status(address: str, faults: httpx2.Client, status: int, kind: type[openai.APIStatusError]) -> None:
    """An injected status is the SDK's exception for it, with an error in the service's form, and costs no work."""
    add(faults, path="/embeddings$", status=status)
    before = vectors(address)
    with client(address, 0) as sdk, pytest.raises(kind) as raised:
        sdk.embeddings.create(model=EMBEDDING, input=f"status {status}")
    assert raised.value.status_code == status
    assert isinstance(raised.value.body, dict) and raised.value.body["message"] and raised.value.body["code"]
    assert fired(faults) == [1] and vectors(address) == before


def test_throttled_headers(address: str, faults: httpx2.Client) -> None:
    """A 429 says when to come back, in milliseconds and in seconds, and a rule may say otherwise."""
    add(faults, status=429, times=1)
    add(faults, status=429, times=1, headers=QUICK)
    with client(address, 0) as sdk:
        for expected in ("1000", "1"):
            with pytest.raises(openai.RateLimitError) as raised:
                sdk.models.list()
            assert raised.value.response.headers["retry-after-ms"] == expected
            assert raised.value.response.headers["retry-after"] == "1"


@pytest.mark.parametrize("rule", [{"status": 429, "headers": QUICK}, {"status": 503, "headers": QUICK}])
def test_retries_until_it_works(address: str, faults: httpx2.Client, rule: dict[str, Any]) -> None:
    """The SDK tries again after a 429 and a 503, as often as it is told, and then has its answer."""
    add(faults, **rule, times=2)
    with client(address, 2) as sdk:
        assert sdk.embeddings.create(model=EMBEDDING, input="again").data[0].embedding
    assert fired(faults) == [2]


def test_retries_run_out(address: str, faults: httpx2.Client) -> None:
    """When the service keeps refusing, the SDK gives up after its retries."""
    add(faults, status=429, headers=QUICK)
    with client(address, 2) as sdk, pytest.raises(openai.RateLimitError):
        sdk.embeddings.create(model=EMBEDDING, input="never")
    assert fired(faults) == [3]


@pytest.mark.parametrize(("drop", "work"), [("before", 0), ("after", 1)])
def test_dropped_connection(address: str, faults: httpx2.Client, drop: str, work: int) -> None:
    """A dropped connection is the SDK's connection error; dropped after handling, the work was done all the same."""
    add(faults, path="/embeddings$", drop=drop)
    before = vectors(address)
    with client(address, 0) as sdk, pytest.raises(openai.APIConnectionError):
        sdk.embeddings.create(model=EMBEDDING, input=f"dropped {drop}")
    assert fired(faults) == [1] and vectors(address) == before + work


def test_dropped_stream(address: str, faults: httpx2.Client) -> None:
    """A stream that is cut off raises in the middle: what came before it has arrived, its end has not."""
    add(faults, path="/chat/completions$", drop="mid")
    received: list[str] = []
    with client(address, 0) as sdk, pytest.raises(openai.APIConnectionError):
        stream(sdk, received)
    assert len(received) == 2 and fired(faults) == [1]


def test_cut_answer(address: str, faults: httpx2.Client) -> None:
    """An answer in one piece that is cut off is a connection error, not half an answer."""
    add(faults, path="/chat/completions$", drop="mid")
    with client(address, 0) as sdk, pytest.raises(openai.APIConnectionError):
        sdk.chat.completions.create(model=CHAT, messages=[{"role": "user", "content": "Hello"}])


def test_error_within_a_stream(address: str, faults: httpx2.Client) -> None:
    """An error event within a stream is the SDK's error, after the words that came before it."""
    add(faults, extra={"stream_error": "the model is gone"})
    received: list[str] = []
    with client(address, 0) as sdk, pytest.raises(openai.APIError, match="the model is gone"):
        stream(sdk, received)
    assert len(received) == 2


def test_slow_tokens(address: str, faults: httpx2.Client) -> None:
    """A slowed stream has the same words, and a reader with a shorter patience than its pauses gives up."""
    whole: list[str] = []
    with client(address, 0) as sdk:
        add(faults, extra={"chunk_delay_ms": 1}, times=1)
        stream(sdk, whole)
        add(faults, extra={"chunk_delay_ms": 60_000})
        received: list[str] = []
        # The first event is late too: the time limit strikes within the body, after the status line.
        with pytest.raises(openai.APITimeoutError):
            stream(sdk.with_options(timeout=0.5), received)
    assert "".join(whole).strip() and received == []


def test_timeout(address: str, faults: httpx2.Client) -> None:
    """A reply that is late for the SDK's time limit is its timeout error, and the retry has the answer."""
    add(faults, delay_ms=60_000, times=1)
    with client(address, 0) as sdk, pytest.raises(openai.APITimeoutError):
        sdk.with_options(timeout=0.3).models.list()
    with client(address, 0) as sdk:
        assert len(sdk.models.list().data) == 2


def test_no_faults_unless_asked_for(model_service: str) -> None:
    """A service started without faults does not know their path."""
    base = model_service.removesuffix("/openai/v1")
    assert httpx2.get(f"{base}/-/faults").status_code == 404


def test_unknown_key(faults: httpx2.Client) -> None:
    """A key that the service does not know is refused by name."""
    reply = faults.post("/faults", json={"extra": {"partial": 1}})
    assert reply.status_code == 400 and "'partial'" in reply.json()["error"]


def test_faults_need_no_key(tmp_path: Path) -> None:
    """Faults come before the check of the key, and are administered without one."""
    service = Service("local.model_service", "--faults", "--api-key", "k", log=tmp_path / "log")
    try:
        assert httpx2.post(f"{service.url}/-/faults", json={"status": 500, "times": 1}).status_code == 201
        assert httpx2.get(f"{service.url}/v1/models").status_code == 500
        assert httpx2.get(f"{service.url}/v1/models").status_code == 401
    finally:
        assert service.stop() == 0
