"""Errors in the storage service's own form."""

from xml.sax.saxutils import escape

from aiohttp import web


class Refusal(Exception):
    """A request that is not carried out: HTTP status, the service's error code, a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> web.Response:
        """Return the XML error that the SDK understands."""
        text = escape(str(self))
        body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{self.code}</Code><Message>{text}</Message></Error>'
        headers = {"x-ms-error-code": self.code}
        return web.Response(body=body.encode(), status=self.status, content_type="application/xml", headers=headers)


def injected(request: web.Request, status: int) -> web.Response:
    """Return the error that an injected fault answers with."""
    code = {500: "InternalError", 503: "ServerBusy", 429: "ServerBusy", 409: "LeaseAlreadyPresent"}.get(
        status, "InjectedFault"
    )
    return Refusal(status, code, "A fault was injected.").response()
