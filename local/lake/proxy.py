"""The lake's blob endpoint: Azurite behind a proxy that adds what Azurite lacks and the app relies on.

Every write leaves a version. Requests that versions do not concern pass through unread; what would change a blob
without leaving a version is refused by name.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import aiohttp
from aiohttp import web
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient
from multidict import CIMultiDict

from local.azurite import ACCOUNT, KEY
from local.faults import Faults
from local.lake import conditions, listing
from local.lake.events import Dispatcher
from local.lake.forwarding import Forwarder
from local.lake.recorder import HIDDEN, Recorder, hidden_name, retention_days
from local.lake.refusal import Refusal, injected
from local.lake.request import BlobRequest, parse
from local.lake.signing import is_signed
from local.lake.versions import Version, VersionStore
from local.serve import STOP_SECONDS, CannotStart

logger = logging.getLogger(__name__)

CONDITION = "The condition specified using HTTP conditional header(s) is not met."
MOST_LISTED = 5_000  # blobs in one page of a listing
JOURNAL_PAGE = 1_000  # changes that a replica gets at once
_DELETE_POLICY = re.compile(rb"<DeleteRetentionPolicy>.*?</DeleteRetentionPolicy>", re.DOTALL)
_DAYS = re.compile(rb"<Days>(\d+)</Days>")

Handler = Callable[[web.Request, BlobRequest], Coroutine[Any, Any, web.StreamResponse]]


class LakeProxy:
    """The proxy. `endpoint` is its own address, account included; `watched` names the containers that raise events."""

    def __init__(
        self,
        upstream: str,
        store: VersionStore,
        dispatcher: Dispatcher,
        connection_string: str,
        endpoint: str,
        watched: frozenset[str],
        replicated: bool = False,
        faults: bool = False,
    ) -> None:
        self._store = store
        self._replicated = replicated
        self._faults = faults
        self._dispatcher = dispatcher
        self._endpoint = endpoint
        self._forwarder = Forwarder(upstream)
        # Without the SDK's patient retries: a client waits, and retries itself; what was missed is settled.
        self._azurite = BlobServiceClient.from_connection_string(connection_string, retry_total=0)
        self._recorder = Recorder(self._azurite, store, dispatcher, endpoint, watched)
        self._under_way: set[asyncio.Task[web.StreamResponse]] = set()
        self._handlers: dict[str, Handler] = {
            "read": self._read,
            "write": self._write,
            "touch": self._touch,
            "delete": self._delete,
            "delete_version": self._delete_version,
            "list_versions": self._list_versions,
            "list_blobs": self._list_blobs,
            "list_containers": self._list_containers,
            "delete_container": self._delete_container,
            "undelete": self._undelete,
            "set_service": self._set_service,
            "stats": self._refuse_stats,
            "foreign": self._refuse_foreign,
            "unsupported": self._refuse_unsupported,
            "other": self._pass,
        }

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=0)
        app.cleanup_ctx.append(self._lifetime)
        app.router.add_get("/-/health", self._health)
        if self._replicated:
            app.router.add_get("/-/journal", self._journal)
            app.router.add_get("/-/content", self._content)
        app.router.add_route("*", "/{path:.*}", self._handle)
        if self._faults:
            Faults(injected).install(app)
        return app

    async def _lifetime(self, app: web.Application) -> AsyncIterator[None]:
        async with self._forwarder, self._azurite:
            try:
                await self._recorder.open()
            except AzureError as fault:
                raise CannotStart(f"the storage behind the lake does not answer: {fault.message}") from fault
            loops = [asyncio.create_task(work) for work in (self._dispatcher.run(), self._recorder.keep_settled())]
            yield
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=STOP_SECONDS)
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _health(self, request: web.Request) -> web.Response:
        """Say what waits, and why."""
        body = {"status": "ok", "events": self._store.waiting(), "unrecorded": self._recorder.doubtful}
        return web.json_response(body)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = parse(request.method, request.raw_path, request.headers, ACCOUNT)
        try:
            if asked.container == HIDDEN:
                raise Refusal(403, "AuthorizationFailure", f"the container {HIDDEN} is not accessible")
            return await self._handlers[asked.operation](request, asked)
        except Refusal as refusal:
            return refusal.response()
        except (aiohttp.ClientConnectionError, AzureError) as fault:
            logger.warning("storage fault %s %s fault=%r", request.method, request.path, str(fault))
            return Refusal(503, "ServerBusy", f"the storage behind the lake does not answer: {fault}").response()

    # ---- reading -----------------------------------------------------------------------------------------------------

    async def _read(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        if asked.version_id:
            return await self._read_version(request, asked)

        def label(status: int, headers: CIMultiDict[str]) -> None:
            current = self._store.current(asked.container, asked.name)
            # A snapshot has its own etag, and is no version.
            known = current if current and current.etag == headers.get("ETag") else None
            if status < 400 and known:
                headers["x-ms-version-id"] = known.version_id
                headers["x-ms-is-current-version"] = "true"
            if f"/{HIDDEN}/" in headers.get("x-ms-copy-source", ""):
                del headers["x-ms-copy-source"]
                if known and known.properties["copy_source"]:
                    headers["x-ms-copy-source"] = known.properties["copy_source"]

        return await self._forwarder.forward(request, request.raw_path, label)

    async def _read_version(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        _require_signature(request)
        version = self._version(asked)
        failed = _conditions(request, version)
        if failed == 412:
            raise Refusal(412, "ConditionNotMet", CONDITION)
        if failed == 304:
            return web.Response(status=304, headers={"ETag": version.etag, "x-ms-error-code": "ConditionNotMet"})

        def label(status: int, headers: CIMultiDict[str]) -> None:
            for name in [name for name in headers if name.lower().startswith("x-ms-copy-")]:
                del headers[name]  # how the content came to its hidden place is nobody's business
            if status >= 400:
                return
            headers["ETag"], headers["Last-Modified"] = version.etag, version.last_modified
            headers["x-ms-creation-time"] = version.properties["created"]
            headers["x-ms-version-id"] = version.version_id
            if version.is_current:
                headers["x-ms-is-current-version"] = "true"

        query = [(name, value) for name, value in parse_qsl(request.query_string) if name.lower() != "versionid"]
        target = f"/{ACCOUNT}/{HIDDEN}/{quote(hidden_name(version))}" + (f"?{urlencode(query)}" if query else "")
        return await self._forwarder.forward(request, target, label, resign=True, without=conditions.NAMES)

    # ---- writing -----------------------------------------------------------------------------------------------------

    async def _write(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        changed, without = self._copy_source(request)

        async def write() -> web.StreamResponse:
            async with self._recorder.turn(asked.container, asked.name):

                async def record(status: int, headers: CIMultiDict[str]) -> None:
                    if status < 300:
                        source = request.headers.get("x-ms-copy-source", "") if changed else ""
                        version = await self._recorder.record(asked.container, asked.name, asked.api, source)
                        headers["x-ms-version-id"] = version.version_id

                return await self._forwarder.forward(
                    request, request.raw_path, record, resign=bool(changed), changed=changed, without=without
                )

        return await self._to_its_end(write())

    async def _touch(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        async def write() -> web.StreamResponse:
            async with self._recorder.turn(asked.container, asked.name):

                async def touch(status: int, headers: CIMultiDict[str]) -> None:
                    if status < 300:
                        await self._recorder.touch(asked.container, asked.name)

                return await self._forwarder.forward(request, request.raw_path, touch)

        return await self._to_its_end(write())

    async def _delete(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        async def delete() -> web.StreamResponse:
            async with self._recorder.turn(asked.container, asked.name):

                def end(status: int, headers: CIMultiDict[str]) -> None:
                    # Deleting only the snapshots leaves the blob, and so its version.
                    if status < 300 and request.headers.get("x-ms-delete-snapshots") != "only":
                        self._recorder.end(asked.container, asked.name)

                return await self._forwarder.forward(request, request.raw_path, end)

        return await self._to_its_end(delete())

    async def _delete_version(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        _require_signature(request)
        async with self._recorder.turn(asked.container, asked.name):
            version = self._version(asked)
            if version.is_current:
                message = "The current version is deleted without a version id."
                return Refusal(403, "OperationNotAllowedOnRootBlob", message).response()
            failed = _conditions(request, version)
            if failed:
                return Refusal(412, "ConditionNotMet", CONDITION).response()
            if retention_days(self._store):
                self._store.soft_delete(version, time.time())
                return web.Response(status=202, headers={"x-ms-delete-type-permanent": "false"})
            await self._recorder.remove(version)
        return web.Response(status=202, headers={"x-ms-delete-type-permanent": "true"})

    async def _undelete(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        """Restore every soft-deleted version. None becomes current: that is what promoting is for."""
        _require_signature(request)
        async with self._recorder.turn(asked.container, asked.name):
            if not self._store.knows(asked.container, asked.name):
                raise Refusal(404, "BlobNotFound", "The specified blob does not exist.")
            self._store.restore(asked.container, asked.name)
        return web.Response(status=200)

    async def _set_service(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        """Azurite keeps the service's properties; how long deleted versions are retained is kept here as well."""
        body = await request.read()
        policy = _DELETE_POLICY.search(body)
        enabled = policy is not None and b"<Enabled>true</Enabled>" in policy[0].replace(b" ", b"")
        days = _DAYS.search(policy[0]) if policy else None
        response = await self._forwarder.forward(request, request.raw_path, body=body)
        if response.status < 300 and policy is not None:
            self._store.remember(retention_days=days[1].decode() if enabled and days else "0")
        return response

    async def _refuse_stats(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        raise Refusal(400, "InvalidQueryParameterValue", "statistics are read at the secondary endpoint")

    # ---- replication -------------------------------------------------------------------------------------------------

    async def _journal(self, request: web.Request) -> web.Response:
        """Give a replica what happened behind an entry, up to a time: `?after=SEQ&lag=SECONDS`."""
        after, lag = int(request.query.get("after", "0")), float(request.query.get("lag", "0"))
        found = self._store.journal(after, time.time() - lag, JOURNAL_PAGE)
        containers = await self._recorder.containers()
        body = {"entries": found.entries, "last": found.last, "until": found.complete_until, "containers": containers}
        return web.json_response(body)

    async def _content(self, request: web.Request) -> web.StreamResponse:
        """Give a replica the bytes of one version; 404 when it was deleted meanwhile."""
        query = request.query
        version = self._store.get(query["container"], query["name"], query["version"])
        if version is None:
            return web.Response(status=404)
        try:
            blocks = await self._recorder.content(version)
        except ResourceNotFoundError:
            return web.Response(status=404)
        response = web.StreamResponse()
        await response.prepare(request)
        async for block in blocks:
            await response.write(block)
        await response.write_eof()
        return response

    async def _delete_container(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        async def forget(status: int, headers: CIMultiDict[str]) -> None:
            if status < 300:
                await self._recorder.forget_container(asked.container)

        return await self._to_its_end(self._forwarder.forward(request, request.raw_path, forget))

    # ---- listing -----------------------------------------------------------------------------------------------------

    async def _list_versions(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        _require_signature(request)
        unsupported = sorted(asked.include - {"versions", "metadata", "deleted"})
        if unsupported or asked.query.get("delimiter"):
            named = unsupported[0] if unsupported else "delimiter"
            raise Refusal(400, "UnsupportedQueryParameter", f"include=versions together with {named} is not supported")
        which = "all" if "deleted" in asked.include else "kept"
        page = listing.page_of(self._store, asked, which, MOST_LISTED)
        if not await self._recorder.has_container(asked.container):
            raise Refusal(404, "ContainerNotFound", "The specified container does not exist.")
        body = listing.versions_xml(
            self._endpoint,
            asked.container,
            page.prefix,
            page.marker,
            page.most,
            page.versions,
            page.follow,
            "metadata" in asked.include,
            retention_days(self._store),
        )
        return web.Response(body=body, content_type="application/xml")

    async def _list_blobs(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        for named in ("deleted", "deletedwithversions"):
            if named in asked.include:
                raise Refusal(
                    400, "UnsupportedQueryParameter", f"include={named} is supported together with versions only"
                )
        edit = listing.without_hidden_sources if "copy" in asked.include else None
        return await self._forwarder.forward(request, request.raw_path, edit=edit)

    async def _list_containers(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        return await self._forwarder.forward(request, request.raw_path, edit=listing.without_hidden_container)

    # ---- everything else ---------------------------------------------------------------------------------------------

    async def _pass(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        return await self._forwarder.forward(request, request.raw_path)

    async def _refuse_foreign(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        raise Refusal(400, "InvalidUri", f"{request.path!r} is not in the account {ACCOUNT}, the only one here")

    async def _refuse_unsupported(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        named = next((f"{name}={asked.query[name]}" for name in ("comp", "deletetype") if asked.query.get(name)), "")
        what = named or request.headers.get("x-ms-blob-type", "")
        of = " of a version" if asked.version_id else ""
        raise Refusal(400, "UnsupportedOperation", f"{request.method} {what}{of} is not supported by this lake")

    async def _to_its_end(self, work: Coroutine[Any, Any, web.StreamResponse]) -> web.StreamResponse:
        """Finish what was begun although the client may go away: a write that is stored must also be recorded."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[web.StreamResponse]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (fault := task.exception()):
            logger.debug("write ended with %r", fault)

    def _version(self, asked: BlobRequest) -> Version:
        version = self._store.get(asked.container, asked.name, asked.version_id)
        if version is None or version.deleted:
            raise Refusal(404, "BlobNotFound", "The specified blob does not exist.")
        return version

    def _copy_source(self, request: web.Request) -> tuple[dict[str, str], frozenset[str]]:
        """Return headers to change and to leave out, so that Azurite copies from a version's hidden blob."""
        parts = urlsplit(request.headers.get("x-ms-copy-source", ""))
        source = parse("GET", f"{parts.path}?{parts.query}", {}, ACCOUNT)
        if source.container == HIDDEN:
            raise Refusal(403, "AuthorizationFailure", f"the container {HIDDEN} is not accessible")
        if not source.version_id:
            return {}, frozenset()
        _require_signature(request)
        version = self._version(source)
        if _conditions(request, version, "x-ms-source-"):
            raise Refusal(412, "SourceConditionNotMet", CONDITION)
        target = f"{self._forwarder.upstream}/{ACCOUNT}/{HIDDEN}/{quote(hidden_name(version))}"
        return {"x-ms-copy-source": target}, frozenset(f"x-ms-source-{name}" for name in conditions.NAMES)


def _conditions(request: web.Request, version: Version, prefix: str = "") -> int:
    lowered = {name.lower(): value for name, value in request.headers.items()}
    try:
        return conditions.failed(lowered, version.etag, version.last_modified, prefix)
    except (ValueError, TypeError) as fault:
        raise Refusal(400, "InvalidHeaderValue", f"a conditional header has no valid date: {fault}") from fault


def _require_signature(request: web.Request) -> None:
    if "sig" in request.query:
        raise Refusal(400, "UnsupportedQueryParameter", "versions by shared access signature are not supported here")
    if not is_signed(request.method, request.raw_path, request.headers, ACCOUNT, KEY):
        message = "Server failed to authenticate the request. Make sure the Authorization header is right."
        raise Refusal(403, "AuthenticationFailed", message)
