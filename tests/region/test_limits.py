"""The limits of one caller over HTTP, through the whole app, as somebody sets them who runs it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.region import Region

A_MINUTE = 1  # few, so that a slow machine does not earn another one meanwhile
BODY = json.dumps({"messages": [{"role": "user", "content": "What is the limit for a hotel night?"}]}).encode()


@pytest.fixture
def limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Region]:
    """A region over one document, started in an environment that has a limit."""
    monkeypatch.setenv("CHAT_REQUESTS_PER_MINUTE", str(A_MINUTE))
    monkeypatch.setenv("DOCUMENT_REQUESTS_PER_MINUTE", str(A_MINUTE))
    (tmp_path / "lake").mkdir()
    shutil.copy(ROOT / "sample-lake/policies/travel-and-expenses.md", tmp_path / "lake")
    started = Region(tmp_path / "lake", tmp_path / "data")
    started.start()
    yield started
    started.stop()


def test_a_caller_over_the_limit_is_told_when_to_come_back(limited: Region) -> None:
    """The environment's limit holds; a caller who claims another address each time is the same one, and is answered 429
    with the seconds to wait, as a whole answer and as a stream; and so it is for whatever opens documents.
    """
    replies = [
        limited.request("POST", path, BODY, {"X-Forwarded-For": f"10.0.0.{number}"})
        for number, path in enumerate(["/api/chat", "/api/chat", "/api/chat/stream"])
    ]
    assert [reply.status for reply in replies] == [200, 429, 429]
    for reply in replies[1:]:
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert 1 <= int(reply.headers["Retry-After"]) <= 60
        assert f"more than {A_MINUTE} questions a minute" in reply.json()["detail"]
    document = f"/api/documents/{replies[0].json()['context']['citations'][0]['document_id']}/versions"
    paths = [document, document, f"{document}/current", f"{document}/current/text", "/api/documents/problems"]
    opened = [limited.request("GET", path) for path in paths]
    assert [reply.status for reply in opened] == [200, 429, 429, 429, 429]
    for reply in opened[1:]:
        assert 1 <= int(reply.headers["Retry-After"]) <= 60
        assert f"more than {A_MINUTE} requests for documents a minute" in reply.json()["detail"]
