"""The in-memory models of the services answer as the services do, in everything that the app asks of them."""

import asyncio
import json
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, cast

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob.aio import BlobClient, BlobLeaseClient

from shared.embeddings.record import Record, StoredChunk
from shared.index.schema import SCALARS, VECTOR
from shared.lake.model import LakeDocument
from shared.settings import Settings
from shared.sync import indexed_chunks
from tests.conftest import new_generation, running
from tests.soak.blobs import BlobStore, Container, LeaseModel
from tests.soak.process import Network, Process
from tests.soak.search import DIMENSIONS, IndexStore, Model, Search, vector

KINDS = (ResourceNotFoundError, ResourceExistsError, ResourceModifiedError, HttpResponseError)


class Seen:
    """What a service answered, with names in the order of their appearance in place of ETags and version ids."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self._names: dict[str, str] = {}

    async def call(self, what: str, answer: Awaitable[Any]) -> Any:
        """Note a value, or the kind and status of an error."""
        try:
            value = await answer
        except HttpResponseError as error:
            kind = next(kind.__name__ for kind in KINDS if isinstance(error, kind))
            self.answers.append((what, kind, error.status_code))
            return None
        self.note(what, value if isinstance(value, list) else "done")
        return value

    def note(self, what: str, value: Any) -> None:
        """Note a value."""
        self.answers.append((what, value))

    def name(self, value: str | None) -> str | None:
        """Return the name of an ETag or a version id."""
        return None if value is None else self._names.setdefault(value, f"#{len(self._names)}")

    def properties(self, what: str, blob: Any) -> None:
        """Note the properties of a blob that the app reads."""
        told = (blob.name, blob.size, blob.metadata or {}, self.name(blob.version_id), bool(blob.is_current_version))
        self.note(what, told)
        # A listing gives ETags without quotes, in the service and in its SDK; the app takes them off everywhere.
        assert self.name((blob.etag or "").strip('"'))
        assert isinstance(blob.last_modified, datetime) and blob.last_modified.tzinfo is not None


async def _read(container: Any, name: str, **options: Any) -> Any:
    stream = await container.get_blob_client(name).download_blob(**options)
    return await stream.readall(), stream.properties


async def _listed(container: Any, seen: Seen, **options: Any) -> None:
    async for blob in container.list_blobs(**options):
        seen.properties("listed", blob)


async def _documents(container: Any) -> list[Any]:
    """Read, write, overwrite under conditions, relabel, delete and list, as the app and its users do."""
    seen, name, blob = Seen(), "a/b.md", container.get_blob_client("a/b.md")
    await seen.call("read what is not there", _read(container, name))
    await seen.call("properties of what is not there", blob.get_blob_properties())
    await seen.call("delete what is not there", container.delete_blob(name))
    await seen.call("write", container.upload_blob(name, b"one", metadata={"k": "v"}))
    await seen.call("write again without leave", blob.upload_blob(b"two"))
    first = await blob.get_blob_properties()
    seen.properties("first", first)
    await seen.call("overwrite", blob.upload_blob(b"two", overwrite=True))
    seen.properties("second", await blob.get_blob_properties())
    stale = {"etag": first.etag, "match_condition": MatchConditions.IfNotModified}
    await seen.call("overwrite what has changed", blob.upload_blob(b"three", overwrite=True, **stale))
    await seen.call("read what has changed", _read(container, name, **stale))
    fresh = {"etag": (await blob.get_blob_properties()).etag, "match_condition": MatchConditions.IfNotModified}
    content, _ = await _read(container, name, **fresh)
    seen.note("content", content)
    await seen.call("overwrite what is as known", blob.upload_blob(b"three", overwrite=True, **fresh))
    await blob.set_blob_metadata({"allowed_groups": "hr"})
    seen.properties("relabelled", await blob.get_blob_properties())
    await container.upload_blob("a.md", b"x")
    await _listed(container, seen)
    await _listed(container, seen, name_starts_with="a/", include=["metadata"])
    await _listed(container, seen, include=["metadata", "versions"])
    await seen.call("delete", container.delete_blob(name))
    await seen.call("read the deleted", _read(container, name))
    await _listed(container, seen)
    return seen.answers


async def _versions(container: Any) -> list[Any]:
    """Read versions, also of what is deleted, and list them."""
    seen, name = Seen(), "v.md"
    blob = container.get_blob_client(name)
    for content, group in ((b"one", "hr"), (b"two", "board"), (b"three", "hr")):
        await blob.upload_blob(content, overwrite=True, metadata={"allowed_groups": group})
    held = [found async for found in container.list_blobs(include=["versions"])]
    assert [found.version_id for found in held] == sorted(found.version_id for found in held)
    for found in held:
        content, _ = await _read(container, name, version_id=found.version_id)
        seen.note("content", (content, bool(found.is_current_version)))
        said = await blob.get_blob_properties(version_id=found.version_id)
        seen.note("said of it", (said.size, said.metadata, said.version_id == found.version_id))
    await container.delete_blob(name)
    async for found in container.list_blobs(include=["versions"]):
        seen.note("after deletion", (found.name, found.size, bool(found.is_current_version)))
    content, _ = await _read(container, name, version_id=held[0].version_id)
    seen.note("content of the deleted", content)
    never = "2020-01-01T00:00:00.0000000Z"
    await seen.call("a version that never was", _read(container, name, version_id=never))
    await seen.call("what is said of it", blob.get_blob_properties(version_id=never))
    await blob.upload_blob(b"again")
    async for found in container.list_blobs(include=["versions"]):
        seen.note("after the return", (found.name, found.size, bool(found.is_current_version)))
    return seen.answers


async def _leases(container: Any, stranger: Callable[[Any], Any]) -> list[Any]:
    """Take, keep and give back a lease; `stranger` makes one that was never granted."""
    seen, blob = Seen(), container.get_blob_client("lock")
    await seen.call("lease what is not there", blob.acquire_lease(15))
    await blob.upload_blob(b"")
    lease = await blob.acquire_lease(15)
    await seen.call("lease what is leased", blob.acquire_lease(15))
    await seen.call("renew", lease.renew())
    await seen.call("renew another's", stranger(blob).renew())
    await seen.call("release another's", stranger(blob).release())
    await seen.call("release", lease.release())
    await seen.call("lease what was given back", blob.acquire_lease(15))
    return seen.answers


async def _index(client: Any) -> list[Any]:
    """Upload, merge, delete and search, as the app does."""
    seen = Seen()
    version, groups = "2026-01-01T00:00:00.0000001Z", {"allowed_groups": "hr"}
    document = LakeDocument("c/d.md", "0x1", version, datetime(2026, 1, 1, tzinfo=UTC), 3, groups)
    stored = tuple(StoredChunk(text, "", None, n, n + 1) for n, text in enumerate(("ash", "elm", "fir")))
    chunks = indexed_chunks(document, "k", Record(None, stored, cast(Any, None)), "0" * 64, "p1")

    async def send(actions: list[dict[str, Any]]) -> list[Any]:
        body = BytesIO(json.dumps({"value": actions}).encode())
        results = await client.index_documents(cast(Any, body))
        return sorted((one.key, one.succeeded, one.status_code) for one in results)

    async def find(**options: Any) -> list[Any]:
        found = await client.search(search_text="*", select=[*SCALARS], **options)
        return [{name: one[name] for name in SCALARS} async for one in found]

    upload = [{"@search.action": "upload", **one.fields(), VECTOR: vector(one.content)} for one in chunks]
    await seen.call("upload", send(upload))
    await seen.call("merge", send([{"@search.action": "merge", "id": chunks[0].id, "allowed_groups": []}]))
    await seen.call("merge what is not there", send([{"@search.action": "merge", "id": "nobody", "ordinal": 1}]))
    delete = [{"@search.action": "delete", "id": key} for key in (chunks[1].id, "nobody")]
    await seen.call("delete, also what is not there", send(delete))
    await seen.call("of a document", find(filter="document_id eq 'k'", order_by=["id asc"], top=10))
    await seen.call("of another", find(filter="document_id eq 'l'", order_by=["id asc"], top=10))
    low, high = sorted((chunks[0].id, chunks[2].id))
    await seen.call("a range", find(filter=f"id gt '{low}' and id lt '{high}~'", order_by=["id asc"], top=10))
    await seen.call("the first", find(filter="document_id ge 'k' and document_id lt 'l'", order_by=["id asc"], top=1))
    return seen.answers


def _never_granted(blob: BlobClient) -> BlobLeaseClient:
    return BlobLeaseClient(blob, lease_id=str(uuid.uuid4()))


def _model(versioned: bool) -> Container:
    network = Network(random.Random(0))
    network.calm_down()
    return Container(BlobStore("model", versioned), Process(network))


def test_blobs_are_as_in_a_versioned_lake(settings: Settings) -> None:
    """Reading, writing, conditions and listings agree with the lake's."""

    async def real() -> list[Any]:
        async with running(settings) as app:
            return await _documents(app.lake_account.get_container_client(settings.lake_container))

    async def modelled() -> list[Any]:
        return await _documents(_model(versioned=True))

    assert asyncio.run(modelled()) == asyncio.run(real())


