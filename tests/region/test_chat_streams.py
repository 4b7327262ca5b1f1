"""Streaming through a whole region: readers that go away over HTTP leave nothing in the app's process."""

import json
import random
import socket
import threading
from pathlib import Path
from typing import Any

from tests.region import Region, eventually, processes
from tests.shared.test_identity import principal

READERS = 32
BODY = json.dumps({"messages": [{"role": "user", "content": "What is the limit for a hotel night?"}]}).encode()


def host_of(region: Region) -> int:
    """Return the process of the app."""
    (host,) = [pid for pid, command in processes() if f"functions_host start --port {region.port}" in command]
    return host


def held(pid: int) -> tuple[int, int]:
    """Return how many threads and how many sockets a process has."""
    sockets = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue  # closed while it was looked at
    return len(list(Path(f"/proc/{pid}/task").iterdir())), sockets


def read_some(region: Region, most: int) -> int:
    """Ask for a stream and close the connection after so many bytes; 0 before the answer begins. Returns bytes read."""
    head = (
        "POST /api/chat/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    )
    taken = 0
    with socket.create_connection(("127.0.0.1", region.port), timeout=60) as connection:
        connection.sendall(head.encode() + BODY)
        while taken < most and (part := connection.recv(min(2048, most - taken))):
            taken += len(part)
            if b'"done":true' in part:
                break
    return taken


def round_of(region: Region, sizes: list[int]) -> list[int]:
    """Let one reader for each size read at once; return what each has read."""
    read = [0] * len(sizes)

    def one(number: int) -> None:
        read[number] = read_some(region, sizes[number])

    readers = [threading.Thread(target=one, args=(number,)) for number in range(len(sizes))]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return read


def test_readers_that_go_away_leave_nothing_behind(region: Region) -> None:
    """After 32 readers at once, each gone at a moment of its own, the app has no more threads or sockets than after 32
    that stayed to the end, and the next reader gets a whole answer.
    """
    chance = random.Random(5)
    host = host_of(region)
    before = len(region.log.read_text())
    whole = round_of(region, [10**6] * READERS)
    assert min(whole) > 1000
    threads, sockets = held(host)
    for _ in range(2):
        sizes = [chance.choice([0, 1, 200, 3000, chance.randint(1, 20_000)]) for _ in range(READERS)]
        read = round_of(region, sizes)
        assert all(taken <= size for taken, size in zip(read, sizes, strict=True))
    eventually(lambda: held(host)[0] <= threads + 1, f"no more than {threads} threads", region.log)
    eventually(lambda: held(host)[1] <= sockets, f"no more than {sockets} sockets", region.log)
    (last,) = round_of(region, [10**6])
    assert last > 1000
    assert "Traceback" not in region.log.read_text()[before:]


def asked(region: Region, **context: Any) -> Any:
    """Return the reply to the question with a context."""
    reply = region.request("POST", "/api/chat", json.dumps({**json.loads(BODY), "context": context}).encode())
    assert reply.status == 200, reply.body
    return reply.json()


def test_what_a_request_can_ask_for(region: Region) -> None:
    """Filters, follow-ups and debug context go through the whole app."""
    reply = asked(region, debug=True, follow_ups=True, filters={"path": "policies/"})
    context = reply["context"]
    assert {hit["path"].split("/")[0] for hit in context["debug"]["hits"]} == {"policies"}
    assert context["debug"]["filter"] == "((path ge 'policies/' and path lt 'policies0'))"
    assert context["follow_ups"]
    assert all(question.endswith("?") for question in context["follow_ups"])
    assert context["checks"]["supported"] >= 1
    assert context["usage"]["total_tokens"] > 100
    assert asked(region, filters={"path": "people/"})["context"]["citations"] == []
    assert asked(region, filters={"path": "policies"})["context"]["citations"] == context["citations"]


def test_claims_of_a_caller_open_nothing(region: Region) -> None:
    """A folder that a rule closes is closed to whoever sends a forged identity: in answers, links and status."""
    question = "What is the codeword of project zebra?"
    folder = region.lake / "closed"
    folder.mkdir()
    (folder / "zebra.md").write_text("# Zebra\n\nThe codeword of project zebra is zq-seventeen.\n")
    eventually(lambda: region.answers(question, "zq-seventeen"), "the document answers")
    cited = region.ask(question)["context"]["citations"][0]
    rules = region.lake / ".warmlake"
    rules.mkdir()
    (rules / "access.json").write_text('{"folders": [{"folder": "closed/", "allowed_groups": ["zoo"]}]}')
    eventually(lambda: not region.answers(question, "zq-seventeen"), "the rule holds")
    claims = principal(("name", "Eve"), ("groups", "zoo"))
    body = json.dumps({"messages": [{"role": "user", "content": question}], "context": {"debug": True}}).encode()
    for path in ("/api/chat", "/api/chat/stream"):
        reply = region.request("POST", path, body, claims)
        assert reply.status == 200
        assert b"zq-seventeen" not in reply.body
        assert b"closed/" not in reply.body
        assert b"closed0" not in reply.body
    for address in (cited["url"], f"/api/documents/{cited['document_id']}/versions"):
        assert region.request("GET", address, None, claims).status == 404
    assert region.get("/api/status")["newest"]["path"] is None
