"""Random sequences of changes against a model of what the service documents."""

import os
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient, RetentionPolicy
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from local.azurite import Azurite
from tests.conftest import Service, lake_connection
from tests.local.lake.support import version_id

NAMES = ("a", "a/b", "ö c")
EXAMPLES, LONGEST = 200, 40  # sequences at most, and steps in one at most
SECONDS = 20.0  # no further sequence is begun after that
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))  # printed when the test fails

names = st.sampled_from(NAMES)
which = st.integers(min_value=0, max_value=9)
steps = st.one_of(
    st.tuples(st.just("put"), names, which),
    st.tuples(st.just("delete"), names, which),
    st.tuples(st.just("promote"), names, which),
    st.tuples(st.just("describe"), names, which),
    st.tuples(st.just("delete_version"), names, which),
    st.tuples(st.just("undelete"), names, which),
)


@dataclass
class Kept:
    """A version as it should be."""

    version_id: str
    content: bytes
    metadata: dict[str, str]
    is_current: bool = True
    deleted: bool = False


@dataclass
class Model:
    """What the lake should hold: versions by name, oldest first."""

    blobs: dict[str, list[Kept]] = field(default_factory=lambda: {name: [] for name in NAMES})

    def current(self, name: str) -> Kept | None:
        """Return the current version."""
        return next((kept for kept in self.blobs[name] if kept.is_current), None)

    def add(self, name: str, made: Any, content: bytes, metadata: dict[str, str]) -> None:
        """Every write makes a new version current."""
        for kept in self.blobs[name]:
            kept.is_current = False
        self.blobs[name].append(Kept(version_id(made), content, metadata))


def take(step: tuple[str, str, int], lake: ContainerClient, model: Model) -> None:
    """Do one step in the lake and in the model; what cannot be done must be refused."""
    action, name, number = step
    blob, current, known = lake.get_blob_client(name), model.current(name), model.blobs[name]
    kept = [one for one in known if not one.deleted]
    chosen = kept[number % len(kept)] if kept else None
    if action == "put":
        body = f"{name} {number}".encode()
        made = blob.upload_blob(body, overwrite=True, metadata={"n": str(number)})
        model.add(name, made["version_id"], body, {"n": str(number)})
    elif action == "delete":
        try:
            blob.delete_blob()
            assert current
            current.is_current = False
        except ResourceNotFoundError:
            assert current is None
    elif action == "describe":
        try:
            made = blob.set_blob_metadata({"d": str(number)})
            assert current
            model.add(name, made["version_id"], current.content, {"d": str(number)})
        except ResourceNotFoundError:
            assert current is None
    elif chosen and action == "promote":
        made = blob.start_copy_from_url(f"{blob.url}?versionid={chosen.version_id}")
        model.add(name, made["version_id"], chosen.content, chosen.metadata)
    elif chosen and action == "delete_version":
        try:
            blob.delete_blob(version_id=chosen.version_id)
            assert not chosen.is_current
            chosen.deleted = True
        except HttpResponseError as refused:
            assert (refused.status_code, chosen.is_current) == (403, True)
    elif action == "undelete":
        try:
            blob.undelete_blob()
            assert known
        except ResourceNotFoundError:
            assert not known
        for one in known:
            one.deleted = False


def compare(lake: ContainerClient, model: Model) -> None:
    """The lake holds what the model holds: listings, contents and metadata of every version."""
    listed = [
        (blob.name, blob.version_id, bool(blob.is_current_version), blob.metadata or {}, blob.size)
        for blob in lake.list_blobs(include=["versions", "metadata"])
    ]
    assert listed == [
        (name, kept.version_id, kept.is_current, kept.metadata, len(kept.content))
        for name in sorted(NAMES)
        for kept in model.blobs[name]
        if not kept.deleted
    ]
    hidden = [(blob.name, blob.version_id) for blob in lake.list_blobs(include=["versions", "deleted"]) if blob.deleted]
    assert hidden == [(name, kept.version_id) for name in sorted(NAMES) for kept in model.blobs[name] if kept.deleted]
    assert sorted(lake.list_blob_names()) == sorted(name for name in NAMES if model.current(name))
    for name in NAMES:
        blob, current = lake.get_blob_client(name), model.current(name)
        for kept in model.blobs[name]:
            if kept.deleted:
                with pytest.raises(ResourceNotFoundError):
                    blob.download_blob(version_id=kept.version_id)
                continue
            read = blob.download_blob(version_id=kept.version_id)
            assert (read.readall(), read.properties.metadata) == (kept.content, kept.metadata)
        if current:
            now = blob.download_blob()
            assert (now.readall(), now.properties.version_id) == (current.content, current.version_id)


@pytest.fixture(scope="module")
def retaining(own_azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobServiceClient]:
    """A lake that retains deleted versions for a week."""
    folder = tmp_path_factory.mktemp("retaining")
    arguments = ["--azurite-blob-port", str(own_azurite.blob_port), "--data", str(folder / "lake")]
    running = Service("local.lake", *arguments, log=folder / "log")
    with BlobServiceClient.from_connection_string(lake_connection(running.url), retry_total=0) as client:
        client.set_service_properties(delete_retention_policy=RetentionPolicy(enabled=True, days=7))
        yield client
        client.set_service_properties(delete_retention_policy=RetentionPolicy(enabled=False))
    assert running.stop() == 0


@dataclass
class Budget:
    """Until when sequences are begun. One that failed is repeated for as long as it takes to make it short."""

    ends: float
    failed: bool = False

    def spent(self) -> bool:
        """Whether no further sequence is to be begun."""
        return not self.failed and time.monotonic() > self.ends


@pytest.fixture(scope="module")
def budget() -> Budget:
    """The time for all sequences, from now on."""
    print(f"SEED={SEED}")
    return Budget(time.monotonic() + SECONDS)


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequence=st.lists(steps, max_size=LONGEST))
def test_random_sequences(retaining: BlobServiceClient, budget: Budget, sequence: list[tuple[str, str, int]]) -> None:
    """Whatever is done in whatever order, the lake holds what the documented rules say."""
    if budget.spent():
        return
    lake = retaining.create_container(f"s{uuid.uuid4().hex}")
    try:
        model = Model()
        for step in sequence:
            take(step, lake, model)
        compare(lake, model)
    except BaseException:
        budget.failed = True
        raise
    finally:
        lake.delete_container()
