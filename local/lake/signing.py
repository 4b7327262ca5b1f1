"""Shared Key authorization of Azure Storage: check a request's signature, sign a request anew. Pure.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import unquote

_SIGNED = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


def signature(method: str, raw_path: str, headers: Mapping[str, str], account: str, key: str) -> str:
    """Return the value of the Authorization header for a request. `raw_path` is path and query as sent."""
    path, _, query = raw_path.partition("?")
    lowered = {name.lower(): value for name, value in headers.items()}
    lines = [method]
    for name in _SIGNED:
        value = lowered.get(name, "")
        lines.append("" if name == "content-length" and value == "0" else value)
    own = sorted((name, value) for name, value in lowered.items() if name.startswith("x-ms-"))
    lines += [f"{name}:{value.strip()}" for name, value in own]
    parameters = sorted(_parameters(query).items())
    resource = f"/{account}{path}" + "".join(f"\n{name}:{value}" for name, value in parameters)
    text = "\n".join([*lines, resource])
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return f"SharedKey {account}:{base64.b64encode(digest).decode()}"


def is_signed(method: str, raw_path: str, headers: Mapping[str, str], account: str, key: str) -> bool:
    """Whether the request carries the account's valid signature."""
    lowered = {name.lower(): value for name, value in headers.items()}
    given = lowered.get("authorization", "")
    return hmac.compare_digest(given, signature(method, raw_path, headers, account, key))


def _parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        found[unquote(name).lower()] = unquote(value)
    return found
