"""HTTP functions that take a whole request and give a whole response (`func.HttpRequest`, `func.HttpResponse`)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

from aiohttp import hdrs, web

from local.functions_host.front_end import passed_on
from local.functions_host.protos import RpcHttp, RpcHttpCookie, TypedData
from local.functions_host.worker import Result

# The server writes these itself; a copy from the function would contradict it.
SERVER_HEADERS = frozenset({"transfer-encoding", "connection", "content-length", "keep-alive"})
SAME_SITE = {1: "lax", 2: "strict", 3: "none"}


def to_rpc(request: web.Request, body: bytes, values: Mapping[str, str]) -> TypedData:
    """Return a request as the worker takes it: header names in lower case, repeated values joined by commas."""
    headers: dict[str, str] = {}
    for name, value in passed_on(request).items():
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    query: dict[str, str] = {}
    for name, value in request.query.items():
        if value:  # the protocol carries no empty query values
            query[name] = f"{query[name]},{value}" if name in query else value
    return TypedData(
        http=RpcHttp(
            method=request.method,
            url=f"{request.scheme}://{request.host}{request.raw_path}",
            headers=headers,
            params=dict(values),
            query=query,
            body=TypedData(bytes=body) if body else None,
        )
    )


def to_response(result: Result, return_name: str) -> web.Response:
    """Return the HTTP response that a function's result means."""
    value = result.outputs.get(return_name) or result.value
    if value is None:
        return web.Response(status=204)
    if value.WhichOneof("data") == "http":
        return _from_rpc(value.value())
    return _plain(value)


def _plain(value: TypedData) -> web.Response:
    content = value.value()
    if isinstance(content, bytes):
        return web.Response(body=content, content_type="application/octet-stream")
    if value.WhichOneof("data") == "json":
        return web.Response(text=str(content), content_type="application/json")
    return web.Response(text=str(content), content_type="text/plain")


def _from_rpc(http: RpcHttp) -> web.Response:
    content = http.body.value()
    body = content if isinstance(content, bytes) else str(content or "").encode()
    response = web.Response(status=int(http.status_code or 200), body=body)
    for name, value in http.headers.items():
        if name.lower() not in SERVER_HEADERS:
            response.headers[name] = value
    for cookie in http.cookies:
        response.headers.add(hdrs.SET_COOKIE, cookie_line(cookie))
    return response


def cookie_line(cookie: RpcHttpCookie) -> str:
    """Return a Set-Cookie value as ASP.NET writes it: the value percent-encoded, attributes in its order."""
    parts = [f"{cookie.name}={quote(cookie.value, safe='')}"]
    if cookie.expires:
        parts.append(
            "expires=" + format_datetime(datetime.fromtimestamp(cookie.expires.value.seconds, UTC), usegmt=True)
        )
    if cookie.max_age:
        parts.append(f"max-age={int(cookie.max_age.value)}")
    if cookie.domain and cookie.domain.value:
        parts.append(f"domain={cookie.domain.value}")
    if cookie.path and cookie.path.value:
        parts.append(f"path={cookie.path.value}")
    if cookie.secure and cookie.secure.value:
        parts.append("secure")
    if cookie.same_site in SAME_SITE:
        parts.append(f"samesite={SAME_SITE[cookie.same_site]}")
    if cookie.http_only and cookie.http_only.value:
        parts.append("httponly")
    return "; ".join(parts)
