"""List Blobs with `include=versions`: the XML that the service answers. Pure.

https://learn.microsoft.com/rest/api/storageservices/list-blobs
"""

import base64
import json
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from local.lake.versions import Version


def versions_xml(
    endpoint: str,
    container: str,
    prefix: str,
    marker: str,
    most: int,
    versions: Sequence[Version],
    next_marker: str,
    metadata: bool,
) -> bytes:
    """Return one page of a listing."""
    blobs = "".join(_blob(version, metadata) for version in versions)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint={quoteattr(endpoint)} '
        f"ContainerName={quoteattr(container)}><Prefix>{escape(prefix)}</Prefix><Marker>{escape(marker)}</Marker>"
        f"<MaxResults>{most}</MaxResults><Blobs>{blobs}</Blobs><NextMarker>{escape(next_marker)}</NextMarker>"
        "</EnumerationResults>"
    ).encode()


def encode_marker(version: Version) -> str:
    """Return the opaque marker of the page that begins after `version`."""
    return base64.urlsafe_b64encode(json.dumps([version.name, version.version_id]).encode()).decode()


def decode_marker(marker: str) -> tuple[str, str]:
    """Return the name and version a page begins after. Raises ValueError for a marker that is none of ours."""
    if not marker:
        return "", ""
    name, version_id = json.loads(base64.urlsafe_b64decode(marker))
    return str(name), str(version_id)


def _blob(version: Version, metadata: bool) -> str:
    properties = version.properties
    current = "<IsCurrentVersion>true</IsCurrentVersion>" if version.is_current else ""
    pairs = properties.get("metadata", {})
    tail = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in pairs.items()) if metadata else ""
    return (
        f"<Blob><Name>{escape(version.name)}</Name><VersionId>{version.version_id}</VersionId>{current}<Properties>"
        f"<Creation-Time>{version.last_modified}</Creation-Time><Last-Modified>{version.last_modified}</Last-Modified>"
        f"<Etag>{escape(version.etag.strip(chr(34)))}</Etag><Content-Length>{properties.get('length', 0)}</Content-Length>"
        f"<Content-Type>{escape(properties.get('type', ''))}</Content-Type>"
        f"<Content-MD5>{escape(properties.get('md5', ''))}</Content-MD5><BlobType>BlockBlob</BlobType>"
        f"<AccessTier>Hot</AccessTier><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
        f"<ServerEncrypted>true</ServerEncrypted></Properties><Metadata>{tail}</Metadata></Blob>"
    )
