"""Routing and health together: a probe always hears from a region, however its dependencies behave."""

import asyncio
import time
from dataclasses import replace

import pytest

from shared.clients import Services
from shared.health import HealthCheck
from shared.settings import Settings
from tests.infra.checks import deploy_variant
from tests.infra.evaluate import INFRA, Sources
from tests.infra.policies import PROFILE


@pytest.mark.slow
def test_health_answers_within_the_probes_timeout_when_everything_hangs(settings: Settings) -> None:
    """Search and model accept a connection and never answer: the check still says 503 before a probe gives up."""
    (profile,) = deploy_variant(Sources(INFRA), "standard, warm").of(PROFILE)
    timeout = profile.get("properties.monitorConfig.timeoutInSeconds")

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(-1)
        finally:
            writer.close()

    async def act() -> float:
        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        made = Services(replace(settings, search_endpoint=address, openai_endpoint=f"{address}/openai/v1"))
        try:
            check = HealthCheck(made)
            began = time.monotonic()
            async with asyncio.timeout(timeout):
                first, second = await asyncio.gather(check.run(), check.run())
            seconds = time.monotonic() - began
            assert first is second
            assert not first.healthy and first.checks["index"] and first.checks["model"]
            return seconds
        finally:
            await made.close()
            server.close()
            await server.wait_closed()

    seconds = asyncio.run(act())
    print(f"worst case of the health check: {seconds:.2f} s of {timeout} s")
