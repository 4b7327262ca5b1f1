"""Conditional headers, judged against one version. Pure.

https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

NAMES = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})


def failed(headers: Mapping[str, str], etag: str, last_modified: str, prefix: str = "") -> int:
    """Return 412 or 304 when a condition of a read does not hold, else 0.

    `prefix` is put before the header names: `x-ms-source-` for the source of a copy. Header names are lower case.
    Raises ValueError for a date that is none.
    """
    given = {name: headers[prefix + name] for name in NAMES if prefix + name in headers}
    if "if-match" in given and not _names(given["if-match"], etag):
        return 412
    if "if-unmodified-since" in given and _moment(last_modified) > _moment(given["if-unmodified-since"]):
        return 412
    if "if-none-match" in given:
        return 304 if _names(given["if-none-match"], etag) else 0
    if "if-modified-since" in given and _moment(last_modified) <= _moment(given["if-modified-since"]):
        return 304
    return 0


def _names(header: str, etag: str) -> bool:
    bare = etag.strip('"')
    return any(one.strip() == "*" or one.strip().strip('"') == bare for one in header.split(","))


def _moment(text: str) -> datetime:
    return parsedate_to_datetime(text)
