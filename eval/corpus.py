"""A lake under evaluation: a folder of documents, indexed by the app's own pipeline against the local services."""

import asyncio
import json
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.report import note
from local.azurite import start_azurite
from local.region import MEASURED
from shared.clients import Services
from shared.settings import Settings
from tests.conftest import Service, lake_connection, new_generation, running

CONCURRENCY = 4  # documents converged at once
_CITED = re.compile(r"\[([^\[\]]+?)(?:#page=(\d+))?\]")
MODEL_SETTINGS = ("OPENAI_ENDPOINT", "OPENAI_API_KEY", "OPENAI_MODEL", "OPENAI_EMBEDDING_MODEL", "EMBEDDING_DIMENSIONS")


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its true answer, and where that stands: (document, page) pairs, page 0 where none is named."""

    question: str
    truth: str
    places: tuple[tuple[str, int], ...]


def load_questions(file: Path) -> list[Question]:
    """Return the questions in a JSONL file of `{"question", "truth"}`; a truth names its places as `[path#page=N]`."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        item = json.loads(line)
        places = tuple((path, int(page or 0)) for path, page in _CITED.findall(item["truth"]))
        found.append(Question(item["question"], _CITED.sub("", item["truth"]).strip(), places))
    return found


@contextmanager
def local_services() -> Iterator[dict[str, str]]:
    """Start storage, lake, search and model; yield the settings that reach them. Models elsewhere are used where the
    environment names them.
    """
    with tempfile.TemporaryDirectory(prefix="warmlake-eval-") as name, start_azurite() as azurite:
        folder = Path(name)
        log = folder / "services.log"
        started: list[Service] = []
        try:
            search = Service("local.search_service", "--data", str(folder / "search"), log=log)
            started.append(search)
            lake = Service(
                "local.lake", "--azurite-blob-port", str(azurite.blob_port), "--data", str(folder / "lake"), log=log
            )
            started.append(lake)
            values = {
                "LAKE_STORAGE": lake_connection(lake.url),
                "AzureWebJobsStorage": azurite.connection_string,
                "SEARCH_ENDPOINT": search.url,
                "SEARCH_API_KEY": "local",
            }
            if os.environ.get("OPENAI_ENDPOINT"):
                values |= {key: os.environ[key] for key in MODEL_SETTINGS if key in os.environ}
            else:
                arguments = ["--model", os.environ["MODEL_FILE"]] if os.environ.get("MODEL_FILE") else []
                model = Service("local.model_service", *arguments, log=log)
                started.append(model)
                chat = Path(arguments[1]).stem if arguments else "extractive-minilm"
                values |= {
                    "OPENAI_ENDPOINT": f"{model.url}/openai/v1",
                    "OPENAI_API_KEY": "local",
                    "OPENAI_MODEL": chat,
                    "OPENAI_EMBEDDING_MODEL": "all-minilm-l6-v2-int8",
                    "EMBEDDING_DIMENSIONS": "384",
                    **MEASURED,
                    "CHAT_MODEL_CITES": "false" if arguments else "true",
                }
            yield values
        finally:
            for service in reversed(started):
                service.stop()


def settings_for(name: str, values: Mapping[str, str]) -> Settings:
    """Return settings with containers and an index of this corpus's own; CHAT_ and SEARCH_ settings may be set from
    outside.
    """
    tuned = {key: value for key, value in os.environ.items() if key.startswith("CHAT_") or key == "SEARCH_SEMANTIC"}
    own = {
        "LAKE_CONTAINER": f"documents-{name}",
        "EMBEDDINGS_CONTAINER": f"embeddings-{name}",
        "STATE_CONTAINER": f"state-{name}",
        "SEARCH_INDEX": name,
    }
    return Settings.from_env({**values, **own, **tuned})


@asynccontextmanager
async def indexed(name: str, values: Mapping[str, str], folder: Path) -> AsyncIterator[Services]:
    """Yield the app's services over a folder's documents, all of them indexed."""
    async with running(settings_for(name, values)) as made:
        generation = await new_generation(made)
        container = made.lake_account.get_container_client(made.settings.lake_container)
        files = documents_in(folder)
        slots = asyncio.Semaphore(CONCURRENCY)

        async def take(file: Path) -> None:
            path = file.relative_to(folder).as_posix()
            async with slots:
                await container.upload_blob(path, await asyncio.to_thread(file.read_bytes), overwrite=True)
                outcome = await made.indexer.converge(path, generation)
                note(f"{name}: {path} {outcome.result} {outcome.added} chunks")

        await asyncio.gather(*(take(file) for file in files))
        yield made


def documents_in(folder: Path) -> list[Path]:
    """Return the files of a folder that are documents, in order."""
    return [file for file in sorted(folder.rglob("*")) if _is_document(file, folder)]


def _is_document(file: Path, folder: Path) -> bool:
    path = file.relative_to(folder).parts
    return (
        file.is_file()
        and not any(part.startswith(".") for part in path)
        and file.suffix != ".jsonl"
        and bool(file.suffix)
    )
