"""Embeddings through OpenAI's SDK."""

import asyncio
import json
import socket
import struct
import time
import urllib.request
from urllib.parse import urlsplit

import numpy as np
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI

MODEL = "all-minilm-l6-v2-int8"
WAIT_SECONDS = 120.0


def embed(client: OpenAI, *texts: str) -> list[list[float]]:
    """Return the vectors of texts."""
    return [item.embedding for item in client.embeddings.create(model=MODEL, input=list(texts)).data]


def computed(base: str) -> int:
    """Return how many vectors the service has computed since its start."""
    with urllib.request.urlopen(f"{base.removesuffix('/openai/v1')}/health", timeout=60) as reply:
        return int(json.load(reply)["vectors_computed"])


def test_shape_and_norm(client: OpenAI) -> None:
    """A vector has 384 numbers and length 1; replies are in the order of the inputs, with the tokens counted."""
    reply = client.embeddings.create(model=MODEL, input=["cold store", "truck", "?"])
    assert [item.index for item in reply.data] == [0, 1, 2]
    for item in reply.data:
        assert len(item.embedding) == 384
        assert np.linalg.norm(item.embedding) == pytest.approx(1, abs=1e-6)
    assert (reply.model, reply.usage.prompt_tokens, reply.usage.total_tokens) == (MODEL, 4, 4)


def test_meaning(client: OpenAI) -> None:
    """Texts that mean the same are nearer than texts that do not."""
    car, vehicle, soup = np.array(embed(client, "a fast car", "a quick automobile", "tomato soup recipe"))
    assert car @ vehicle > car @ soup + 0.3


def test_base64_equals_float(client: OpenAI) -> None:
    """The SDK's own encoding and plain numbers give the same vector, bit for bit."""
    by_default = embed(client, "the same")[0]
    plain = client.embeddings.create(model=MODEL, input="the same", encoding_format="float").data[0].embedding
    assert struct.pack("<384f", *by_default) == struct.pack("<384f", *plain)


def test_same_text_same_bits_in_any_batch(client: OpenAI) -> None:
    """A text's vector does not depend on its neighbours, nor on whether it was asked for before."""
    alone = embed(client, "The limit is 165 EUR.")[0]
    neighbours = [f"neighbour {number} " * number for number in range(1, 12)]
    among = embed(client, *neighbours, "The limit is 165 EUR.")[-1]
    assert alone == among
    texts = [f"never asked before {number}" for number in range(6)]
    assert embed(client, *texts) == [embed(client, text)[0] for text in texts]


def test_long_text_is_not_cut(client: OpenAI) -> None:
    """The end of a text beyond the model's window changes its vector."""
    long = "The cold store is checked every hour by the shift lead. " * 120
    one, two = embed(client, long, long + "Penguins live in Antarctica and eat fish. " * 20)
    assert np.linalg.norm(two) == pytest.approx(1, abs=1e-6)
    assert float(np.dot(one, two)) < 0.995


def test_one_text_without_a_list(client: OpenAI) -> None:
    """A single text may be given without a list, and an emoji is a text."""
    assert len(client.embeddings.create(model=MODEL, input="🧊").data) == 1


def test_limits(client: OpenAI) -> None:
    """Too many inputs, too long ones and too many tokens are refused with 400 and named."""
    with pytest.raises(BadRequestError, match="at most 2048") as many:
        embed(client, *(["x"] * 2049))
    with pytest.raises(BadRequestError, match="maximum context length is 8191"):
        embed(client, "ice " * 8192)
    with pytest.raises(BadRequestError, match="at most 300000"):
        embed(client, *(["ice " * 8000] * 38))
    assert many.value.param == "input"


@pytest.mark.parametrize("bad", ["", [], ["a", ""], [[1, 2, 3]], 7])
def test_bad_input(client: OpenAI, bad: object) -> None:
    """Inputs that are no texts are refused with 400 and named."""
    with pytest.raises(BadRequestError) as refused:
        client.post("/embeddings", cast_to=object, body={"model": MODEL, "input": bad})
    assert refused.value.param == "input"


def test_unsupported_parameters(client: OpenAI) -> None:
    """Other dimensions, encodings and unknown parameters are refused with 400 and named."""
    with pytest.raises(BadRequestError, match="384 dimensions, not 256") as dimensions:
        client.embeddings.create(model=MODEL, input="x", dimensions=256)
    with pytest.raises(BadRequestError) as unknown:
        client.embeddings.create(model=MODEL, input="x", extra_body={"truncate": True})
    assert (dimensions.value.param, unknown.value.param) == ("dimensions", "truncate")
    assert client.embeddings.create(model=MODEL, input="x", dimensions=384).data


def test_unknown_model(client: OpenAI) -> None:
    """A model that is not here is 404, with the name of the one that is."""
    with pytest.raises(NotFoundError, match=MODEL) as missing:
        client.embeddings.create(model="text-embedding-3-small", input="x")
    assert missing.value.code == "model_not_found"


def test_asynchronous_client(client: OpenAI, model_service: str) -> None:
    """Requests at once through the asynchronous SDK give what the synchronous one gives."""

    async def run() -> list[list[float]]:
        async with AsyncOpenAI(base_url=model_service, api_key="unused", max_retries=0) as there:
            replies = await asyncio.gather(
                *(there.embeddings.create(model=MODEL, input=f"at once {number}") for number in range(8))
            )
        return [reply.data[0].embedding for reply in replies]

    assert asyncio.run(run()) == embed(client, *(f"at once {number}" for number in range(8)))


def test_client_that_disconnects_ends_the_work(client: OpenAI, model_service: str) -> None:
    """When the reader of a long batch goes away, the rest of the batch is not computed."""
    before, texts = computed(model_service), 1000
    body = json.dumps({"model": MODEL, "input": [f"left alone {number} " * 60 for number in range(texts)]}).encode()
    address = urlsplit(model_service)
    head = f"POST {address.path}/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", address.port or 0)) as connection:
        connection.sendall(head + body)
        deadline = time.monotonic() + WAIT_SECONDS
        while computed(model_service) == before:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    embed(client, "somebody else")
    seen = computed(model_service)
    for number in range(5):  # each takes its turn; the batch would take turns between them
        embed(client, f"somebody else {number}")
    assert computed(model_service) <= seen + 6
    assert seen - before < texts / 2
