"""The lake's secondary endpoint: a read-only replica that lags, and goes on serving when the primary is gone.

It follows the primary's journal: every change is repeated here in its order once it is older than the lag, contents
first, so that what is listed can be read. Last Sync Time is the moment up to which nothing is missing; when the primary
does not answer any more it stays where it is.
https://learn.microsoft.com/azure/storage/common/storage-redundancy
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from local.azurite import ACCOUNT, KEY
from local.faults import Faults
from local.lake import conditions, listing
from local.lake.recorder import hidden_name
from local.lake.refusal import Refusal, injected
from local.lake.request import BlobRequest, parse
from local.lake.signing import is_signed
from local.lake.versions import Version, VersionStore

logger = logging.getLogger(__name__)

SECONDARY = f"{ACCOUNT}-secondary"
POLL_SECONDS = 0.2
MOST_LISTED = 5_000
_BLOCK = 1 << 20
_INCLUDED = frozenset({"versions", "metadata"})


class Replica:
    """The replica's state: what has arrived, and how far that is. `lag` is in seconds."""

    def __init__(self, source: str, folder: Path, lag: float) -> None:
        self.store = VersionStore(folder / "versions.db")
        self.lag = lag
        self.fault = ""
        self.turn = asyncio.Lock()
        self._source = source.rstrip("/")
        self._contents = folder / "contents"

    @property
    def last_sync_time(self) -> float:
        """Up to when nothing is missing, in seconds since 1970; 0 before the first synchronisation."""
        return float(self.store.fact("last_sync_time", "0"))

    @property
    def containers(self) -> frozenset[str]:
        """The containers that have arrived."""
        return frozenset(self.store.fact("containers", "").split("\n")) - {""}

    def content(self, version: Version) -> Path:
        """Return the file with a version's bytes."""
        return self._contents / hidden_name(version)

    async def follow(self) -> None:
        """Repeat what the primary does, for ever."""
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    more = await self.catch_up(session)
                    self.fault = ""
                except (aiohttp.ClientError, TimeoutError, OSError) as fault:
                    more = False
                    if not self.fault:
                        logger.warning("replica cannot reach the primary: %s", fault)
                    self.fault = str(fault) or type(fault).__name__
                if not more:
                    await asyncio.sleep(POLL_SECONDS)

    async def catch_up(self, session: aiohttp.ClientSession) -> bool:
        """Take the next part of the journal; returns whether there is more."""
        async with self.turn:
            return await self._catch_up(session)

    async def _catch_up(self, session: aiohttp.ClientSession) -> bool:
        after = int(self.store.fact("journal", "0"))
        query = {"after": str(after), "lag": str(self.lag)}
        async with session.get(f"{self._source}/-/journal", params=query) as reply:
            reply.raise_for_status()
            found = await reply.json()
        for entry in found["entries"]:
            if "version" in entry:
                await self._fetch(session, Version(**entry["version"]))
        # All at once: where the primary is lost in the midst of an overwrite, the version before it is still current.
        self.store.apply(
            found["entries"],
            journal=str(found["last"]),
            containers="\n".join(found["containers"]),
            last_sync_time=str(max(self.last_sync_time, found["until"])),
        )
        return bool(found["entries"])

    async def _fetch(self, session: aiohttp.ClientSession, version: Version) -> None:
        """Bring a version's bytes here, whole or not at all."""
        file = self.content(version)
        query = {"container": version.container, "name": version.name, "version": version.version_id}
        async with session.get(f"{self._source}/-/content", params=query) as reply:
            if reply.status == 404:  # deleted for good meanwhile: a later entry says so
                return
            reply.raise_for_status()
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            with part.open("wb") as out:
                async for block in reply.content.iter_chunked(_BLOCK):
                    out.write(block)
            part.replace(file)


