"""The service's REST API over HTTP.

https://learn.microsoft.com/rest/api/searchservice/
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from local.search_service.analysis import analyzer
from local.search_service.errors import ServiceError, bad_request, unsupported
from local.search_service.index import SearchIndex
from local.search_service.request import MAX_TOP, SearchRequest, parse_search
from local.search_service.schema import ANALYZERS
from local.search_service.service import MAX_ACTIONS, MAX_BATCH_BYTES, SearchService

logger = logging.getLogger(__name__)

_NAMED = r"(?:\('(?P<{0}>[^']*)'\)|/(?P<{0}_>[^/]+))"
_INDEX = _NAMED.format("index")
_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("GET", r"/indexes", "list_indexes"),
    ("POST", r"/indexes", "create_index"),
    ("GET", rf"/indexes{_INDEX}", "get_index"),
    ("PUT", rf"/indexes{_INDEX}", "put_index"),
    ("DELETE", rf"/indexes{_INDEX}", "delete_index"),
    ("GET", rf"/indexes{_INDEX}/search\.stats", "statistics"),
    ("POST", rf"/indexes{_INDEX}/search\.analyze", "analyze"),
    ("GET", rf"/indexes{_INDEX}/docs/\$count", "count"),
    ("POST", rf"/indexes{_INDEX}/docs/search\.index", "write"),
    ("POST", rf"/indexes{_INDEX}/docs/search\.post\.search", "search"),
    ("GET", rf"/indexes{_INDEX}/docs\('(?P<key>.*)'\)", "get_document"),
    ("GET", rf"/indexes{_INDEX}/docs/(?P<key_>[^/$][^/]*)", "get_document"),
    ("GET", r"/aliases", "list_aliases"),
    ("POST", r"/aliases", "create_alias"),
    ("GET", rf"/aliases{_INDEX}", "get_alias"),
    ("PUT", rf"/aliases{_INDEX}", "put_alias"),
    ("DELETE", rf"/aliases{_INDEX}", "delete_alias"),
    ("GET", r"/servicestats", "service_statistics"),
)
_QUERY_KEY_MAY = frozenset({"search", "count", "get_document"})
_BODY_LIMIT = MAX_BATCH_BYTES + 1024 * 1024


class SearchApp:
    """Routes requests to the service."""

    def __init__(self, service: SearchService, admin_key: str = "", query_key: str = "") -> None:
        self._service = service
        self._admin_key = admin_key
        self._query_key = query_key
        self._routes = [(method, re.compile(pattern), name) for method, pattern, name in _ROUTES]

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        try:
            response = await self._dispatch(request)
        except ServiceError as error:
            response = web.json_response(error.body(), status=error.status)
            logger.info("refused %s %s status=%d %s", request.method, request.path, error.status, error)
        except web.HTTPRequestEntityTooLarge:
            response = web.json_response(ServiceError(413, "The request is too large.").body(), status=413)
        response.headers["elapsed-time"] = str(round((time.monotonic() - started) * 1000))
        return response

    async def _dispatch(self, request: web.Request) -> web.Response:
        path = request.raw_path.partition("?")[0]
        allowed: list[str] = []
        for method, pattern, name in self._routes:
            match = pattern.fullmatch(unquote(path))
            if match is None:
                continue
            if method != request.method:
                allowed.append(method)
                continue
            self._authorise(request, name)
            parts = {key.rstrip("_"): value for key, value in match.groupdict().items() if value is not None}
            handler: Callable[..., Awaitable[web.Response]] = getattr(self, f"_{name}")
            return await handler(request, **parts)
        if allowed:
            raise ServiceError(405, f"The method {request.method} is not allowed here; {', '.join(allowed)} are.")
        if re.search(r"/docs/search\.post\.(suggest|autocomplete)|/(indexers|datasources|skillsets|synonymmaps)", path):
            raise unsupported(path.rsplit("/", 1)[-1])
        raise ServiceError(404, f"There is no resource at {path}.")

    def _authorise(self, request: web.Request, name: str) -> None:
        if not self._admin_key:
            return
        key = request.headers.get("api-key", "")
        if key == self._admin_key or (self._query_key and key == self._query_key and name in _QUERY_KEY_MAY):
            return
        if not key:
            raise ServiceError(401, "Access denied due to a missing api-key.", "Unauthorized")
        raise ServiceError(403, "The given API key does not allow this operation.", "Forbidden")

    # ---- indexes and aliases -----------------------------------------------------------------------------------------

    async def _list_indexes(self, request: web.Request) -> web.Response:
        select = dict(parse_qsl(request.query_string)).get("$select", "")
        found = self._service.list_indexes()
        if select and select != "*":
            names = {"@odata.etag", *(name.strip() for name in select.split(","))}
            found = [{key: value for key, value in index.items() if key in names} for index in found]
        return web.json_response({"value": found})

    async def _create_index(self, request: web.Request) -> web.Response:
        return web.json_response(self._service.create_index(await _json(request)), status=201)

    async def _get_index(self, request: web.Request, index: str) -> web.Response:
        return web.json_response(self._service.describe(index))

    async def _put_index(self, request: web.Request, index: str) -> web.Response:
        value = await _json(request)
        made, new = await asyncio.to_thread(self._service.put_index, index, value, *_conditions(request))
        return web.json_response(made, status=201 if new else 200)

    async def _delete_index(self, request: web.Request, index: str) -> web.Response:
        await asyncio.to_thread(self._service.delete_index, index, *_conditions(request))
        return web.Response(status=204)

    async def _statistics(self, request: web.Request, index: str) -> web.Response:
        return web.json_response(self._service.statistics(index))

    async def _service_statistics(self, request: web.Request) -> web.Response:
        return web.json_response(self._service.service_statistics())

    async def _list_aliases(self, request: web.Request) -> web.Response:
        return web.json_response({"value": self._service.list_aliases()})

    async def _create_alias(self, request: web.Request) -> web.Response:
        value = await _json(request)
        made, _ = self._service.put_alias(str(value.get("name")), value, None, None, must_be_new=True)
        return web.json_response(made, status=201)

    async def _get_alias(self, request: web.Request, index: str) -> web.Response:
        return web.json_response(self._service.describe_alias(index))

    async def _put_alias(self, request: web.Request, index: str) -> web.Response:
        made, new = self._service.put_alias(index, await _json(request), *_conditions(request))
        return web.json_response(made, status=201 if new else 200)

    async def _delete_alias(self, request: web.Request, index: str) -> web.Response:
        self._service.delete_alias(index, *_conditions(request))
        return web.Response(status=204)

    async def _analyze(self, request: web.Request, index: str) -> web.Response:
        self._service.index(index)
        value = await _json(request)
        name, text = value.get("analyzer"), value.get("text")
        if name not in ANALYZERS:
            raise unsupported(f"the analyzer {name!r}")
        if not isinstance(text, str):
            raise bad_request("text must be a string.")
        found = analyzer(name).analyze(text)
        tokens = [{"token": token, "position": position} for position, token in enumerate(found)]
        return web.json_response({"tokens": tokens})

    # ---- documents ---------------------------------------------------------------------------------------------------

    async def _count(self, request: web.Request, index: str) -> web.Response:
        text = "\ufeff" + str(len(self._service.index(index)))
        return web.Response(text=text, content_type="text/plain", charset="utf-8")

    async def _get_document(self, request: web.Request, index: str, key: str) -> web.Response:
        target = self._service.index(index)
        select = dict(parse_qsl(request.query_string)).get("$select")
        names = parse_search(target.schema, {"select": select} if select else {}).select
        found = target.get(key.replace("''", "'"), names)
        return web.json_response(found) if found is not None else web.Response(status=404)

    async def _write(self, request: web.Request, index: str) -> web.Response:
        if request.content_length and request.content_length > MAX_BATCH_BYTES:
            raise ServiceError(413, f"The request has {request.content_length} bytes; 16 MB are allowed.")
        actions = (await _json(request)).get("value")
        if not isinstance(actions, list) or not actions or not all(isinstance(action, dict) for action in actions):
            raise bad_request("The request has no actions: 'value' must be a list of documents.")
        if len(actions) > MAX_ACTIONS:
            raise bad_request(f"The batch has {len(actions)} actions; at most {MAX_ACTIONS} are allowed.")
        statuses = await asyncio.to_thread(self._service.index(index).write, actions)
        value = [
            {
                "key": status.key,
                "status": status.status < 300,
                "errorMessage": status.error,
                "statusCode": status.status,
            }
            for status in statuses
        ]
        failed = any(not item["status"] for item in value)
        return web.json_response({"value": value}, status=207 if failed else 200)

    async def _search(self, request: web.Request, index: str) -> web.Response:
        target = self._service.index(index)
        body = await _json(request)
        asked = parse_search(target.schema, body)
        return web.json_response(await asyncio.to_thread(_found, target, asked, request), dumps=_dumps)


def _found(target: SearchIndex, asked: SearchRequest, request: web.Request) -> dict[str, Any]:
    """Run a search and shape its reply. A page beyond the service's size is answered in parts."""
    wanted = asked.top
    size = min(wanted, MAX_TOP)
    page = parse_search(target.schema, {**asked.body, "top": size})
    result = target.search(page)
    reply: dict[str, Any] = {}
    if result.total is not None:
        reply["@odata.count"] = result.total
    if result.facets:
        reply["@search.facets"] = result.facets
    reply["value"] = [
        {"@search.score": score, **({"@search.highlights": marked} if marked else {}), **document}
        for score, document, marked in result.hits
    ]
    explicit = asked.body.get("top") is not None
    rest = wanted - size if explicit else None
    if len(result.hits) == size and size and (rest is None or rest > 0):
        following = {**asked.body, "skip": asked.skip + size}
        if rest is not None:
            following["top"] = rest
        probe = target.search(parse_search(target.schema, {**asked.body, "skip": asked.skip + size, "top": 1}))
        if probe.hits:
            reply["@search.nextPageParameters"] = following
            reply["@odata.nextLink"] = str(request.url)
    return reply


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _conditions(request: web.Request) -> tuple[str | None, str | None]:
    return request.headers.get("If-Match"), request.headers.get("If-None-Match")


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        value = json.loads(await request.read())
    except (ValueError, RecursionError) as fault:
        raise bad_request(f"The request body is not JSON: {fault}") from fault
    if not isinstance(value, dict):
        raise bad_request("The request body must be an object.")
    return value
