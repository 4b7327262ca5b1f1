"""Listings: the XML of List Blobs with `include=versions`, and other listings without what this lake hides. Pure.

https://learn.microsoft.com/rest/api/storageservices/list-blobs
"""

import base64
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from local.lake.recorder import HIDDEN
from local.lake.refusal import Refusal
from local.lake.request import BlobRequest
from local.lake.versions import Version, VersionStore

_CONTAINER = re.compile(rb"<Container><Name>" + HIDDEN.encode() + rb"</Name>.*?</Container>", re.DOTALL)
_SOURCE = re.compile(rb"<CopySource>[^<]*/" + HIDDEN.encode() + rb"/[^<]*</CopySource>")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Properties in the order of the service's answer; those without a value are left out.
_OPTIONAL = {
    "Content-Type": "type",
    "Content-Encoding": "encoding",
    "Content-Language": "language",
    "Content-Disposition": "disposition",
    "Cache-Control": "cache",
    "Content-MD5": "md5",
}


def versions_xml(
    endpoint: str,
    container: str,
    prefix: str,
    marker: str,
    most: int,
    versions: Sequence[Version],
    next_marker: str,
    metadata: bool,
    days: int = 0,
    version_ids: bool = True,
) -> bytes:
    """Return one page of a listing. `days` is how long what was deleted is retained."""
    blobs = "".join(_blob(version, metadata, days, version_ids) for version in versions)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint={quoteattr(endpoint)} '
        f"ContainerName={quoteattr(container)}><Prefix>{escape(prefix)}</Prefix><Marker>{escape(marker)}</Marker>"
        f"<MaxResults>{most}</MaxResults><Blobs>{blobs}</Blobs><NextMarker>{escape(next_marker)}</NextMarker>"
        "</EnumerationResults>"
    ).encode()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, and the parameters that it answers."""

    prefix: str
    marker: str
    most: int
    versions: list[Version]
    follow: str


def page_of(store: VersionStore, asked: BlobRequest, which: str, most_listed: int) -> Page:
    """Return the page that a listing asks for. Raises a 400 for a parameter that is none."""
    prefix, marker = asked.query.get("prefix", ""), asked.query.get("marker", "")
    asked_for = asked.query.get("maxresults", str(most_listed))
    if not asked_for.isdecimal() or int(asked_for) < 1:
        raise Refusal(400, "OutOfRangeQueryParameterValue", f"maxresults {asked_for!r} is not a positive number")
    most = min(int(asked_for), most_listed)
    try:
        after = decode_marker(marker)
    except ValueError as fault:
        raise Refusal(400, "InvalidQueryParameterValue", f"marker {marker!r} is not one of this listing") from fault
    found = store.page(asked.container, prefix, after, most + 1, which)
    follow = encode_marker(found[most - 1]) if len(found) > most else ""
    return Page(prefix, marker, most, found[:most], follow)


def containers_xml(endpoint: str, names: Sequence[str]) -> bytes:
    """Return a listing of containers."""
    moment = formatdate(0, usegmt=True)
    containers = "".join(
        f'<Container><Name>{escape(name)}</Name><Properties><Last-Modified>{moment}</Last-Modified><Etag>"0x1"</Etag>'
        "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState></Properties></Container>"
        for name in names
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint={quoteattr(endpoint)}>'
        f"<Containers>{containers}</Containers><NextMarker/></EnumerationResults>"
    ).encode()


def encode_marker(version: Version) -> str:
    """Return the opaque marker of the page that begins after `version`."""
    return base64.urlsafe_b64encode(json.dumps([version.name, version.version_id]).encode()).decode()


def decode_marker(marker: str) -> tuple[str, str]:
    """Return the name and version a page begins after. Raises ValueError for a marker that is none of ours."""
    if not marker:
        return "", ""
    value = json.loads(base64.urlsafe_b64decode(marker))
    if not (isinstance(value, list) and len(value) == 2):
        raise ValueError("not a pair")
    return str(value[0]), str(value[1])


def without_hidden_container(body: bytes) -> bytes:
    """Return a listing of containers without the one that holds the contents of versions."""
    return _CONTAINER.sub(b"", body)


def without_hidden_sources(body: bytes) -> bytes:
    """Return a listing of blobs that does not say from where in the hidden container one was copied."""
    return _SOURCE.sub(b"", body)


def _blob(version: Version, metadata: bool, days: int, version_ids: bool) -> str:
    properties = version.properties
    current = "<IsCurrentVersion>true</IsCurrentVersion>" if version.is_current else ""
    identity = f"<VersionId>{version.version_id}</VersionId>{current}" if version_ids else ""
    optional = "".join(
        f"<{name}>{escape(properties[key])}</{name}>" for name, key in _OPTIONAL.items() if properties[key]
    )
    pairs = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in properties["metadata"].items())
    gone = ""
    if version.deleted:
        left = max(0, days - int((time.time() - version.deleted) // 86_400))
        moment = formatdate(version.deleted, usegmt=True)
        gone = f"<DeletedTime>{moment}</DeletedTime><RemainingRetentionDays>{left}</RemainingRetentionDays>"
    return (
        f"<Blob>{_name(version.name)}{'<Deleted>true</Deleted>' if version.deleted else ''}{identity}<Properties>"
        f"<Creation-Time>{properties['created']}</Creation-Time><Last-Modified>{version.last_modified}</Last-Modified>"
        f"<Etag>{escape(version.etag.strip(chr(34)))}</Etag><Content-Length>{properties['length']}</Content-Length>"
        f"{optional}<BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><ServerEncrypted>true</ServerEncrypted>"
        f"{gone}</Properties>{f'<Metadata>{pairs}</Metadata>' if metadata else ''}</Blob>"
    )


def _name(name: str) -> str:
    if _NOT_XML.search(name):
        return f'<Name Encoded="true">{quote(name)}</Name>'
    return f"<Name>{escape(name)}</Name>"