def test_versions_are_as_in_the_lake(settings: Settings) -> None:
    """Every write leaves a version that can be read, also after the blob is deleted."""

    async def real() -> list[Any]:
        async with running(settings) as app:
            return await _versions(app.lake_account.get_container_client(settings.lake_container))

    async def modelled() -> list[Any]:
        return await _versions(_model(versioned=True))

    assert asyncio.run(modelled()) == asyncio.run(real())


def test_blobs_and_leases_are_as_in_regional_storage(settings: Settings) -> None:
    """Without versioning the same holds, and a lease keeps others out until it is given back."""

    async def real() -> list[Any]:
        async with running(settings) as app:
            container = cast(Any, app.state)._container
            return [await _documents(container), await _leases(container, _never_granted)]

    async def modelled() -> list[Any]:
        model = _model(versioned=False)
        stranger = LeaseModel(model.store, model.process, "lock", "never granted")
        return [await _documents(_model(versioned=False)), await _leases(model, lambda blob: stranger)]

    assert asyncio.run(modelled()) == asyncio.run(real())


def test_the_index_is_as_in_the_search_service(settings: Settings) -> None:
    """Actions have the service's statuses, and searches find what the service finds."""
    narrow = replace(settings, embedding_dimensions=DIMENSIONS)

    async def real() -> list[Any]:
        async with running(narrow) as app:
            generation = await new_generation(app)
            return await _index(cast(Any, app.indexer.chunks(generation))._client)

    async def modelled() -> list[Any]:
        network = Network(random.Random(0))
        network.calm_down()
        return await _index(Search(IndexStore(), Process(network)))

    assert asyncio.run(modelled()) == asyncio.run(real())


def test_the_embedding_model_is_as_in_the_model_service(settings: Settings) -> None:
    """Equal texts have equal vectors, others have others, one for each in order."""

    async def ask(client: Any, model: str) -> list[Any]:
        reply = await client.embeddings.create(model=model, input=["ash", "elm", "ash"])
        one, two, three = (item.embedding for item in sorted(reply.data, key=lambda item: item.index))
        return [one == three, one == two, reply.usage.prompt_tokens > 0, [item.index for item in reply.data]]

    async def real() -> list[Any]:
        async with running(settings) as app:
            return await ask(app.model, settings.openai_embedding_model)

    async def modelled() -> list[Any]:
        network = Network(random.Random(0))
        network.calm_down()
        return await ask(Model(Process(network)), "m")

    assert asyncio.run(modelled()) == asyncio.run(real())
