"""Services that take a request and do not answer: the app's own clients give up, and the work ends right."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.request import Request, urlopen

import pytest
from azure.core.exceptions import ServiceResponseError

from local.azurite import Azurite
from shared import clients
from shared.index import client as index_client
from shared.recovery import steps
from shared.recovery.compare import faults
from shared.recovery.plan import RebuildRequest
from shared.settings import Settings
from tests.conftest import Service, lake_connection, new_generation, put, running

PATIENCE = 2.0  # seconds, instead of the app's own
HANGS = 20_000  # milliseconds
REQUEST = RebuildRequest("test", "primary", dry_run=False, force=False, resume=False)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Services that can be made to hang."""

    lake: str
    search: str
    model: str

    def hang(self, service: str, path: str) -> None:
        """Let the next request to a path hang, and count those that come after it."""
        for given in ({"times": 1, "delay_ms": HANGS}, {"delay_ms": 1}):
            body = json.dumps({"path": path, **given}).encode()
            with urlopen(Request(f"{getattr(self, service)}/-/faults", body, method="POST")):
                pass

    def fired(self, service: str) -> list[int]:
        """Return how many requests hung, and how many came after."""
        with urlopen(f"{getattr(self, service)}/-/faults") as reply:
            return [rule["fired"] for rule in json.loads(reply.read())["rules"]]


@pytest.fixture(scope="module")
def services(own_azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """The services, each with faults."""
    folder = tmp_path_factory.mktemp("hanging")
    port = str(own_azurite.blob_port)
    lake = ("local.lake", "--azurite-blob-port", port, "--data", str(folder / "lake"))
    made = [
        Service(*command, "--faults", log=folder / "log")
        for command in (lake, ("local.search_service", "--data", str(folder / "search")), ("local.model_service",))
    ]
    yield Addresses(*(service.url for service in made))
    for service in made:
        service.kill()  # what hangs would hold up its end


@pytest.fixture
def hanging(services: Addresses, monkeypatch: pytest.MonkeyPatch) -> Iterator[Addresses]:
    """The services, and an app with little patience; nothing hangs afterwards."""
    for module, name in (
        (clients, "READ_SECONDS"),
        (clients, "MODEL_READ_SECONDS"),
        (index_client, "QUERY_SECONDS"),
    ):
        monkeypatch.setattr(module, name, PATIENCE)
    yield services
    for url in (services.lake, services.search, services.model):
        with urlopen(Request(f"{url}/-/faults", method="DELETE")):
            pass


@pytest.fixture
def app(settings: Settings, hanging: Addresses) -> Settings:
    """Settings of an app that talks to them."""
    return replace(
        settings,
        lake_storage=replace(settings.lake_storage, connection_string=lake_connection(hanging.lake)),
        search_endpoint=hanging.search,
        openai_endpoint=f"{hanging.model}/openai/v1",
    )


def test_a_page_is_indexed_though_calls_hang(app: Settings, hanging: Addresses) -> None:
    """A batch and an embedding call that are not answered are sent again, and the page is verified."""

    async def scenario() -> None:
        async with running(app) as made:
            await put(made, "a.md", "# A\n\nWhat it says.")
            plan = await steps.plan_rebuild(made, REQUEST, "20260101000000")
            await steps.create_generation(made, plan)
            hanging.hang("search", r"search\.index")
            hanging.hang("model", "embeddings")
            done = await steps.index_page(made, plan, 0)
            assert (done.results, done.added) == ({"indexed": 1}, 1)
            assert done.waited > 0
            assert hanging.fired("search") == hanging.fired("model") == [1, 1]
            assert faults((await steps.verify_page(made, plan, 0))["summary"]) == 0

    asyncio.run(scenario())


def test_a_query_and_a_read_that_hang_are_faults_that_pass(app: Settings, hanging: Addresses) -> None:
    """They end as what a trigger or an activity tries again; the second time they are answered."""

    async def scenario() -> None:
        async with running(app) as made:
            generation = await new_generation(made)
            await put(made, "a.md", "# A")
            lake = made.lake_account.get_container_client(app.lake_container)

            async def read() -> Any:
                stream = await lake.download_blob("a.md", retry_total=0)  # the client's own retries wait for long
                return await stream.readall()

            async def query() -> Any:
                return await made.bulk_client(generation).search("*", select=["id"])

            hanging.hang("search", r"search\.post\.search")
            hanging.hang("lake", "a.md")
            for call, service in ((query, "search"), (read, "lake")):
                with pytest.raises(ServiceResponseError):
                    await call()
                await call()
                assert hanging.fired(service) == [1, 1]

    asyncio.run(scenario())
