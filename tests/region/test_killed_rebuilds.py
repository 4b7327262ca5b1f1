"""The functions host is killed at random moments of rebuilds and comes back: every one ends verified, for nothing."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from bench.rebuild_lake import MadeUpLake, fill
from bench.rebuild_region import MeasuredRegion

LAKE = MadeUpLake(documents=60, chunks=5, dimensions=384)
SETTINGS = {
    "REBUILD_PAGE_DOCUMENTS": "5",
    "REBUILD_WINDOW": "2",
    "RESUME_SCHEDULE": "* * * * * *",  # each second, where a deployment is content with each minute
}
DEADLINE_SECONDS = 240.0


async def finished(region: MeasuredRegion, url: str) -> dict[str, Any]:
    """Follow a rebuild until its report is there, also while no host answers."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            shown = await asyncio.to_thread(region.request, url)
            if shown["status"] not in ("running", "interrupted"):
                return shown
        except OSError:
            shown = {"status": "no host answers"}
        assert time.monotonic() < deadline, (shown, region.log.read_text()[-3000:])
        await asyncio.sleep(0.1)


async def killed(folder: Path, kills: int, seed: int) -> None:
    """Run as many rebuilds, each with one death of the host."""
    region = MeasuredRegion(folder, LAKE.dimensions, SETTINGS)
    draw = random.Random(seed)
    async with region.running():
        services = region.services()
        await fill(services, LAKE)
        async with region.host() as host:
            first = await region.rebuild(reason="undisturbed", force=True)
            usual = sum(first["seconds"].values())
            resumed = 0
            for number in range(kills):
                begun = await asyncio.to_thread(region.request, "/api/recovery/rebuild", {"reason": f"kill {number}"})
                await asyncio.sleep(draw.uniform(0, usual))
                assert host.pid is not None
                os.kill(host.pid, signal.SIGKILL)
                report = await finished(region, begun["url"])
                assert (report["id"], report["status"]) == (begun["id"], "completed"), report
                assert report["tokens_embedded"] == 0
                assert await services.generations.live() == report["plan"]["generation"]
                resumed += report["plan"]["generation"] == f"documents-{begun['id']}"
            assert resumed == kills  # each went on in the generation that it had begun
            acts = (await asyncio.to_thread(region.request, "/api/recovery"))["acts"]
            assert any(act["act"] == "resume" for act in acts)
        live = await services.generations.require_live()
        assert await services.search_client(live).get_document_count() == LAKE.documents * LAKE.chunks
        assert len(await services.generations.list()) == services.settings.generations_kept
        await services.close()
    assert "/embeddings" not in region.log.read_text(), "the model was called although every embedding is stored"


def test_rebuilds_survive_the_death_of_their_host(tmp_path: Path) -> None:
    """Three rebuilds, each with the host killed at another moment, resume by themselves under their own ids."""
    asyncio.run(killed(tmp_path, kills=3, seed=1))


@pytest.mark.slow
def test_fifty_rebuilds_survive_the_death_of_their_host(tmp_path: Path) -> None:
    """Fifty times the same, at fifty moments."""
    asyncio.run(killed(tmp_path, kills=50, seed=2))
