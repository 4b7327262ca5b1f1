"""The benchmark of edits sees what it says that it sees: what was sent, what is absent, what is in two versions."""

import asyncio
import dataclasses
from collections.abc import Iterator

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient
from azure.search.documents.indexes.models import SearchableField, SearchIndex, SimpleField
from openai import OpenAI

from bench.boundary import Boundary, View, boundary
from bench.chunk_cost import curve
from bench.edits import Edit
from bench.replay import own, own_view, replay
from shared.settings import Settings
from tests.conftest import running

KEY = AzureKeyCredential("local")
BEFORE, AFTER = "The kettle is red.", "The kettle is blue."
SECTION = "Every paragraph of this handbook is long enough to be a chunk by itself, so that an edit costs one. " * 8


@pytest.fixture
def passing(model_service: str, search_service: str) -> Iterator[Boundary]:
    """A boundary before the real local services."""
    with boundary(model_service.removesuffix("/openai/v1"), search_service) as made:
        yield made


@pytest.fixture
def client(passing: Boundary) -> Iterator[SearchClient]:
    """A plain index behind the boundary, with a document's earlier version in it."""
    name, text = "plain", "Edm.String"
    fields = [
        SimpleField(name="id", type=text, key=True),
        SimpleField(name="path", type=text, filterable=True),
        SearchableField(name="content", type=text),
    ]
    url = passing.endpoint("plain", "search")
    with SearchIndexClient(url, KEY) as admin, SearchClient(url, name, KEY) as made:
        admin.create_index(SearchIndex(name=name, fields=fields))
        made.upload_documents([{"id": "old", "path": "a.md", "content": BEFORE}])
        passing.add("plain", View(name, lambda path: f"path eq '{path}'", "content"))
        yield made
        admin.delete_index(name)


def test_the_changed_text_is_that_of_new_lines() -> None:
    """Lines that were there before do not count, wherever they are moved; one that is repeated counts once more."""
    assert Edit("a.md", "one\ntwo\nthree", "three\ntwo!\none").changed == len("two!")
    assert Edit("a.md", "one", "one\none").changed == len("one")
    assert Edit("a.md", None, "one").changed == 0
    assert not Edit("a.md", "one", "one").is_edit


def test_the_curve_charges_only_chunks_that_the_version_before_had_not() -> None:
    """One edited section of two is sent again; the new document's own load is not charged."""
    before = f"# A\n\n## One\n\n{SECTION}\n\n## Two\n\n{SECTION}"
    after = before.replace("## Two\n\n", "## Two\n\nNow different. ")
    (found,) = curve([Edit("a.md", None, before), Edit("a.md", before, after)], [150])
    assert 1 <= found["reembedded_over_changed"] < 2
    assert found["embedded_tokens"] > 0 and found["reused_tokens"] > 0


def test_a_document_that_is_deleted_first_is_absent(passing: Boundary, client: SearchClient) -> None:
    """Between its deletion and its new chunks a reader finds nothing: that is counted once for the edit."""
    with passing.watching("plain", 7, Edit("a.md", BEFORE, AFTER)) as seen:
        client.delete_documents([{"id": "old"}])
        client.upload_documents([{"id": "new", "path": "a.md", "content": AFTER}])
    assert (seen.absent, seen.mixed, seen.probes) == ({7}, set(), 2)


def test_a_document_whose_old_chunks_go_last_is_in_two_versions(passing: Boundary, client: SearchClient) -> None:
    """Between the new chunks and the old ones' deletion a reader finds both."""
    with passing.watching("plain", 7, Edit("a.md", BEFORE, AFTER)) as seen:
        client.upload_documents([{"id": "new", "path": "a.md", "content": AFTER}])
        client.delete_documents([{"id": "old"}])
    assert (seen.absent, seen.mixed, seen.probes) == (set(), {7}, 2)


def test_what_is_sent_to_the_model_is_counted(passing: Boundary, client: SearchClient) -> None:
    """Characters, tokens and inputs are those of the calls that the model answered."""
    model = OpenAI(base_url=passing.endpoint("plain", "model") + "/openai/v1", api_key="local")
    with model:
        reply = model.embeddings.create(model="all-minilm-l6-v2-int8", input=[BEFORE, AFTER])
    seen = passing.seen["plain"]
    assert (seen.inputs, seen.characters, seen.tokens) == (2, len(BEFORE + AFTER), reply.usage.prompt_tokens)
    assert passing.texts("plain") == [BEFORE]


def test_the_app_is_never_absent_and_embeds_nothing_for_a_restore(settings: Settings, passing: Boundary) -> None:
    """A history with an edit, a rename and a restored version goes through the real services."""
    first, second = f"# A\n\n{SECTION}\n\n{BEFORE}", f"# A\n\n{SECTION}\n\n{AFTER}"
    history = [
        Edit("a.md", None, first),
        Edit("a.md", first, second),
        Edit("b.md", None, second),
        Edit("a.md", second, None),
        Edit("b.md", second, first),
    ]
    asyncio.run(_make_containers(settings))
    watched = dataclasses.replace(
        settings,
        openai_endpoint=passing.endpoint("app", "model") + "/openai/v1",
        search_endpoint=passing.endpoint("app", "search"),
    )
    with own(watched) as (index, apply, reused):
        found = replay(passing, "app", own_view(index), history, apply)
    assert (found.edits, found.repeated, found.repeated_inputs) == (2, 2, 0)
    assert (found.absent, found.mixed) == (0, 0)
    assert found.probes > 0 and found.sent > 0 and reused[0] > 0


async def _make_containers(settings: Settings) -> None:
    async with running(settings):
        pass
