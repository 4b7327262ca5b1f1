"""Errors as problem+json, and the tree that the docstring draws."""

import re

import pytest
from azure.core.exceptions import ServiceRequestError, ServiceResponseError

from shared import errors
from shared.errors import (
    BadRequest,
    CallerGone,
    Conflict,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    NotReady,
    Refused,
    SettingsError,
    Throttled,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    UnreadableDocument,
    WarmlakeError,
    problem,
)

ERRORS = [
    (BadRequest("the value 7 is wrong"), 400),
    (TooLarge("9 bytes; at most 4"), 413),
    (Unauthorized("sign in"), 401),
    (Forbidden("'Eve' may not"), 403),
    (NotFound("no such document 'x'"), 404),
    (MethodNotAllowed("PUT is not possible", frozenset({"GET"})), 405),
    (Conflict("already under way"), 409),
    (CallerGone("gone"), 499),
    (Refused("0 of 12 documents"), 422),
    (NotReady("no alias"), 503),
    (Throttled("later", 2.2), 503),
    (TooManyRequests("more than 60 questions a minute", 2.2), 429),
    (UnreadableDocument("encrypted", "a password protects it"), 422),
    (SettingsError("REGION is empty"), 500),
]


@pytest.mark.parametrize(("error", "status"), ERRORS, ids=lambda value: type(value).__name__)
def test_error_becomes_problem_json(error: WarmlakeError, status: int) -> None:
    """Status, title and message of an error raised on purpose are what the caller sees (RFC 9457)."""
    got, headers, body = problem(error)
    assert got == status == body["status"]
    assert headers["Content-Type"] == "application/problem+json"
    assert body["detail"] == str(error)
    assert body["type"] == "about:blank"
    assert body["title"] == error.title
    assert body["error"]["message"] == str(error)
    assert re.fullmatch("[a-z_]+", body["error"]["code"])


def test_unexpected_error_keeps_its_message_to_the_log() -> None:
    """What a library or a bug says may hold keys and addresses: the caller gets none of it."""
    status, headers, body = problem(RuntimeError("AccountKey=secret"))
    assert (status, body["status"], headers["Content-Type"]) == (500, 500, "application/problem+json")
    assert "secret" not in str(body)


def test_patience_is_rounded_up() -> None:
    """Retry-After is whole seconds, never fewer than asked; a service that is not ready names a wait too."""
    assert problem(Throttled("later", 2.2))[1]["Retry-After"] == "3"
    assert problem(Throttled("later", 0.0))[1]["Retry-After"] == "0"
    assert int(problem(NotReady("no alias"))[1]["Retry-After"]) > 0
    assert "Retry-After" not in problem(NotFound("x"))[1]


def test_wrong_method_lists_the_right_ones() -> None:
    """405 comes with Allow, in a stable order."""
    assert problem(MethodNotAllowed("no", frozenset({"POST", "GET"})))[1]["Allow"] == "GET, POST"
    assert "Allow" not in problem(BadRequest("x"))[1]


def test_dependency_that_does_not_answer_is_not_ready() -> None:
    """Where a service cannot be reached, or breaks off, the caller gets a 503 with a wait, and nothing of the fault."""
    for fault in (ServiceRequestError("10.0.0.4 refused"), ServiceResponseError("10.0.0.4 hung up")):
        status, headers, body = problem(fault)
        assert (status, "Retry-After" in headers, "10.0.0.4" in str(body["detail"])) == (503, True, False)


def test_every_error_is_tested_and_drawn() -> None:
    """The docstring's tree has every class of the module with its status, and this file has one of each."""
    classes = {made for made in vars(errors).values() if isinstance(made, type) and issubclass(made, WarmlakeError)}
    drawn = re.findall(r"── (\w+) +(\d{3})?", errors.__doc__ or "")
    assert {name for name, _ in drawn} == {made.__name__ for made in classes - {WarmlakeError}}
    assert {type(error) for error, _ in ERRORS} == classes - {WarmlakeError}
    for name, status in drawn:
        assert not status or getattr(errors, name).status == int(status)


def test_unreadable_document_carries_its_reason() -> None:
    """An operator can filter by the reason; the message says what was seen."""
    fault = UnreadableDocument("corrupt", "no trailer")
    assert (fault.reason, str(fault)) == ("corrupt", "no trailer")
