"""What the service promises across crashes and restarts, with the real process killed."""

import threading
from pathlib import Path

import pytest
from azure.core.exceptions import AzureError
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient

from tests.conftest import Service
from tests.local.search_service.conftest import KEY, books_index

BATCH = 25
RUNS = 30
FAST_RUNS = 6  # the others are in `make test-slow`


@pytest.mark.parametrize(
    "kill_after", [pytest.param(1 + run, marks=[pytest.mark.slow] * (run >= FAST_RUNS)) for run in range(RUNS)]
)
def test_killed_process_keeps_what_it_acknowledged_and_no_half_batch(tmp_path: Path, kill_after: int) -> None:
    """After kill -9 every acknowledged batch is there, and an unacknowledged one is whole or absent."""
    service = Service("local.search_service", "--data", str(tmp_path / "data"), log=tmp_path / "log")
    acknowledged: list[int] = []
    enough = threading.Event()

    def write() -> None:
        with SearchClient(service.url, "books", KEY, retry_total=0) as books:
            for number in range(10_000):
                documents = [{"id": f"{number}-{n}", "pages": number} for n in range(BATCH)]
                try:
                    books.upload_documents(documents)
                except AzureError:
                    return
                acknowledged.append(number)
                if len(acknowledged) >= kill_after:
                    enough.set()

    with SearchIndexClient(service.url, KEY) as admin:
        admin.create_index(books_index("books"))
    writer = threading.Thread(target=write)
    writer.start()
    enough.wait(30)
    service.kill()
    writer.join(30)

    again = Service("local.search_service", "--data", str(tmp_path / "data"), log=tmp_path / "log")
    with SearchClient(again.url, "books", KEY) as books:
        facets = books.search("*", facets=["pages,count:10000"], top=0).get_facets() or {}
    assert again.stop() == 0
    counts = {facet["value"]: facet["count"] for facet in facets["pages"]}
    assert set(counts.values()) == {BATCH}
    assert set(acknowledged) <= set(counts)
    assert len(counts) <= len(acknowledged) + 1


def test_keys_decide_who_may_do_what(tmp_path: Path) -> None:
    """With keys given, none is 401, a wrong one 403, and the query key only reads."""
    from azure.core.credentials import AzureKeyCredential
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

    arguments = ("--data", str(tmp_path / "data"), "--api-key", "admin", "--query-key", "reader")
    service = Service("local.search_service", *arguments, log=tmp_path / "log")
    with SearchIndexClient(service.url, AzureKeyCredential("admin")) as admin:
        admin.create_index(books_index("books"))
    with SearchClient(service.url, "books", AzureKeyCredential("reader")) as reader:
        assert reader.get_document_count() == 0
        with pytest.raises(HttpResponseError) as refused:
            reader.upload_documents([{"id": "1"}])
        assert refused.value.status_code == 403
    with (
        SearchIndexClient(service.url, AzureKeyCredential("wrong")) as stranger,
        pytest.raises((ClientAuthenticationError, HttpResponseError)),
    ):
        list(stranger.list_index_names())
    assert service.stop() == 0
