"""The lake's blob endpoint: Azurite behind a proxy that adds what Azurite lacks and the app relies on.

Every write leaves a version: after Azurite has accepted it, its content is copied within Azurite to a hidden container under the
version's id, and the version is recorded together with the event that it raises. Requests that versions do not concern pass
through unread.
"""

import asyncio
import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import aiohttp
from aiohttp import web
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient
from multidict import CIMultiDict
from yarl import URL

from local.azurite import ACCOUNT, KEY
from local.lake import listing
from local.lake.events import CREATED, DELETED, Dispatcher, storage_event
from local.lake.request import BlobRequest, parse
from local.lake.signing import is_signed, signature
from local.lake.versions import Version, VersionStore

logger = logging.getLogger(__name__)

HIDDEN = "lake-versions"  # Azurite's container for the contents of versions; no listing shows it
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "proxy-connection", "te", "upgrade"})


class Refusal(Exception):
    """An error in the service's own form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> web.Response:
        """Return the XML error that the SDK understands."""
        body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{self.code}</Code><Message>{self}</Message></Error>'
        headers = {"x-ms-error-code": self.code}
        return web.Response(body=body.encode(), status=self.status, content_type="application/xml", headers=headers)


class LakeProxy:
    """The proxy. `watched` names the containers whose changes raise events."""

    def __init__(
        self,
        upstream: str,
        store: VersionStore,
        dispatcher: Dispatcher,
        connection_string: str,
        watched: frozenset[str],
    ) -> None:
        self._upstream = upstream.rstrip("/")
        self._store = store
        self._dispatcher = dispatcher
        self._watched = watched
        self._connection_string = connection_string
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._session: aiohttp.ClientSession
        self._azurite: BlobServiceClient
        self._hidden: ContainerClient
        self.endpoint = ""  # how clients reach this proxy; set once its port is known

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=0)
        app.cleanup_ctx.append(self._lifetime)
        app.router.add_get("/-/health", self._health)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _lifetime(self, app: web.Application) -> AsyncIterator[None]:
        async with (
            aiohttp.ClientSession(
                auto_decompress=False,
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
            ) as session,
            BlobServiceClient.from_connection_string(self._connection_string) as service,
        ):
            self._session = session
            self._azurite = service
            self._hidden = service.get_container_client(HIDDEN)
            try:
                await self._hidden.create_container()
            except ResourceExistsError:
                logger.debug("the container for versions exists")
            await self._heal()
            deliveries = asyncio.create_task(self._dispatcher.run())
            yield
            deliveries.cancel()
            await asyncio.gather(deliveries, return_exceptions=True)

    async def _health(self, request: web.Request) -> web.Response:
        waiting, fault = self._store.waiting()
        return web.json_response({"status": "ok", "events_waiting": waiting, "oldest_waits_because": fault})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.endpoint = f"http://{request.host}/{ACCOUNT}"
        asked = parse(request.method, request.raw_path, request.headers, ACCOUNT)
        try:
            if asked.container == HIDDEN:
                raise Refusal(403, "AuthorizationFailure", f"the container {HIDDEN} is not accessible")
            return await self._handlers()[asked.operation](request, asked)
        except Refusal as refusal:
            return refusal.response()
        except aiohttp.ClientConnectionError as fault:
            return Refusal(503, "ServerBusy", f"the storage behind the lake does not answer: {fault}").response()

    def _handlers(self) -> dict[str, Callable[[web.Request, BlobRequest], Awaitable[web.StreamResponse]]]:
        return {
            "read": self._read,
            "write": self._write,
            "touch": self._touch,
            "delete": self._delete,
            "delete_version": self._delete_version,
            "list_versions": self._list_versions,
            "delete_container": self._delete_container,
            "other": self._pass,
        }

    # ---- operations that versions concern ----------------------------------------------------------------------------

    async def _read(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        if asked.version_id:
            return await self._read_version(request, asked)

        def label(status: int, headers: CIMultiDict[str]) -> None:
            current = self._store.current(asked.container, asked.name)
            # A snapshot has its own etag, and is no version.
            if status < 400 and current and current.etag == headers.get("ETag"):
                headers["x-ms-version-id"] = current.version_id
                headers["x-ms-is-current-version"] = "true"

        return await self._pass(request, asked, label)

    async def _read_version(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        self._require_signature(request)
        version = self._version(asked)
        etag, wanted, unwanted = version.etag, request.headers.get("If-Match"), request.headers.get("If-None-Match")
        if wanted not in (None, "*", etag):
            raise Refusal(
                412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."
            )
        if unwanted is not None and unwanted in ("*", etag):
            return web.Response(status=304, headers={"ETag": etag, "x-ms-error-code": "ConditionNotMet"})

        def label(status: int, headers: CIMultiDict[str]) -> None:
            headers["ETag"], headers["Last-Modified"] = etag, version.last_modified
            headers["x-ms-version-id"] = version.version_id
            if version.is_current:
                headers["x-ms-is-current-version"] = "true"

        query = [(name, value) for name, value in parse_qsl(request.query_string) if name.lower() != "versionid"]
        target = f"/{ACCOUNT}/{HIDDEN}/{quote(_hidden_name(version))}" + (f"?{urlencode(query)}" if query else "")
        return await self._forward(request, target, label, resign=True, without=("if-match", "if-none-match"))

    async def _write(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        changed: dict[str, str] = {}
        source = request.headers.get("x-ms-copy-source")
        if source:
            self._require_signature(request)
            changed["x-ms-copy-source"] = self._upstream_source(source)
        async with self._locks[asked.container, asked.name]:
            version: Version | None = None

            async def record(status: int, headers: CIMultiDict[str]) -> None:
                nonlocal version
                if status < 300:
                    version = await self._record(asked.container, asked.name, asked.api)
                    headers["x-ms-version-id"] = version.version_id

            return await self._forward(request, request.raw_path, record, resign=bool(source), changed=changed)

    async def _touch(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        def touch(status: int, headers: CIMultiDict[str]) -> None:
            if status < 300:
                self._store.touch(asked.container, asked.name, headers["ETag"], headers["Last-Modified"])

        async with self._locks[asked.container, asked.name]:
            return await self._pass(request, asked, touch)

    async def _delete(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        async with self._locks[asked.container, asked.name]:

            def end(status: int, headers: CIMultiDict[str]) -> None:
                if status < 300:
                    self._end(asked.container, asked.name)

            return await self._pass(request, asked, end)

    async def _delete_version(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        self._require_signature(request)
        version = self._version(asked)
        if version.is_current:
            raise Refusal(403, "OperationNotAllowedOnRootBlob", "The current version is deleted without a version id.")
        await self._drop_content(version)
        self._store.remove(version.container, version.name, version.version_id)
        return web.Response(status=202, headers={"x-ms-delete-type-permanent": "true"})

    async def _list_versions(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        self._require_signature(request)
        query = asked.query
        unsupported = sorted(set(query.get("include", "").split(",")) - {"versions", "metadata", ""})
        if unsupported or query.get("delimiter"):
            named = unsupported[0] if unsupported else "delimiter"
            raise Refusal(400, "UnsupportedQueryParameter", f"include=versions together with {named} is not supported")
        prefix, marker = query.get("prefix", ""), query.get("marker", "")
        most = int(query.get("maxresults", "5000"))
        try:
            after = listing.decode_marker(marker)
        except ValueError as fault:
            raise Refusal(400, "InvalidQueryParameterValue", f"marker {marker!r} is not one of this listing") from fault
        found = self._store.page(asked.container, prefix, after, most + 1)
        page, rest = found[:most], found[most:]
        follow = listing.encode_marker(page[-1]) if rest else ""
        metadata = "metadata" in query.get("include", "")
        body = listing.versions_xml(self.endpoint, asked.container, prefix, marker, most, page, follow, metadata)
        return web.Response(body=body, content_type="application/xml")

    async def _delete_container(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        def forget(status: int, headers: CIMultiDict[str]) -> None:
            if status < 300:
                self._store.remove_container(asked.container)

        return await self._pass(request, asked, forget)

    # ---- recording ---------------------------------------------------------------------------------------------------

    async def _record(self, container: str, name: str, api: str) -> Version:
        """Keep the blob's present content as a version, with its event. Called with the blob's lock held."""
        blob = self._azurite.get_blob_client(container, name)
        properties = await blob.get_blob_properties()
        version = Version(
            container=container,
            name=name,
            version_id=self._store.next_id(),
            is_current=True,
            etag=str(properties.etag),
            last_modified=_http_date(properties.last_modified),
            properties={
                "length": properties.size,
                "type": properties.content_settings.content_type or "",
                "metadata": dict(properties.metadata or {}),
            },
        )
        await self._hidden.get_blob_client(_hidden_name(version)).start_copy_from_url(blob.url)
        event = None
        if api and container in self._watched:
            event = (CREATED, self._event(CREATED, api, version))
        self._store.add(version, event)
        self._dispatcher.wake()
        return version

    def _end(self, container: str, name: str) -> None:
        """The blob is gone: its current version becomes a previous one, and the event is queued."""
        current = self._store.current(container, name)
        event = None
        if current and container in self._watched:
            event = (DELETED, self._event(DELETED, "DeleteBlob", current))
        self._store.end_current(container, name, event)
        self._dispatcher.wake()

    async def _heal(self) -> None:
        """Find what a crash kept from being recorded: compare Azurite's blobs with the recorded versions."""
        started, healed = time.monotonic(), 0
        names = {container.name async for container in self._azurite.list_containers()} - {HIDDEN}
        for container in sorted(names | set(self._store.containers())):
            recorded = {version.name: version.etag for version in self._store.currents(container)}
            present: dict[str, str] = {}
            if container in names:
                async for blob in self._azurite.get_container_client(container).list_blobs():
                    present[blob.name] = f'"{(blob.etag or "").strip(chr(34))}"'
            for name in sorted(present):
                if recorded.get(name) != present[name]:
                    await self._record(container, name, "PutBlob")
                    healed += 1
            for name in sorted(set(recorded) - set(present)):
                self._end(container, name)
                healed += 1
        logger.info("lake ready healed=%d ms=%.0f", healed, (time.monotonic() - started) * 1000)

    def _event(self, kind: str, api: str, version: Version) -> dict[str, Any]:
        return storage_event(
            kind,
            api,
            self.endpoint or self._upstream,
            version.container,
            version.name,
            version.etag,
            int(version.properties.get("length", 0)),
            str(version.properties.get("type", "")),
            version.version_id,
        )

    async def _drop_content(self, version: Version) -> None:
        try:
            await self._hidden.delete_blob(_hidden_name(version))
        except ResourceNotFoundError:
            logger.debug("content of %s is gone already", version.version_id)

    def _version(self, asked: BlobRequest) -> Version:
        version = self._store.get(asked.container, asked.name, asked.version_id)
        if version is None:
            raise Refusal(404, "BlobNotFound", "The specified blob does not exist.")
        return version

    def _upstream_source(self, source: str) -> str:
        """Return a copy source as Azurite knows it: a version is a blob in the hidden container."""
        parts = urlsplit(source)
        asked = parse("GET", f"{parts.path}?{parts.query}", {}, ACCOUNT)
        if asked.container == HIDDEN:
            raise Refusal(403, "AuthorizationFailure", f"the container {HIDDEN} is not accessible")
        if not asked.version_id:
            return source
        return f"{self._upstream}/{ACCOUNT}/{HIDDEN}/{quote(_hidden_name(self._version(asked)))}"

    # ---- passing on --------------------------------------------------------------------------------------------------

    async def _pass(
        self, request: web.Request, asked: BlobRequest, then: Callable[[int, CIMultiDict[str]], Any] | None = None
    ) -> web.StreamResponse:
        return await self._forward(request, request.raw_path, then)

    async def _forward(
        self,
        request: web.Request,
        raw_path: str,
        then: Callable[[int, CIMultiDict[str]], Any] | None = None,
        resign: bool = False,
        changed: Mapping[str, str] | None = None,
        without: tuple[str, ...] = (),
    ) -> web.StreamResponse:
        """Send the request on and stream the reply back; `then` sees status and headers before they are sent."""
        headers = CIMultiDict(
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in _HOP and name.lower() not in without
        )
        headers.update(changed or {})
        if resign:
            headers["Authorization"] = signature(request.method, raw_path, headers, ACCOUNT, KEY)
        async with self._request(request, raw_path, headers) as reply:
            out = CIMultiDict((name, value) for name, value in reply.headers.items() if name.lower() not in _HOP)
            result = then(reply.status, out) if then else None
            if isinstance(result, Awaitable):
                await result
            response = web.StreamResponse(status=reply.status, reason=reply.reason, headers=out)
            if request.method == "HEAD" or reply.status in (204, 304):
                await response.prepare(request)
                return response
            if "Content-Length" not in out:
                response.enable_chunked_encoding()
            await response.prepare(request)
            async for block in reply.content.iter_chunked(1 << 16):
                await response.write(block)
            await response.write_eof()
            return response

    @asynccontextmanager
    async def _request(
        self, request: web.Request, raw_path: str, headers: CIMultiDict[str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        body = request.content if request.body_exists else None
        url = URL(self._upstream + raw_path, encoded=True)  # the signature covers the path exactly as it was sent
        skip = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False, skip_auto_headers=skip
        ) as reply:
            yield reply

    def _require_signature(self, request: web.Request) -> None:
        if "sig" in request.query:
            raise Refusal(
                400, "UnsupportedQueryParameter", "versions by shared access signature are not supported here"
            )
        if not is_signed(request.method, request.raw_path, request.headers, ACCOUNT, KEY):
            message = "Server failed to authenticate the request. Make sure the Authorization header is right."
            raise Refusal(403, "AuthenticationFailed", message)


def _hidden_name(version: Version) -> str:
    """Return the hidden blob of a version. Names are hashed: a blob's name may have up to 1,024 characters already."""
    digest = hashlib.sha256(f"{version.container}\0{version.name}".encode()).hexdigest()
    return f"{digest}/{version.version_id}"


def _http_date(moment: Any) -> str:
    return f"{moment:%a, %d %b %Y %H:%M:%S} GMT"
