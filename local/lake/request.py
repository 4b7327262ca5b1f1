"""What a blob request is about, told from its path, query and headers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote

Operation = Literal[
    "read",
    "write",
    "touch",
    "delete",
    "delete_version",
    "list_versions",
    "list_blobs",
    "list_containers",
    "delete_container",
    "undelete",
    "set_service",
    "stats",
    "foreign",
    "unsupported",
    "other",
]


@dataclass(frozen=True, slots=True)
class BlobRequest:
    """One request: `api` is the name Event Grid gives a write. `query` has lower-case names and decoded values."""

    operation: Operation
    container: str
    name: str
    api: str
    query: Mapping[str, str]

    @property
    def version_id(self) -> str:
        """The version asked for, or ""."""
        return self.query.get("versionid", "")

    @property
    def include(self) -> frozenset[str]:
        """What a listing shall include, in lower case."""
        return frozenset(part for part in self.query.get("include", "").lower().split(",") if part)


def parse(method: str, raw_path: str, headers: Mapping[str, str], account: str) -> BlobRequest:
    """Return what the request does. `raw_path` is path and query as sent."""
    path, _, raw_query = raw_path.partition("?")
    query = {name.lower(): value for name, value in parse_qsl(raw_query, keep_blank_values=True)}
    owner, _, rest = path.lstrip("/").partition("/")
    if unquote(owner) != account:
        return BlobRequest("foreign", "", "", "", query)
    raw_container, _, raw_name = rest.lstrip("/").partition("/")
    container, name = unquote(raw_container), unquote(raw_name)
    lowered = {key.lower(): value for key, value in headers.items()}
    if name:
        operation, api = _blob_operation(method, query, lowered)
    else:
        operation, api = _container_operation(method, container, query), ""
    return BlobRequest(operation, container, name, api, query)


def _container_operation(method: str, container: str, query: Mapping[str, str]) -> Operation:
    comp = query.get("comp", "")
    if comp == "batch" or (comp == "undelete" and query.get("restype") == "container"):
        return "unsupported"
    if query.get("restype") == "service" and not container:
        if comp == "stats":
            return "stats"
        if comp == "properties" and method == "PUT":
            return "set_service"
    if method == "GET" and comp == "list":
        if not container:
            return "list_containers"
        return "list_versions" if "versions" in query.get("include", "").lower().split(",") else "list_blobs"
    if method == "DELETE" and container and query.get("restype") == "container":
        return "delete_container"
    return "other"


def _blob_operation(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[Operation, str]:
    comp = query.get("comp", "")
    if comp == "":
        return _whole_blob_operation(method, query, headers)
    if method == "PUT" and comp == "undelete" and "versionid" not in query:
        return "undelete", ""
    if "versionid" in query or comp in ("appendblock", "page", "incrementalcopy", "undelete"):
        return "unsupported", ""
    if method != "PUT":
        return "other", ""
    if comp == "blocklist":
        return "write", "PutBlockList"
    if comp == "metadata":
        return "write", ""  # a new version, but no event: Event Grid is silent about metadata
    return ("touch" if comp == "properties" else "other"), ""


def _whole_blob_operation(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[Operation, str]:
    if method in ("GET", "HEAD"):
        return "read", ""
    if method == "DELETE":
        if "deletetype" in query:
            return "unsupported", ""
        if "snapshot" in query:
            return "other", ""
        return ("delete_version" if "versionid" in query else "delete"), "DeleteBlob"
    if method == "PUT":
        if headers.get("x-ms-blob-type", "BlockBlob") != "BlockBlob":
            return "unsupported", ""
        return "write", "CopyBlob" if "x-ms-copy-source" in headers else "PutBlob"
    return "other", ""
