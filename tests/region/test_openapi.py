"""The running app against its own description: whatever is sent, it answers as it says, and never with a fault."""

import json
import subprocess
import sys
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from docs.client import Answer, Filters, Found, Message, Problem, Warmlake
from shared.openapi.document import OPERATIONS
from tests.conftest import ROOT
from tests.region import Region, eventually

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
]
BODIES = [(operation.path, operation.method) for operation in OPERATIONS if operation.body]
GIVEN = BODIES + [(operation.path, operation.method) for operation in OPERATIONS if operation.parameters]
ALL = [(operation.path, operation.method) for operation in OPERATIONS] + [("/api/health", "get")]
CASES = [(GenerationMode.POSITIVE, *one) for one in ALL] + [(GenerationMode.NEGATIVE, *one) for one in GIVEN]
STATUSES = {
    "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409"]},
    "negative_data_rejection": {"expected-statuses": ["400", "404", "405", "413"]},
}
# A guard may refuse a rebuild that is asked for well: this lake has no replica to read.
GUARDED = {
    "include-path": "/api/recovery/rebuild",
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422"]}},
}
UNSAYABLE = ("/api/chat", "/api/chat/stream")  # no schema can say that the last message is the user's
EXAMPLES = 10
MANY = 100


@pytest.fixture(scope="module")
def document(region: Region) -> Any:
    """The description that the running app serves."""
    return region.get("/api/openapi.json")


@pytest.fixture(scope="module")
def api(region: Region, document: Any) -> Any:
    """The API to be tried."""
    # On one machine nobody is asked for a key.
    open_paths = {
        path: {method: {**operation, "security": []} for method, operation in methods.items()}
        for path, methods in document["paths"].items()
    }
    config = schemathesis.Config.from_dict(
        {"base-url": f"http://127.0.0.1:{region.port}", "checks": STATUSES, "operations": [GUARDED]}
    )
    return schemathesis.openapi.from_dict({**document, "paths": open_paths}, config=config)


def send(api: Any, path: str, method: str, mode: GenerationMode, examples: int) -> None:
    """Send so many generated requests to one operation and check every answer."""

    excluded = [positive_data_acceptance] if path in UNSAYABLE else []

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        # The worker's own server, which is Microsoft's, answers a path with a line break before the app sees it.
        assume(not any("\n" in unquote(str(value)) for value in (case.path_parameters or {}).values()))
        case.call_and_validate(checks=[check for check in CHECKS if check not in excluded])

    run()


def named(value: object) -> str:
    """Return how a case is called."""
    return value.value if isinstance(value, GenerationMode) else str(value).strip("/").replace("/", "-")


@pytest.mark.parametrize(("mode", "path", "method"), CASES, ids=named)
def test_whatever_is_sent_is_answered_as_described(api: Any, mode: GenerationMode, path: str, method: str) -> None:
    """Valid and invalid requests to every operation: no fault, and status, type, headers and body as described."""
    send(api, path, method, mode, EXAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "path", "method"), CASES, ids=named)
def test_many_requests_are_answered_as_described(api: Any, mode: GenerationMode, path: str, method: str) -> None:
    """The same with many more requests."""
    send(api, path, method, mode, MANY)


def test_every_line_of_a_stream_is_as_described(region: Region, document: Any) -> None:
    """The lines of a streamed answer conform to ChatEvent, the first and the last to their own kind."""
    reference = {"$ref": "#/components/schemas/ChatEvent", "components": document["components"]}
    validator = jsonschema_rs.validator_for(reference)
    asked = {"messages": [{"role": "user", "content": "What is the limit for a hotel night?"}]}
    reply = region.request("POST", "/api/chat/stream", json.dumps(asked).encode())
    lines = [json.loads(line) for line in reply.body.splitlines()]
    assert len(lines) > 2
    for line in lines:
        validator.validate(line)
    assert lines[-1]["done"] is True
    assert not validator.is_valid({"delta": {"text": "?"}})


def test_the_example_client_speaks_it(region: Region) -> None:
    """The client of docs/client.py asks, streams, opens the cited version, rates, and reads status and plans."""
    lake = Warmlake(f"http://127.0.0.1:{region.port}")
    answer = lake.ask("What is the limit for a hotel night?", filters=Filters(path="policies/"))
    cited = answer.citations[0]
    assert answer.answered
    assert "165 EUR" in answer.content
    assert lake.open(cited) == (region.lake / cited.path).read_bytes()
    assert [one.version_id for one in lake.versions(cited.document_id) if one.is_current] == [cited.version_id]
    history = [Message("user", answer.question), Message("assistant", answer.content)]
    found, *pieces, whole = lake.stream("And in Oslo?", history)
    assert isinstance(found, Found)
    assert isinstance(whole, Answer)
    assert "".join(str(piece) for piece in pieces) == whole.content
    lake.rate(answer, "up", "as it should be")
    kept = [json.loads(line) for line in region.request("GET", "/api/feedback").body.splitlines()]
    (own,) = [entry for entry in kept if entry["id"] == answer.id]
    assert (own["rating"], own["passages"][0]["passage"]) == ("up", cited.passage)
    assert lake.healthy()
    assert lake.status()["generation"] == answer.generation
    eventually(lambda: lake.rebuild_report()["status"] != "running", "no rebuild is under way")
    planned = lake.rebuild("only a plan", dry_run=True)
    eventually(lambda: lake.rebuild_report(planned)["status"] == "planned", "the plan is made")


def test_the_example_client_tells_what_is_refused(region: Region) -> None:
    """A refusal arrives as the service said it."""
    lake = Warmlake(f"http://127.0.0.1:{region.port}")
    with pytest.raises(Problem) as caught:
        lake.ask(" ")
    assert (caught.value.status, caught.value.title) == (400, "Bad request")
    assert "messages[0].content" in caught.value.detail
    with pytest.raises(Problem, match="404"):
        lake.versions("0" * 32)


def test_the_example_client_runs_as_a_program(region: Region) -> None:
    """One question on the command line prints the answer and its sources."""
    command = [sys.executable, "docs/client.py", f"http://127.0.0.1:{region.port}", "How much may a hotel night cost?"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "[1] policies/travel-and-expenses.md, version 20" in done.stdout
