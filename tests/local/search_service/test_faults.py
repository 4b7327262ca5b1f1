"""Injected faults, as the official SDK sees them: the real service's status, headers, retries and partial results."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient

from tests.conftest import Service
from tests.local.search_service.conftest import BOOKS, KEY, books_index

WRITE = r"search\.index"
SEARCH = r"search\.post\.search"


class Faulty:
    """A service with faults, an index of books in it, and a client that retries at once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = f"books-{uuid.uuid4().hex[:12]}"
        with SearchIndexClient(url, KEY) as admin:
            admin.create_index(books_index(self.name))
        self.books = SearchClient(url, self.name, KEY, retry_backoff_factor=0.01)

    def rule(self, **rule: Any) -> None:
        request = Request(f"{self.url}/-/faults", json.dumps(rule).encode(), method="POST")
        with urlopen(request) as reply:
            assert reply.status == 201

    def fired(self) -> list[int]:
        with urlopen(f"{self.url}/-/faults") as reply:
            return [rule["fired"] for rule in json.loads(reply.read())["rules"]]

    def clear(self) -> None:
        with urlopen(Request(f"{self.url}/-/faults", method="DELETE")):
            pass


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("faulty")
    service = Service("local.search_service", "--data", str(folder / "data"), "--faults", log=folder / "log")
    yield service.url
    assert service.stop() == 0


@pytest.fixture
def faulty(started: str) -> Iterator[Faulty]:
    made = Faulty(started)
    yield made
    made.books.close()
    made.clear()


@pytest.mark.parametrize("status", [429, 503])
def test_refused_request_is_retried_as_asked(faulty: Faulty, status: int) -> None:
    """A 429 or 503 with Retry-After is tried again by the SDK, as often as it was refused, and then succeeds."""
    faulty.rule(method="POST", path=WRITE, times=2, status=status, headers={"Retry-After": "0"})
    results = faulty.books.upload_documents([dict(book) for book in BOOKS])
    assert [result.status_code for result in results] == [201, 201, 201]
    assert faulty.fired() == [2]
    assert faulty.books.get_document_count() == 3


@pytest.mark.parametrize("status", [429, 503])
def test_refusal_without_end_is_raised_with_its_headers(faulty: Faulty, status: int) -> None:
    """Where the SDK does not retry, it raises with the service's status, error body and Retry-After."""
    faulty.rule(path=SEARCH, status=status)
    with pytest.raises(HttpResponseError) as refused:
        list(faulty.books.search("dog", retry_total=0))
    assert refused.value.status_code == status
    assert refused.value.response is not None
    assert getattr(refused.value.response, "headers")["Retry-After"] == "1"  # noqa: B009 (not in its type)
    assert "injected" in str(refused.value)


def test_partial_failure_names_the_actions_that_were_not_applied(faulty: Faulty) -> None:
    """Every second action of a batch is refused: 207, with its own status, and only the others are in the index."""
    faulty.rule(path=WRITE, times=1, extra={"fail_every": 2, "fail_status": 503})
    results = faulty.books.upload_documents([{"id": str(n)} for n in range(4)])
    assert [(result.key, result.succeeded, result.status_code) for result in results] == [
        ("0", True, 201),
        ("1", False, 503),
        ("2", True, 201),
        ("3", False, 503),
    ]
    assert results[1].error_message
    assert sorted(found["id"] for found in faulty.books.search("*")) == ["0", "2"]


def test_write_that_is_seen_later(faulty: Faulty) -> None:
    """With a visibility delay a write is acknowledged, survives, and can be searched only after a while."""
    faulty.rule(path=WRITE, times=1, extra={"visible_after_ms": 400})
    assert faulty.books.upload_documents([{"id": "1", "pages": 1}])[0].status_code == 201
    assert list(faulty.books.search("*")) == []
    # What is acknowledged counts for the next write, seen or not: this merge finds its document.
    assert faulty.books.merge_documents([{"id": "1", "genre": "novel"}])[0].status_code == 200
    while not (found := list(faulty.books.search("*"))):
        pass
    assert [(one["pages"], one["genre"]) for one in found] in ([(1, None)], [(1, "novel")])
    while next(iter(faulty.books.search("*")))["genre"] is None:
        pass


def test_request_that_is_lost_was_not_applied(faulty: Faulty) -> None:
    """A connection that breaks before the request is handled leaves nothing; the SDK raises or tries again."""
    faulty.rule(path=WRITE, times=1, drop="before")
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        faulty.books.upload_documents([{"id": "1"}], retry_total=0)
    assert faulty.books.get_document_count() == 0


def test_reply_that_is_lost_was_applied(faulty: Faulty) -> None:
    """A connection that breaks after the write leaves it done: sent again, the action finds its document there."""
    faulty.rule(path=WRITE, times=1, drop="after")
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        faulty.books.upload_documents([{"id": "1"}], retry_total=0)
    assert faulty.books.get_document_count() == 1
    assert faulty.books.upload_documents([{"id": "1"}])[0].status_code == 200


def test_slow_reply_runs_into_the_timeout(faulty: Faulty) -> None:
    """A reply that takes longer than the client waits is a timeout for the SDK."""
    faulty.rule(path=SEARCH, times=1, delay_ms=2_000)
    with pytest.raises(ServiceResponseError):
        list(faulty.books.search("*", read_timeout=0.2, retry_total=0))
    assert list(faulty.books.search("*")) == []


def test_faults_exist_only_when_asked_for(search_service: str, faulty: Faulty) -> None:
    """Without --faults the path is unknown; with it, a rule that cannot be taken is refused by name."""
    from urllib.error import HTTPError

    with pytest.raises(HTTPError) as unknown:
        urlopen(f"{search_service}/-/faults")
    assert unknown.value.code == 404
    unknown.value.close()
    with pytest.raises(HTTPError) as wrong:
        faulty.rule(extra={"fail_evry": 2})
    assert wrong.value.code == 400
    assert b"fail_evry" in wrong.value.read()
    wrong.value.close()


def test_log_says_what_each_request_did(tmp_path: Path) -> None:
    """Each request is one line with status, milliseconds, and how many actions or hits there were."""
    service = Service("local.search_service", "--data", str(tmp_path / "data"), log=tmp_path / "log")
    with SearchIndexClient(service.url, KEY) as admin, SearchClient(service.url, "books", KEY) as books:
        admin.create_index(books_index("books"))
        books.upload_documents([dict(book) for book in BOOKS])
        list(books.search("*", top=2))
    assert service.stop() == 0
    lines = (tmp_path / "log").read_text().splitlines()
    assert any("docs/search.index status=200 ms=" in line and "actions=3 failed=0" in line for line in lines)
    assert any("docs/search.post.search status=200 ms=" in line and "hits=2" in line for line in lines)
