"""Errors as the service words them: status, code, message."""

from typing import Any


class ServiceError(Exception):
    """An error answer. `code` is the service's own name for it, "" where it gives none."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def body(self) -> dict[str, Any]:
        """Return the error object."""
        return {"error": {"code": self.code, "message": str(self)}}


def bad_request(message: str, code: str = "InvalidRequestParameter") -> ServiceError:
    """Return a 400."""
    return ServiceError(400, message, code)


def unsupported(what: str) -> ServiceError:
    """Return a 400 for what the real service can do and this one cannot."""
    return ServiceError(400, f"{what} is not supported by this local search service", "NotSupportedLocally")
