"""Every error that Warmlake raises on purpose.

    WarmlakeError
    ├── SettingsError           the configuration is wrong; lists every fault with its remedy
    ├── BadRequest              400  the caller's input is wrong
    │   └── TooLarge            413  the caller's input is over a limit
    ├── Unauthorized            401  nobody is known to be calling
    ├── Forbidden               403  the caller may not do this
    ├── NotFound                404  no such document, version or rebuild
    ├── MethodNotAllowed        405  the route exists, but not for this method
    ├── Conflict                409  the same work is already running
    ├── CallerGone              499  nobody waits for the answer any more; its work was stopped
    ├── TooManyRequests         429  the caller asks too much; carries the seconds to wait
    ├── Refused                 422  understood, but a guard stopped it; `force` may be the way out
    ├── NotReady                503  the index or a dependency is not there yet
    ├── Throttled               503  a dependency asked us to wait; carries the seconds
    └── UnreadableDocument      a document that cannot become text; it is quarantined, never retried blindly

Infrastructure faults (azure-core, openai) are not wrapped: a trigger that sees one fails, and is tried again. To who
asks over HTTP a service that does not answer is 503, like any other dependency that is not there.
"""

import math
from typing import Any

from azure.core.exceptions import ServiceRequestError, ServiceResponseError

NOT_READY_RETRY_AFTER = 10  # seconds; the health check looks again that often


class WarmlakeError(Exception):
    """Base of all errors raised on purpose. `status` is the HTTP status a trigger answers with."""

    status = 500
    title = "Internal error"


class SettingsError(WarmlakeError):
    """The configuration is wrong. The message has one line for each fault, with its remedy."""

    title = "Configuration error"


class BadRequest(WarmlakeError):
    """The caller's input is wrong; the message names the value and the way out."""

    status = 400
    title = "Bad request"


class TooLarge(BadRequest):
    """The caller's input is over a limit; the message names the limit."""

    status = 413
    title = "Content too large"


class Unauthorized(WarmlakeError):
    """Nobody is known to be calling; the message says how to become somebody."""

    status = 401
    title = "Unauthorized"


class Forbidden(WarmlakeError):
    """The caller is known and may not do this."""

    status = 403
    title = "Forbidden"


class NotFound(WarmlakeError):
    """There is no such thing; the message names it."""

    status = 404
    title = "Not found"


class MethodNotAllowed(WarmlakeError):
    """The route exists, but not for this method. `allowed` has the methods that it takes."""

    status = 405
    title = "Method not allowed"

    def __init__(self, message: str, allowed: frozenset[str]) -> None:
        super().__init__(message)
        self.allowed = allowed


class Conflict(WarmlakeError):
    """The same work is already under way."""

    status = 409
    title = "Conflict"


class CallerGone(WarmlakeError):
    """The caller went away; what was done for them was stopped. Nobody reads this answer, but the log does."""

    status = 499
    title = "Caller gone"


class Refused(WarmlakeError):
    """A guard stopped the act, with the numbers that made it do so."""

    status = 422
    title = "Refused"


class NotReady(WarmlakeError):
    """The index, or something it depends on, cannot serve yet."""

    status = 503
    title = "Not ready"


class Throttled(WarmlakeError):
    """A dependency asked for patience. `retry_after` is in seconds."""

    status = 503
    title = "Too busy"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyRequests(Throttled):
    """The caller asks more than one caller may. `retry_after` is in seconds."""

    status = 429
    title = "Too many requests"


class UnreadableDocument(WarmlakeError):
    """A document that cannot become text.

    `reason` is one of the fixed words an operator can filter by: encrypted, corrupt, image_only, empty, too_large,
    too_many_pages, timeout, memory, unknown_type, refused (by the search service). The message says what was seen.
    """

    status = 422
    title = "Unreadable document"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def problem(error: BaseException) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return status, headers and body of an error as problem+json (RFC 9457), with code and message once more in the
    member `error`, where clients of the AI Chat Protocol look for them.

    Only errors raised on purpose show their message: what an unexpected one says may not be for the caller's eyes.
    """
    headers = {"Content-Type": "application/problem+json"}
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        error = NotReady("a service that this app depends on does not answer; the log has which")
    if not isinstance(error, WarmlakeError):
        error = WarmlakeError("an unexpected error occurred; the log has it")
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    elif isinstance(error, NotReady):
        headers["Retry-After"] = str(NOT_READY_RETRY_AFTER)
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed))
    told = {"code": error.title.lower().replace(" ", "_"), "message": str(error)}
    body = {"type": "about:blank", "title": error.title, "status": error.status, "detail": str(error), "error": told}
    return error.status, headers, body
