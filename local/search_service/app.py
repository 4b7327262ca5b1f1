"""The service's REST API over HTTP.

https://learn.microsoft.com/rest/api/searchservice/
"""

import asyncio
import logging
import re
import time
import uuid
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
CONTEXT = web.RequestKey("context", str)  # what its answer is of, in OData's words
_NAMED = r"(?:\('(?P<{0}>[^']*)'\)|/(?P<{0}_>[^/]+))"
_INDEX = _NAMED.format("index")
_ALIAS = r"(?:\('(?P<index>.*)'\)|/(?P<index_>[^/]+))"
# Method, path, the handler's name, and what the answer is of, for `@odata.context`. Most have two addresses: the SDKs'
# own, `indexes('x')/docs/search.post.search`, and the documented one, `indexes/x/docs/search`.
_ROUTES: tuple[tuple[str, str, str, str], ...] = (
    ("GET", r"/indexes", "list_indexes", "#indexes"),
    ("POST", r"/indexes", "create_index", "#indexes/$entity"),
    ("GET", rf"/indexes{_INDEX}", "get_index", "#indexes/$entity"),
    ("PUT", rf"/indexes{_INDEX}", "put_index", "#indexes/$entity"),
    ("DELETE", rf"/indexes{_INDEX}", "delete_index", ""),
    ("GET", rf"/indexes{_INDEX}/(?:search\.)?stats", "statistics", "#Microsoft.Azure.Search.{version}.IndexStatistics"),
    ("POST", rf"/indexes{_INDEX}/(?:search\.)?analyze", "analyze", "#Microsoft.Azure.Search.{version}.AnalyzeResult"),
    ("GET", rf"/indexes{_INDEX}/docs/\$count", "count", ""),
    (
        "POST",
        rf"/indexes{_INDEX}/docs/(?:search\.)?index",
        "write",
        "#Collection(Microsoft.Azure.Search.{version}.IndexResult)",
    ),
    ("POST", rf"/indexes{_INDEX}/docs/(?:search\.post\.)?search", "search", "#docs(*)"),
    ("POST", rf"/indexes{_INDEX}/docs/(?:search\.post\.)?suggest", "suggest", "#docs(*)"),
    (
        "POST",
        rf"/indexes{_INDEX}/docs/(?:search\.post\.)?autocomplete",
        "autocomplete",
        "#Collection(Microsoft.Azure.Search.{version}.AutocompleteItem)",
    ),
    ("GET", rf"/indexes{_INDEX}/docs", "search_by_address", ""),
    ("GET", rf"/indexes{_INDEX}/docs/(?:search\.)?(?:search|suggest|autocomplete)", "search_by_address", ""),
    ("GET", rf"/indexes{_INDEX}/docs\('(?P<key>.*)'\)", "get_document", "#docs(*)/$entity"),
    ("GET", rf"/indexes{_INDEX}/docs/(?P<key_>[^/$][^/]*)", "get_document", "#docs(*)/$entity"),
    ("GET", r"/aliases", "list_aliases", "#aliases"),
    ("POST", r"/aliases", "create_alias", "#aliases/$entity"),
    ("GET", rf"/aliases{_ALIAS}", "get_alias", "#aliases/$entity"),
    ("PUT", rf"/aliases{_ALIAS}", "put_alias", "#aliases/$entity"),
    ("DELETE", rf"/aliases{_ALIAS}", "delete_alias", ""),
    ("GET", r"/servicestats", "service_statistics", "#Microsoft.Azure.Search.{version}.ServiceStatistics"),
    # There are none of these here, and none can be made: a list of them is truly empty.
    *(
        ("GET", f"/{kind}", "list_none", f"#{kind}")
        for kind in ("synonymmaps", "indexers", "datasources", "skillsets", "knowledgebases", "knowledgesources")
    ),
)
_ODATA = {"OData-Version": "4.0", "Preference-Applied": 'odata.include-annotations="*"'}
# What a query key may do, and a page of another origin where the index lets it.
_QUERY_KEY_MAY = frozenset({"search", "suggest", "autocomplete", "count", "get_document", "search_by_address"})
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
        self._routes = [(method, re.compile(pattern), name, context) for method, pattern, name, context in _ROUTES]

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        if self._faults:
            Faults(injected, FAULT_EXTRA, follow=True).install(app)
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
        response.headers["Cache-Control"] = "no-cache"
        response.headers["elapsed-time"] = str(round(spent))
        response.headers["request-id"] = request.headers.get("x-ms-client-request-id") or str(uuid.uuid4())
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
        path = unquote(request.raw_path.partition("?")[0])
        origin = request.headers.get("Origin", "")
        asks = request.method == "OPTIONS" and origin  # a browser, before the request itself
        wanted = request.headers.get("Access-Control-Request-Method", "") if asks else request.method
        allowed: list[str] = []
        for method, pattern, name, context in self._routes:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            parts = {key.rstrip("_"): value for key, value in match.groupdict().items() if value is not None}
            if method != wanted or (asks and name not in _QUERY_KEY_MAY):
                allowed.append(method)
                continue
            if asks:
                return self._preflight(request, parts["index"], origin)
            self._authorise(request, name)
            index = parts.get("index")
            request[CONTEXT] = (
                f"/indexes('{index}')/$metadata{context}" if "#docs" in context else f"/$metadata{context}"
            )
            handler: Callable[..., Awaitable[web.Response]] = getattr(self, f"_{name}")
            response = await handler(request, **parts)
            if origin and name in _QUERY_KEY_MAY and index and (cors := self._service.index(index).schema.cors):
                response.headers.update(cors.headers(origin))
            return response
        if elsewhere := _ELSEWHERE.match(path):
            raise unsupported(f"'{elsewhere[1]}'")
        if allowed:
            raise ServiceError(405, f"The method {request.method} is not allowed here; {', '.join(allowed)} are.")
        raise ServiceError(404, f"There is no resource at {path}.")

    def _preflight(self, request: web.Request, index: str, origin: str) -> web.Response:
        """Answer a browser that asks whether a page of another origin may send a request; it sends no key with that."""
        cors = self._service.index(index).schema.cors
        asked = (request.headers.get(f"Access-Control-Request-{what}", "") for what in ("Method", "Headers"))
        return web.Response(headers=cors.preflight(origin, *asked) if cors else None)

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
        return answer(request, {"value": found})

    async def _create_index(self, request: web.Request) -> web.Response:
        return created(request, "indexes", self._service.create_index(await _json(request)))

    async def _get_index(self, request: web.Request, index: str) -> web.Response:
        return answer(request, self._service.describe(index))

    async def _put_index(self, request: web.Request, index: str) -> web.Response:
        _switch(request, "allowIndexDowntime")  # true or false: nothing that can be changed here takes an index down
        value = await _json(request)
        made, new = await asyncio.to_thread(self._service.put_index, index, value, *_conditions(request))
        return created(request, "indexes", made) if new else updated(request, made)

    async def _delete_index(self, request: web.Request, index: str) -> web.Response:
        await asyncio.to_thread(self._service.delete_index, index, *_conditions(request))
        return web.Response(status=204)

    async def _statistics(self, request: web.Request, index: str) -> web.Response:
        return answer(request, self._service.statistics(index))

    async def _service_statistics(self, request: web.Request) -> web.Response:
        return answer(request, self._service.service_statistics())

    async def _list_aliases(self, request: web.Request) -> web.Response:
        return answer(request, {"value": self._service.list_aliases()})

    async def _create_alias(self, request: web.Request) -> web.Response:
        value = await _json(request)
        made, _ = self._service.put_alias(str(value.get("name")), value, None, None, must_be_new=True)
        return created(request, "aliases", made)

    async def _get_alias(self, request: web.Request, index: str) -> web.Response:
        return answer(request, self._service.describe_alias(index))

    async def _put_alias(self, request: web.Request, index: str) -> web.Response:
        made, new = self._service.put_alias(index, await _json(request), *_conditions(request))
        return created(request, "aliases", made) if new else updated(request, made)

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
        return answer(request, {"tokens": tokens})

    async def _list_none(self, request: web.Request) -> web.Response:
        return answer(request, {"value": []})

    # ---- documents ---------------------------------------------------------------------------------------------------

    async def _count(self, request: web.Request, index: str) -> web.Response:
        text = "\ufeff" + str(len(self._service.index(index)))
        return web.Response(body=text.encode(), content_type="text/plain", headers=_ODATA)

    async def _get_document(self, request: web.Request, index: str, key: str) -> web.Response:
        target = self._service.index(index)
        select = dict(parse_qsl(request.query_string)).get("$select")
        names = parse_search(target.schema, {"select": select} if select else {}).select
        found = target.get(key.replace("''", "'"), names)
        return answer(request, found) if found is not None else web.Response(status=404)

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
        return answer(request, {"value": value}, 207 if failed else 200)

    async def _search(self, request: web.Request, index: str) -> web.Response:
        target = self._service.index(index)
        body = await _json(request)
        asked = parse_search(target.schema, body)
        shown = await asyncio.to_thread(_found, target, asked, str(request.url))
        request[DID] = f"hits={len(shown['value'])} "
        return answer(request, shown, headers=semantic.HEADER if asked.semantic else None)

    async def _search_by_address(self, request: web.Request, index: str) -> web.Response:
        raise unsupported(f"a search by GET {request.path}; POST it")

    async def _suggest(self, request: web.Request, index: str) -> web.Response:
        return answer(request, await asyncio.to_thread(suggest, self._service.index(index), await _json(request)))

    async def _autocomplete(self, request: web.Request, index: str) -> web.Response:
        return answer(request, await asyncio.to_thread(autocomplete, self._service.index(index), await _json(request)))


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
            marked = hit.ranked.marked if asked.semantic.marked else ""
            head["@search.captions"] = [{"text": hit.ranked.caption, "highlights": marked}]
    if hit.highlights:
        head["@search.highlights"] = hit.highlights
    return {**head, **hit.document}


