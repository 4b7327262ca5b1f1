"""What stands before an app on Azure and is not there on one machine: the front end's own headers."""

from aiohttp import web
from multidict import CIMultiDict

FORWARDED_FOR = "X-Forwarded-For"


def passed_on(request: web.Request) -> "CIMultiDict[str]":
    """Return a request's headers as the front end passes them on.

    It adds the address and port that it sees to `X-Forwarded-For`. So the last entry is always the host's word,
    whatever the client has claimed before it.
    """
    headers = CIMultiDict(request.headers)
    if seen := _peer(request):
        headers[FORWARDED_FOR] = ", ".join([*headers.popall(FORWARDED_FOR, []), seen])
    return headers


def _peer(request: web.Request) -> str:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if not peer:
        return request.remote or ""
    address, port = peer[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
