"""Opening documents at a version: the way every citation's link goes. Access is checked before anything is read."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from shared.chat.passages import CURRENT, access_filter, version_url
from shared.clients import Services
from shared.errors import NotFound

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
    """One version of a document, ready to be sent: headers, and the content as a stream."""

    headers: dict[str, str]
    content: AsyncIterator[bytes]


async def open_version(services: Services, document_id: str, version_id: str, groups: frozenset[str]) -> OpenedVersion:
    """Return one version of a document. Raises NotFound for what is not there and for what the caller may not see."""
    path = await _path(services, document_id, groups)
    if version_id == CURRENT:
        document = await services.lake.head(path)
        if document is None:
            raise NotFound(f"{path!r} is no longer in the lake")
        version_id = document.version_id
    opened = await services.lake.open_version(path, version_id)
    if opened is None:
        raise NotFound(f"{path!r} has no version {version_id!r}; it may have been deleted since it was cited")
    stored_type, content = opened
    suffix = PurePosixPath(path).suffix.lower()
    disposition = "inline" if suffix in _INLINE else "attachment"
    headers = {
        "Content-Type": _INLINE.get(suffix, stored_type),
        "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(PurePosixPath(path).name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, max-age=3600",
        "X-Version-Id": version_id,
    }
    if suffix != ".pdf":  # a browser's PDF viewer does not run in a sandbox; PDF scripts do not reach the page
        headers["Content-Security-Policy"] = _SANDBOX
    return OpenedVersion(headers, content)


async def list_versions(services: Services, document_id: str, groups: frozenset[str]) -> dict[str, Any]:
    """Return a document's path and versions, newest first. Raises NotFound as open_version does."""
    path = await _path(services, document_id, groups)
    versions = await services.lake.versions(path)
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


async def _path(services: Services, document_id: str, groups: frozenset[str]) -> str:
    if not (len(document_id) == 32 and set(document_id) <= set("0123456789abcdef")):
        raise NotFound(f"{document_id!r} is no document id; citations carry them")
    client = services.search_client(await services.generations.require_live())
    results = await client.search(
        search_text="*",
        filter=f"document_id eq '{document_id}' and {access_filter(groups)}",
        select=["path"],
        top=1,
    )
    async for result in results:
        return str(result["path"])
    raise NotFound(f"no document {document_id!r} is indexed")
