"""Fixtures: the model service through OpenAI's SDK."""

from collections.abc import Iterator

import pytest
from openai import OpenAI


@pytest.fixture
def client(model_service: str) -> Iterator[OpenAI]:
    """OpenAI's client, as the app makes it, without retries."""
    with OpenAI(base_url=model_service, api_key="unused", max_retries=0) as running:
        yield running
