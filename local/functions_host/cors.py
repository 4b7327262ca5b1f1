"""Cross-origin requests, as Core Tools allows them: `--cors`, or `Host.CORS` in local.settings.json."""

from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import hdrs, web

from local.functions_host.model import HostError

ANY = "*"


@dataclass(frozen=True, slots=True)
class Cors:
    """The origins whose pages may call the app, and whether with credentials. Any method and header is allowed."""

    origins: frozenset[str]
    credentials: bool = False

    def preflight(self, request: web.Request) -> web.Response | None:
        """Return the answer to a browser's question before a request, or None when it is not one."""
        method = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD)
        if request.method != hdrs.METH_OPTIONS or hdrs.ORIGIN not in request.headers or method is None:
            return None
        response = web.Response(status=204)
        if self._allows(request.headers[hdrs.ORIGIN]):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = method
            wanted = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
            if wanted:
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = wanted
        return response

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Say in a response that the request's origin may read it."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or not self._allows(origin):
            return
        any_origin = ANY in self.origins
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = ANY if any_origin else origin
        if not any_origin:
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        if self.credentials:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"

    def _allows(self, origin: str) -> bool:
        return ANY in self.origins or origin.lower() in self.origins


def parse_cors(origins: Iterable[str], credentials: bool) -> Cors | None:
    """Return what is allowed; None when no origin is. Raises HostError for what browsers do not take."""
    named = frozenset(origin.strip().rstrip("/").lower() for origin in origins if origin.strip())
    if ANY in named and credentials:
        raise HostError("CORS: credentials cannot be allowed together with '*'; name the origins")
    return Cors(named, credentials) if named else None
