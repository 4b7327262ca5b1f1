"""Opening documents at a version: the way every citation's link goes. Access is checked before anything is read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import ServiceRequestError, ServiceResponseError

from shared.access import Access, visible
from shared.chat.passages import CURRENT, version_url
from shared.clients import Services
from shared.errors import NotFound, NotReady
from shared.lake.container import Lake, OpenedBlob

ANSWER_SECONDS = 5.0  # a lake that has not begun to answer by then is away: its replica is asked

# No cache that several people share keeps a document: who may see it was decided for one of them. A version never
# changes; what is current does, and whoever has it must ask whether it still is.
STAYS, CHANGES = "private, max-age=3600", "private, no-cache"

# Shown in the browser as text or by its own viewer; anything else is a download.
_INLINE = {
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".htm": "text/html; charset=utf-8",
    ".pdf": "application/pdf",
}
# A document is somebody's content under our own host name: it may be looked at, but never run.
_SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True, slots=True)
class OpenedVersion:
    """One version of a document, ready to be sent: HTTP status, headers, and the content as a stream.

    The status is 304, and the content empty, where the reader has this very content already.
    """

    status: int
    headers: dict[str, str]
    content: AsyncIterator[bytes]


async def open_version(
    services: Services, document_id: str, version_id: str, groups: frozenset[str], known: str = ""
) -> OpenedVersion:
    """Return one version of a document. `known` is the request's `If-None-Match`: ETags of what the reader has.

    Both the document as it is indexed and this version must be open to the caller: a version that was restricted stays
    so when a later one is not. Raises NotFound for what is not there and for what the caller may not see, alike.
    """
    access = await services.access_rules.access(groups)
    path = await _path(services, document_id, access)
    opened = await _answering(services, lambda lake: _open(lake, path, version_id))
    if opened is None or not access.allows(opened[1]):
        raise NotFound(f"{path!r} has no version {version_id!r}; it may have been deleted since it was cited")
    version, blob = opened
    headers = {**_headers(path, version, blob), "Cache-Control": CHANGES if version_id == CURRENT else STAYS}
    if blob.etag in (tag.strip().removeprefix("W/").strip('"') for tag in known.split(",")):
        return OpenedVersion(304, headers, _nothing())
    return OpenedVersion(200, headers, blob.content)


async def list_versions(services: Services, document_id: str, groups: frozenset[str]) -> dict[str, Any]:
    """Return a document's path and the versions that the caller may see, newest first. Raises NotFound as open_version
    does.
    """
    access = await services.access_rules.access(groups)
    path = await _path(services, document_id, access)
    versions = visible(await _answering(services, lambda lake: lake.versions(path)), access)
    return {
        "document_id": document_id,
        "path": path,
        "versions": [
            {
                "version_id": version.version_id,
                "is_current": version.is_current,
                "last_modified": version.last_modified.isoformat(),
                "size": version.size,
                "url": version_url(document_id, version.version_id),
            }
            for version in versions
        ],
    }


async def _open(lake: Lake, path: str, version_id: str) -> tuple[str, OpenedBlob] | None:
    """Return the version's id and content, or None where there is none; `current` stands for the current one."""
    if version_id == CURRENT:
        document = await lake.head(path)
        if document is None:
            return None
        version_id = document.version_id
    opened = await lake.open_version(path, version_id)
    return (version_id, opened) if opened else None


async def _answering[T](services: Services, act: Callable[[Lake], Awaitable[T]]) -> T:
    """Return what the lake answers; where it does not answer, its replica. Raises NotReady when neither does."""
    fault: BaseException | None = None
    for lake in services.lakes():
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await act(lake)
        except (ServiceRequestError, ServiceResponseError, TimeoutError) as error:
            fault = error
    raise NotReady("the lake does not answer, and no replica of it does") from fault


async def _nothing() -> AsyncIterator[bytes]:
    parts: tuple[bytes, ...] = ()
    for part in parts:
        yield part


def _headers(path: str, version_id: str, blob: OpenedBlob) -> dict[str, str]:
    suffix = PurePosixPath(path).suffix.lower()
    disposition = "inline" if suffix in _INLINE else "attachment"
    headers = {
        "Content-Type": _INLINE.get(suffix, blob.content_type),
        "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(PurePosixPath(path).name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "ETag": f'"{blob.etag}"',
        "X-Version-Id": version_id,
    }
    if suffix != ".pdf":  # a browser's PDF viewer does not run in a sandbox; PDF scripts do not reach the page
        headers["Content-Security-Policy"] = _SANDBOX
    return headers


async def _path(services: Services, document_id: str, access: Access) -> str:
    if not (len(document_id) == 32 and set(document_id) <= set("0123456789abcdef")):
        raise NotFound(f"{document_id!r} is no document id; citations carry them")
    client = services.search_client(await services.generations.require_live())
    results = await client.search(
        search_text="*",
        filter=f"document_id eq '{document_id}' and {access.filter()}",
        select=["path", "allowed_groups"],
        top=1,
    )
    async for result in results:
        found = _Indexed(str(result["path"]), tuple(result["allowed_groups"] or ()))
        if access.allows(found):
            return found.path
    raise NotFound(f"no document {document_id!r} is indexed")


@dataclass(frozen=True, slots=True)
class _Indexed:
    """What the index says of a document's access."""

    path: str
    allowed_groups: tuple[str, ...]