def answer(
    request: web.Request, value: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return what a request asked for in OData's envelope: as much of it as the request accepts."""
    given = {**_ODATA, **(headers or {})}
    if "odata.metadata=none" in request.headers.get("Accept", "").replace(" ", ""):
        kind = "none"
    else:
        kind = "minimal"
        version = f"V{request.query.get('api-version', '').replace('-', '_')}"
        value = {"@odata.context": f"{_base(request)}{request[CONTEXT].replace('{version}', version)}", **value}
    if etag := value.get("@odata.etag"):
        given["ETag"] = f"W/{etag}"
    given["Content-Type"] = f"application/json; odata.metadata={kind}"
    return web.Response(body=orjson.dumps(value), status=status, headers=given)


def created(request: web.Request, kind: str, value: Mapping[str, Any]) -> web.Response:
    """Return the 201 for a new index or alias, with its address."""
    place = f"{_base(request)}/{kind}('{value['name']}')?api-version={request.query.get('api-version', '')}"
    return answer(request, value, 201, {"Location": place})


def updated(request: web.Request, value: Mapping[str, Any]) -> web.Response:
    """Return what became of an index or alias that was there, if the request prefers to see it."""
    if "return=representation" in request.headers.get("Prefer", ""):
        return answer(request, value)
    return web.Response(status=204, headers={"ETag": f"W/{value['@odata.etag']}"})


def reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON response without the envelope: an error."""
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json", headers=headers)


def injected(request: web.Request, status: int) -> web.Response:
    """Return the error that an injected fault answers with, in the service's own shape."""
    error = ServiceError(status, "A fault was injected.")
    headers = {"Retry-After": str(FAULT_RETRY_SECONDS)} if status in (429, 503) else None
    return reply(error.body(), status, headers)


def _base(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _switch(request: web.Request, name: str) -> bool:
    """Return a query parameter that is true or false, false by default."""
    value = request.query.get(name, "false").lower()
    if value not in ("true", "false"):
        raise bad_request(f"'{name}' must be true or false, not {value!r:.60}.")
    return value == "true"


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
