"""Listing the blobs of a container with what the app needs of each.

The SDK makes a model of about fifty fields for every blob, which takes a quarter of a millisecond: a recovery lists the
lake several times, and would wait longer for that than for the service. Its listing of names makes none. Asked to
include more than names, the service answers with all of it, and this reads the answer that the SDK has received and
parsed; requests, retries, signing in and faults are the SDK's.

The answer's form: https://learn.microsoft.com/rest/api/storageservices/list-blobs#response-body
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from azure.core.pipeline.policies import ContentDecodePolicy
from azure.storage.blob.aio import ContainerClient


@dataclass(frozen=True, slots=True)
class ListedBlob:
    """One blob, or one version of it, as a listing has it.

    `etag` is as the service gives it; `size` is in bytes; `last_modified` is in UTC. `version_id` and
    `is_current_version` are None where the listing does not include versions or the account keeps none.
    """

    name: str
    etag: str
    size: int
    last_modified: datetime
    version_id: str | None = None
    is_current_version: bool | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


# (container, prefix of the names, what to include besides: "metadata", "versions") -> blobs in the order of names
Listing = Callable[[ContainerClient, str, Sequence[str]], AsyncIterator[ListedBlob]]


async def list_blobs(container: ContainerClient, prefix: str, include: Sequence[str]) -> AsyncIterator[ListedBlob]:
    """Yield the blobs whose names begin with `prefix`, in the order of names, and of versions, the oldest first.

    Raises what the SDK's own listing raises.
    """
    answers: list[Any] = []
    pages = container.list_blob_names(
        name_starts_with=prefix or None, include=list(include), raw_response_hook=answers.append
    ).by_page()
    async for _ in pages:
        # The hook sees every try; the last one has been read as the page.
        answer: Element = answers[-1].context[ContentDecodePolicy.CONTEXT_NAME]
        answers.clear()
        for element in answer.iterfind("Blobs/Blob"):
            yield _blob(element)


def _blob(element: Element) -> ListedBlob:
    properties = element.find("Properties")
    metadata = element.find("Metadata")
    current = element.findtext("IsCurrentVersion")
    if properties is None:
        raise ValueError(f"the service gave no properties for {_name(element)!r}")
    return ListedBlob(
        name=_name(element),
        etag=properties.findtext("Etag", ""),
        size=int(properties.findtext("Content-Length") or 0),
        last_modified=parsedate_to_datetime(properties.findtext("Last-Modified", "")),
        version_id=element.findtext("VersionId") or None,
        is_current_version=None if current is None else current == "true",
        metadata={} if metadata is None else {one.tag: one.text or "" for one in metadata},
    )


def _name(element: Element) -> str:
    """Return the blob's name; the service encodes those that XML cannot hold."""
    name = element.find("Name")
    text = "" if name is None else name.text or ""
    return unquote(text) if name is not None and name.get("Encoded") == "true" else text
