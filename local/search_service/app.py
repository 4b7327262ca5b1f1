"""The service's REST API over HTTP.

https://learn.microsoft.com/rest/api/searchservice/
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
from aiohttp import web

from local.faults import Faults, fired
from local.search_service import semantic
from local.search_service.analysis import ANALYZERS, tokens_of
from local.search_service.errors import ServiceError, bad_request, unsupported
from local.search_service.index import SearchIndex
from local.search_service.request import MAX_TOP, SearchRequest, parse_search
from local.search_service.search import Hit, search
from local.search_service.service import MAX_ACTIONS, MAX_BATCH_BYTES, SearchService
from local.search_service.suggest import autocomplete, suggest

logger = logging.getLogger(__name__)

DID = web.RequestKey("did", str)  # what a request did, for its line in the log
_NAMED = r"(?:\('(?P<{0}>[^']*)'\)|/(?P<{0}_>[^/]+))"
_INDEX = _NAMED.format("index")
_ALIAS = r"(?:\('(?P<index>.*)'\)|/(?P<index_>[^/]+))"
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
    ("POST", rf"/indexes{_INDEX}/docs/search\.post\.suggest", "suggest"),
    ("POST", rf"/indexes{_INDEX}/docs/search\.post\.autocomplete", "autocomplete"),
    ("GET", rf"/indexes{_INDEX}/docs\('(?P<key>.*)'\)", "get_document"),
    ("GET", rf"/indexes{_INDEX}/docs/(?P<key_>[^/$][^/]*)", "get_document"),
    ("GET", r"/aliases", "list_aliases"),
    ("POST", r"/aliases", "create_alias"),
    ("GET", rf"/aliases{_ALIAS}", "get_alias"),
    ("PUT", rf"/aliases{_ALIAS}", "put_alias"),
    ("DELETE", rf"/aliases{_ALIAS}", "delete_alias"),
    ("GET", r"/servicestats", "service_statistics"),
)
_QUERY_KEY_MAY = frozenset({"search", "suggest", "autocomplete", "count", "get_document"})
_BODY_LIMIT = MAX_BATCH_BYTES + 1024 * 1024
_ELSEWHERE = re.compile(r"/(indexers|datasources|skillsets|synonymmaps|knowledge\w*|agents)\b")
FAULT_RETRY_SECONDS = 1  # what an injected 429 or 503 asks for, when its rule has no headers of its own
# What rules may have in `extra`: every so many-th action of a batch is refused, with which status; seconds until a
# write can be searched.
FAULT_EXTRA = {"fail_every": int, "fail_status": int, "visible_after_ms": int}


class SearchApp:
    """Routes requests to the service."""

    def __init__(self, service: SearchService, admin_key: str = "", query_key: str = "", faults: bool = False) -> None:
        self._service = service
        self._admin_key = admin_key
        self._query_key = query_key
        self._faults = faults
        self._routes = [(method, re.compile(pattern), name) for method, pattern, name in _ROUTES]

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        if self._faults:
            Faults(injected, FAULT_EXTRA).install(app)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        fault = ""
        try:
            response = await self._dispatch(request)
        except ServiceError as error:
            response = reply(error.body(), error.status) if str(error) else web.Response(status=error.status)
            fault = str(error) or "not found"
        except web.HTTPRequestEntityTooLarge:
            response = reply(ServiceError(413, "The request is too large.").body(), 413)
        spent = (time.monotonic() - started) * 1000
        response.headers["elapsed-time"] = str(round(spent))
        response.headers["request-id"] = request.headers.get("x-ms-client-request-id", "")
        logger.info(
            "%s %s status=%d ms=%.1f %s%s",
            request.method,
            request.path,
            response.status,
            spent,
            request.get(DID, ""),
            f"fault={fault!r}" if fault else "",
        )
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
        if elsewhere := _ELSEWHERE.search(path):
            raise unsupported(f"'{elsewhere[1]}'")
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
        return reply({"value": found})

    async def _create_index(self, request: web.Request) -> web.Response:
        return reply(self._service.create_index(await _json(request)), 201)

    async def _get_index(self, request: web.Request, index: str) -> web.Response:
        return reply(self._service.describe(index))

    async def _put_index(self, request: web.Request, index: str) -> web.Response:
        value = await _json(request)
        made, new = await asyncio.to_thread(self._service.put_index, index, value, *_conditions(request))
        return reply(made, 201 if new else 200)

    async def _delete_index(self, request: web.Request, index: str) -> web.Response:
        await asyncio.to_thread(self._service.delete_index, index, *_conditions(request))
        return web.Response(status=204)

    async def _statistics(self, request: web.Request, index: str) -> web.Response:
        return reply(self._service.statistics(index))

    async def _service_statistics(self, request: web.Request) -> web.Response:
        return reply(self._service.service_statistics())

    async def _list_aliases(self, request: web.Request) -> web.Response:
        return reply({"value": self._service.list_aliases()})

    async def _create_alias(self, request: web.Request) -> web.Response:
        value = await _json(request)
        made, _ = self._service.put_alias(str(value.get("name")), value, None, None, must_be_new=True)
        return reply(made, 201)

    async def _get_alias(self, request: web.Request, index: str) -> web.Response:
        return reply(self._service.describe_alias(index))

    async def _put_alias(self, request: web.Request, index: str) -> web.Response:
        made, new = self._service.put_alias(index, await _json(request), *_conditions(request))
        return reply(made, 201 if new else 200)

    async def _delete_alias(self, request: web.Request, index: str) -> web.Response:
        self._service.delete_alias(index, *_conditions(request))
        return web.Response(status=204)

    async def _analyze(self, request: web.Request, index: str) -> web.Response:
        self._service.index(index)
        value = await _json(request)
        for part in ("tokenizer", "normalizer", "tokenFilters", "charFilters"):
            if value.get(part):
                raise unsupported(f"'{part}' of an analysis")
        name, text = value.get("analyzer"), value.get("text")
        if name not in ANALYZERS:
            raise unsupported(f"the analyzer {name!r}")
        if not isinstance(text, str):
            raise bad_request("text must be a string.")
        tokens = [
            {"token": token.term, "startOffset": token.start, "endOffset": token.end, "position": token.position}
            for token in tokens_of(name, text)
        ]
        return reply({"tokens": tokens})

    # ---- documents ---------------------------------------------------------------------------------------------------

    async def _count(self, request: web.Request, index: str) -> web.Response:
        text = "\ufeff" + str(len(self._service.index(index)))
        return web.Response(text=text, content_type="text/plain", charset="utf-8")

    async def _get_document(self, request: web.Request, index: str, key: str) -> web.Response:
        target = self._service.index(index)
        select = dict(parse_qsl(request.query_string)).get("$select")
        names = parse_search(target.schema, {"select": select} if select else {}).select
        found = target.get(key.replace("''", "'"), names)
        return reply(found) if found is not None else web.Response(status=404)

    async def _write(self, request: web.Request, index: str) -> web.Response:
        if request.content_length and request.content_length > MAX_BATCH_BYTES:
            raise ServiceError(413, f"The request has {request.content_length} bytes; 16 MB are allowed.")
        actions = (await _json(request)).get("value")
        if not isinstance(actions, list) or not actions or not all(isinstance(action, dict) for action in actions):
            raise bad_request("The request has no actions: 'value' must be a list of documents.")
        if len(actions) > MAX_ACTIONS:
            raise bad_request(f"The batch has {len(actions)} actions; at most {MAX_ACTIONS} are allowed.")
        extra = rule.extra if (rule := fired(request)) else {}
        refused = None
        if every := extra.get("fail_every"):
            refused = dict.fromkeys(range(every - 1, len(actions), every), extra.get("fail_status", 503))
        delay = extra.get("visible_after_ms", 0) / 1000
        statuses = await asyncio.to_thread(self._service.index(index).write, actions, delay, refused)
        failed = sum(status.status >= 300 for status in statuses)
        request[DID] = f"actions={len(actions)} failed={failed} "
        value = [
            {
                "key": status.key,
                "status": status.status < 300,
                "errorMessage": status.error,
                "statusCode": status.status,
            }
            for status in statuses
        ]
        return reply({"value": value}, 207 if failed else 200)

    async def _search(self, request: web.Request, index: str) -> web.Response:
        target = self._service.index(index)
        body = await _json(request)
        asked = parse_search(target.schema, body)
        shown = await asyncio.to_thread(_found, target, asked, str(request.url))
        request[DID] = f"hits={len(shown['value'])} "
        return reply(shown, headers=semantic.HEADER if asked.semantic else None)

    async def _suggest(self, request: web.Request, index: str) -> web.Response:
        return reply(await asyncio.to_thread(suggest, self._service.index(index), await _json(request)))

    async def _autocomplete(self, request: web.Request, index: str) -> web.Response:
        return reply(await asyncio.to_thread(autocomplete, self._service.index(index), await _json(request)))


def _found(target: SearchIndex, asked: SearchRequest, url: str) -> dict[str, Any]:
    """Run a search and shape its reply. A page beyond the service's size is answered in parts."""
    size = min(asked.top, MAX_TOP)
    result = search(target, replace(asked, top=size))
    shown: dict[str, Any] = {}
    if result.total is not None:
        shown["@odata.count"] = result.total
    if asked.minimum_coverage is not None:
        shown["@search.coverage"] = 100.0
    if result.facets:
        shown["@search.facets"] = result.facets
    if asked.semantic is not None and asked.semantic.answers:
        shown["@search.answers"] = result.answers
    shown["value"] = [_shown(hit, asked) for hit in result.hits]
    explicit = asked.body.get("top") is not None
    if result.more and size and (not explicit or asked.top > size):
        following = {**asked.body, "skip": asked.skip + size}
        if explicit:
            following["top"] = asked.top - size
        shown["@search.nextPageParameters"] = following
        shown["@odata.nextLink"] = url
    return shown


def _shown(hit: Hit, asked: SearchRequest) -> dict[str, Any]:
    head: dict[str, Any] = {"@search.score": hit.score}
    if hit.ranked is not None and asked.semantic is not None:
        head["@search.rerankerScore"] = hit.ranked.score
        if asked.semantic.captions:
            head["@search.captions"] = [{"text": hit.ranked.caption, "highlights": hit.ranked.marked}]
    if hit.highlights:
        head["@search.highlights"] = hit.highlights
    return {**head, **hit.document}


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON response."""
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json", headers=headers)


def injected(request: web.Request, status: int) -> web.Response:
    """Return the error that an injected fault answers with, in the service's own shape."""
    error = ServiceError(status, "A fault was injected.")
    headers = {"Retry-After": str(FAULT_RETRY_SECONDS)} if status in (429, 503) else None
    return reply(error.body(), status, headers)


def _conditions(request: web.Request) -> tuple[str | None, str | None]:
    return request.headers.get("If-Match"), request.headers.get("If-None-Match")


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        value = orjson.loads(await request.read())
    except orjson.JSONDecodeError as fault:
        raise bad_request(f"The request body is not JSON: {fault}") from fault
    if not isinstance(value, dict):
        raise bad_request("The request body must be an object.")
    return value
