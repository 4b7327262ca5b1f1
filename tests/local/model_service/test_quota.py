"""Quotas of tokens and requests a minute: what they let through, and how OpenAI's SDK sees what they refuse."""

import subprocess
import sys
from collections.abc import Iterator

import httpx2
import openai
import pytest
from openai import OpenAI

from local.model_service.protocol import ApiError
from local.model_service.quota import Bucket, Quota
from tests.conftest import ROOT, Service

CHAT, EMBEDDING = "extractive-minilm", "all-minilm-l6-v2-int8"
TOKENS = 60_000  # a minute: 1,000 a second


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_bucket_fills_continuously() -> None:
    """A bucket is full at first, and gets a sixtieth of its limit back each second, never more than its limit."""
    clock = Clock()
    bucket = Bucket(600, clock)
    bucket.take(600)
    assert (bucket.remaining, bucket.wait_for(1), bucket.wait_for(50)) == (0, 0.1, 5.0)
    clock.now += 5
    assert (bucket.remaining, bucket.wait_for(50)) == (50, 0.0)
    clock.now += 3600
    assert bucket.remaining == 600


def test_more_than_the_limit() -> None:
    """A cost above the whole limit passes when the bucket is full, and what it owes is filled up first."""
    clock = Clock()
    bucket = Bucket(60, clock)
    assert bucket.wait_for(90) == 0
    bucket.take(90)
    assert (bucket.remaining, bucket.wait_for(1)) == (-30, 31.0)


def test_no_more_than_the_quota_in_the_long_run() -> None:
    """A client that comes back exactly when it is told gets its quota, and no more than one bucket above it."""
    clock = Clock()
    quota = Quota(tokens=1_000, clock=clock)
    passed = 0
    while clock.now < 100 + 600:
        try:
            quota.charge(70)
            passed += 70
        except ApiError as refused:
            clock.now += int(refused.headers["retry-after-ms"]) / 1000
    assert 10_000 <= passed <= 11_000
    assert quota.throttled > 0


def test_requests_and_tokens() -> None:
    """Whichever quota is out refuses; a refused request costs nothing of either."""
    clock = Clock()
    quota = Quota(tokens=600, requests=2, clock=clock)
    assert quota.charge(100)["x-ratelimit-remaining-tokens"] == "500"
    assert quota.charge(100)["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(ApiError) as refused:
        quota.charge(100)
    assert refused.value.headers["retry-after-ms"] == "30000" and refused.value.headers["Retry-After"] == "30"
    assert refused.value.headers["x-ratelimit-remaining-tokens"] == "400"
    clock.now += 30
    quota.charge(100)


def test_no_quota() -> None:
    """Without limits nothing is refused and no header speaks of one."""
    quota = Quota()
    assert [quota.charge(10**9) for _ in range(3)] == [{}, {}, {}]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a quota."""
    running = Service(
        "local.model_service", "--tokens-per-minute", str(TOKENS), log=tmp_path_factory.mktemp("model") / "log"
    )
    yield running
    assert running.stop() == 0


def ask(sdk: OpenAI, tokens: int) -> int:
    """Ask for an answer of at most so many tokens; returns what is left of the quota."""
    reply = sdk.chat.completions.with_raw_response.create(
        model=CHAT, messages=[{"role": "user", "content": "Hello"}], max_tokens=tokens
    )
    assert reply.headers["x-ratelimit-limit-tokens"] == str(TOKENS)
    return int(reply.headers["x-ratelimit-remaining-tokens"])


def refusals(service: Service) -> dict[str, int]:
    """Return how many requests were refused, by model."""
    counts: dict[str, int] = httpx2.get(f"{service.url}/health").json()["throttled"]
    return counts


def test_throttled_and_served_later(service: Service) -> None:
    """Over the quota, the SDK gets 429 with the time to wait; with a retry it waits as long, and is served."""
    with OpenAI(base_url=f"{service.url}/openai/v1", api_key="unused", max_retries=0) as sdk:
        assert ask(sdk, TOKENS - 1_000) <= 1_000 + 60
        with pytest.raises(openai.RateLimitError) as raised:
            ask(sdk, 20_000)
        headers = raised.value.response.headers
        assert 15_000 <= int(headers["retry-after-ms"]) <= 20_100 and int(headers["retry-after"]) >= 15
        assert int(headers["x-ratelimit-remaining-tokens"]) < 20_000
        assert isinstance(raised.value.body, dict) and raised.value.body["code"] == "429"
        before = refusals(service)
        assert sdk.embeddings.create(model=EMBEDDING, input="a quota of its own").data
        with sdk.with_options(max_retries=3) as patient:
            ask(patient, 3_000)
    assert before["embeddings"] == 0 and refusals(service)["chat"] == before["chat"] + 1


def test_bad_requests_cost_nothing(service: Service) -> None:
    """A request that is refused for what it says is not charged."""
    with OpenAI(base_url=f"{service.url}/openai/v1", api_key="unused", max_retries=0) as sdk:
        sdk.embeddings.create(model=EMBEDDING, input="one")
        for _ in range(3):
            with pytest.raises(openai.BadRequestError):
                sdk.embeddings.create(model=EMBEDDING, input=["word " * 8_200])
        left = sdk.embeddings.with_raw_response.create(model=EMBEDDING, input="two").headers
    assert int(left["x-ratelimit-remaining-tokens"]) >= TOKENS - 20


def test_wrong_quota() -> None:
    """A quota below nothing is one line and exit code 2."""
    command = [sys.executable, "-m", "local.model_service", "--tokens-per-minute", "-1"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and "quota" in ended.stderr and ended.stderr.count("\n") == 1
