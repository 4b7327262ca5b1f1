"""One whole region, as `make run` starts it: documents in a folder, answers over HTTP, a rebuild, bad input."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.region import Region, eventually

QUESTIONS: list[dict[str, Any]] = json.loads((ROOT / "sample-lake" / ".questions.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("question", QUESTIONS[:3], ids=lambda question: question["path"])
def test_sample_questions_are_answered_with_a_citation_that_opens(region: Region, question: dict[str, Any]) -> None:
    """The questions that `make run` suggests are answered, and their citations open the cited version."""
    reply = region.ask(question["question"])
    assert question["answer_contains"] in reply["message"]["content"]
    citation = reply["context"]["citations"][0]
    opened = region.request("GET", citation["url"])
    assert opened.status == 200
    assert opened.headers["X-Version-Id"] == citation["version_id"]
    assert opened.body == (region.lake / citation["path"]).read_bytes()
    current = f"/api/documents/{citation['document_id']}/versions/current"
    again = region.request("GET", current, None, {"If-None-Match": opened.headers["ETag"]})
    assert (again.status, again.body, again.headers["Cache-Control"]) == (304, b"", "private, no-cache")


def test_stream_is_newline_delimited_json(region: Region) -> None:
    """A streamed answer arrives as JSON lines: passages, deltas, and the citations at the end."""
    body = json.dumps({"messages": [{"role": "user", "content": QUESTIONS[0]["question"]}]}).encode()
    reply = region.request("POST", "/api/chat/stream", body)
    events = [json.loads(line) for line in reply.body.splitlines()]
    assert reply.headers["Content-Type"].startswith("application/jsonl")
    assert events[0]["context"]["citations"]
    assert (
        "".join(event["delta"].get("content", "") for event in events)
        == region.ask(QUESTIONS[0]["question"])["message"]["content"]
    )
    assert events[-1]["done"] is True


def test_edits_in_the_folder_reach_the_answers(region: Region) -> None:
    """A document added, edited and deleted in the folder is reflected in answers with no command given."""
    question = "What does a parking place in Boden cost?"
    file = region.lake / "operations" / "parking.md"
    file.write_text("# Parking\n\nA parking place in Boden costs 12 EUR a week.\n")
    eventually(lambda: region.answers(question, "12 EUR"), "the new document answers")
    file.write_text("# Parking\n\nA parking place in Boden costs 14 EUR a week.\n")
    eventually(lambda: region.answers(question, "14 EUR"), "the edited document answers")
    key = region.ask(question)["context"]["citations"][0]["document_id"]
    versions = region.get(f"/api/documents/{key}/versions")["versions"]
    assert [version["is_current"] for version in versions] == [True, False]
    assert b"12 EUR" in region.request("GET", versions[1]["url"]).body
    file.unlink()
    eventually(lambda: not region.answers(question, "14 EUR"), "the deleted document no longer answers")
    assert region.request("GET", f"/api/documents/{key}/versions").status == 404


def test_unreadable_document_does_not_stop_the_others(region: Region) -> None:
    """A corrupt file is listed with its reason, and the document beside it is indexed."""
    (region.lake / "broken.pdf").write_bytes(b"%PDF-1.7 cut off")
    (region.lake / "whole.md").write_text("# Whole\n\nThe colour of the whole document is teal-seven.\n")
    eventually(lambda: region.answers("Which colour has the whole document?", "teal-seven"), "the good one answers")
    eventually(lambda: bool(region.get("/api/documents/problems")["problems"]), "the corrupt one is listed")
    (problem,) = region.get("/api/documents/problems")["problems"]
    assert (problem["path"], problem["reason"]) == ("broken.pdf", "corrupt")
    (region.lake / "broken.pdf").unlink()
    eventually(lambda: not region.get("/api/documents/problems")["problems"], "the problem ends with the document")


def test_rebuild_swaps_generations_while_chat_answers(region: Region) -> None:
    """A rebuild makes a new generation that embeds nothing, a second one meanwhile gets 409, and no question fails."""
    before = region.get("/api/status")
    stop, failures = threading.Event(), list[str]()

    def keep_asking() -> None:
        while not stop.is_set():
            if not region.answers(QUESTIONS[0]["question"], QUESTIONS[0]["answer_contains"]):
                failures.append("a wrong answer during the rebuild")

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        started = region.request("POST", "/api/recovery/rebuild", b'{"reason": "test"}')
        second = region.request("POST", "/api/recovery/rebuild")
        assert (started.status, second.status) == (202, 409)
        assert second.headers["Content-Type"] == "application/problem+json"
        url = started.headers["Location"]
        eventually(lambda: region.get(url)["status"] != "running", "the rebuild ends", region.log)
    finally:
        stop.set()
        asking.join()
    report = region.get(url)
    after = region.get("/api/status")
    assert failures == []
    assert report["status"] == "completed", report
    assert report["chunks"] == {"added": before["chunks"], "removed": 0, "embedded": 0}
    assert after["generation"] == report["plan"]["generation"] != before["generation"]
    assert (after["documents"], after["chunks"]) == (before["documents"], before["chunks"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "named"),
    [
        ("GET", "/nowhere", None, 404, "/nowhere"),
        ("GET", "/api/nothing/here", None, 404, "/api/nothing/here"),
        ("DELETE", "/api/chat", None, 405, "POST"),
        ("PUT", "/api/documents/abc/versions", None, 405, "GET"),
        ("POST", "/api/chat", b"{not json", 400, "not JSON"),
        ("POST", "/api/chat", b"[1]", 400, "object"),
        ("POST", "/api/chat", b"{}", 400, "messages"),
        ("POST", "/api/chat", b'{"messages": [{"role": "user", "content": "x"}], "top": 3}', 400, "top"),
        ("POST", "/api/chat", b'{"messages": [{"role": "robot", "content": "x"}]}', 400, "robot"),
        ("POST", "/api/chat/stream", b'{"messages": []}', 400, "messages"),
        (
            "POST",
            "/api/chat",
            json.dumps({"messages": [{"role": "user", "content": "x" * 9000}]}).encode(),
            413,
            "8000",
        ),
        ("POST", "/api/recovery/rebuild", b'{"souce": "primary"}', 400, "souce"),
        ("GET", "/api/recovery/20000101000000", None, 404, "20000101000000"),
        ("GET", "/api/documents/xyz/versions/current", None, 404, "xyz"),
        ("GET", "/web/..%2ffunction_app.py", None, 404, "/web/"),
    ],
)
def test_bad_input_gets_problem_json(
    region: Region, method: str, path: str, body: bytes | None, status: int, named: str
) -> None:
    """What cannot be answered gets problem+json with the right status, naming the value or the way out."""
    reply = region.request(method, path, body)
    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    problem = reply.json()
    assert problem["status"] == status
    assert named in problem["detail"]


@pytest.mark.parametrize("path", ["/", "/web/style.css", "/api/status", "/api/suggestions", "/api/documents/problems"])
def test_no_browser_guesses_what_an_answer_is(region: Region, path: str) -> None:
    """Pages, files and JSON alike are what their type says, and say so once."""
    reply = region.request("GET", path)
    assert reply.headers.get_all("X-Content-Type-Options") == ["nosniff"]


def test_health_and_status_name_the_generation(region: Region) -> None:
    """A ready region is healthy, and its status says what it serves from."""
    health, status = region.get("/api/health"), region.get("/api/status")
    checks = {"switch": "", "index": "", "model": ""}
    assert health == {"status": "healthy", "checks": checks, "warnings": {"pipeline": ""}}
    assert status["ready"] is True
    assert status["generation"].startswith("documents-")
    assert status["documents"] == len([file for file in region.lake.rglob("*.*") if "/." not in str(file)])


def test_taken_port_is_one_clear_line(region: Region, tmp_path: Path) -> None:
    """A port in use stops the start with one line that names it and the way out."""
    arguments = ["run", "--port", str(region.port), "--data", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "local", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"warmlake: port {region.port} is taken; stop what listens there, or choose another: make run PORT=7072"
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [(["--lake", "no/such/folder"], 1, "no/such/folder"), (["--model", "no-such.gguf"], 2, "no-such.gguf")],
)
def test_wrong_folder_or_model_is_one_clear_line(arguments: list[str], code: int, named: str, tmp_path: Path) -> None:
    """A folder or model file that does not exist is named in one line."""
    command = [sys.executable, "-m", "local", "run", "--data", str(tmp_path), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert named in done.stderr