class ReplicaApp:
    """The secondary endpoint over a replica."""

    def __init__(self, replica: Replica, endpoint: str, faults: bool = False) -> None:
        self._replica = replica
        self._endpoint = endpoint
        self._faults = faults

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=0)
        app.cleanup_ctx.append(self._lifetime)
        app.router.add_get("/-/health", self._health)
        app.router.add_post("/-/lag", self._set_lag)
        app.router.add_route("*", "/{path:.*}", self._handle)
        if self._faults:
            Faults(injected).install(app)
        return app

    async def _lifetime(self, app: web.Application) -> AsyncIterator[None]:
        following = asyncio.create_task(self._replica.follow())
        yield
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        self._replica.store.close()

    async def _health(self, request: web.Request) -> web.Response:
        """Say how far the replica is, and why it is no further."""
        replica = self._replica
        return web.json_response({"lag": replica.lag, "last_sync_time": replica.last_sync_time, "fault": replica.fault})

    async def _set_lag(self, request: web.Request) -> web.Response:
        """Change the lag: `{"seconds": 30}`."""
        seconds = (await request.json()).get("seconds")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
            return web.json_response({"error": f"seconds must be a number of at least 0, not {seconds!r}"}, status=400)
        async with self._replica.turn:  # what is under way still has the lag before
            self._replica.lag = float(seconds)
        return web.json_response({"seconds": self._replica.lag})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = parse(request.method, request.raw_path, request.headers, SECONDARY)
        try:
            if not is_signed(request.method, request.raw_path, request.headers, ACCOUNT, KEY):
                raise Refusal(403, "AuthenticationFailed", "Server failed to authenticate the request.")
            return await self._answer(request, asked)
        except Refusal as refusal:
            return refusal.response()

    async def _answer(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        if asked.operation == "foreign":
            raise Refusal(400, "InvalidUri", f"{request.path!r} is not in the account {SECONDARY}, the only one here")
        # Where the account is part of the path, the SDK asks for statistics with both accounts in it.
        if (asked.query.get("restype"), asked.query.get("comp")) == ("service", "stats"):
            return self._stats()
        if request.method not in ("GET", "HEAD"):
            message = "Write operations are not allowed at the secondary endpoint."
            raise Refusal(403, "InsufficientAccountPermissions", message)
        if asked.operation == "list_containers":
            return self._list_containers(asked)
        if asked.container not in self._replica.containers:
            raise Refusal(404, "ContainerNotFound", "The specified container does not exist.")
        if asked.operation == "read":
            return await self._read(request, asked)
        if asked.operation in ("list_blobs", "list_versions"):
            return self._list(asked)
        if not asked.name and asked.query.get("restype") == "container" and not asked.query.get("comp"):
            return web.Response(headers={"ETag": '"0x1"', "Last-Modified": formatdate(0, usegmt=True)})
        raise Refusal(
            400, "UnsupportedOperation", f"{request.method} {request.path_qs} is not supported by this replica"
        )

    def _stats(self) -> web.Response:
        moment = self._replica.last_sync_time
        status = "live" if moment else "bootstrap"
        written = formatdate(moment, usegmt=True) if moment else ""
        body = (
            '<?xml version="1.0" encoding="utf-8"?><StorageServiceStats><GeoReplication>'
            f"<Status>{status}</Status><LastSyncTime>{written}</LastSyncTime></GeoReplication></StorageServiceStats>"
        )
        return web.Response(body=body.encode(), content_type="application/xml")

    def _list_containers(self, asked: BlobRequest) -> web.Response:
        names = sorted(name for name in self._replica.containers if name.startswith(asked.query.get("prefix", "")))
        return web.Response(body=listing.containers_xml(self._endpoint, names), content_type="application/xml")

    def _list(self, asked: BlobRequest) -> web.Response:
        unsupported = sorted(asked.include - _INCLUDED)
        if unsupported or asked.query.get("delimiter"):
            named = unsupported[0] if unsupported else "delimiter"
            raise Refusal(400, "UnsupportedQueryParameter", f"a listing with {named} is not supported by this replica")
        versions = "versions" in asked.include
        which = "kept" if versions else "current"
        page = listing.page_of(self._replica.store, asked, which, MOST_LISTED)
        body = listing.versions_xml(
            self._endpoint,
            asked.container,
            page.prefix,
            page.marker,
            page.most,
            page.versions,
            page.follow,
            "metadata" in asked.include,
            version_ids=versions,
        )
        return web.Response(body=body, content_type="application/xml")

    async def _read(self, request: web.Request, asked: BlobRequest) -> web.StreamResponse:
        store = self._replica.store
        found = (
            store.get(asked.container, asked.name, asked.version_id)
            if asked.version_id
            else store.current(asked.container, asked.name)
        )
        if found is None or found.deleted:
            raise Refusal(404, "BlobNotFound", "The specified blob does not exist.")
        lowered = {name.lower(): value for name, value in request.headers.items()}
        failed = conditions.failed(lowered, found.etag, found.last_modified)
        if failed == 412:
            raise Refusal(
                412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."
            )
        headers = _headers(found)
        if failed == 304:
            return web.Response(status=304, headers={"ETag": found.etag, "x-ms-error-code": "ConditionNotMet"})
        return await _bytes(request, self._replica.content(found), headers, lowered)


def _headers(version: Version) -> CIMultiDict[str]:
    """Return the headers of a version's read."""
    properties: dict[str, Any] = dict(version.properties)
    headers = CIMultiDict(
        {
            "ETag": version.etag,
            "Last-Modified": version.last_modified,
            "x-ms-creation-time": properties["created"],
            "x-ms-version-id": version.version_id,
            "x-ms-blob-type": "BlockBlob",
            "Content-Type": properties["type"] or "application/octet-stream",
            "Accept-Ranges": "bytes",
        }
    )
    if version.is_current:
        headers["x-ms-is-current-version"] = "true"
    for name, key in (
        ("Content-Encoding", "encoding"),
        ("Content-Language", "language"),
        ("Content-Disposition", "disposition"),
        ("Cache-Control", "cache"),
        ("x-ms-blob-content-md5", "md5"),
    ):
        if properties[key]:
            headers[name] = properties[key]
    for name, value in properties["metadata"].items():
        headers[f"x-ms-meta-{name}"] = value
    return headers


async def _bytes(
    request: web.Request, file: Path, headers: CIMultiDict[str], asked: dict[str, str]
) -> web.StreamResponse:
    """Answer with a file or a range of it, as the service does."""
    size = await asyncio.to_thread(lambda: file.stat().st_size)
    start, end, status = 0, size - 1, 200
    given = asked.get("x-ms-range") or asked.get("range")
    if given and request.method == "GET":
        start, end = _range(given, size)
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    headers["Content-Length"] = str(end - start + 1)
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    if request.method == "GET":
        with await asyncio.to_thread(file.open, "rb") as content:
            content.seek(start)
            left = end - start + 1
            while left and (block := await asyncio.to_thread(content.read, min(_BLOCK, left))):
                left -= len(block)
                await response.write(block)
    await response.write_eof()
    return response


def _range(text: str, size: int) -> tuple[int, int]:
    """Return first and last byte of `bytes=a-b` or `bytes=a-`. Raises a 416 beyond the end."""
    first, _, last = text.removeprefix("bytes=").partition("-")
    if not first.isdecimal() or (last and not last.isdecimal()) or int(first) >= size:
        raise Refusal(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
    return int(first), min(int(last) if last else size - 1, size - 1)
