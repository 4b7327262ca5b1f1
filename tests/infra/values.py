"""What expressions of a template become: plain values, resources, modules, and what only a deployment would know."""

import base64
import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
SUBSCRIPTION_ID = f"/subscriptions/{SUBSCRIPTION}"
_NAMESPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")


@dataclass(frozen=True, slots=True)
class Group:
    """A resource group, as a scope."""

    name: str
    location: str = "unknown"

    @property
    def id(self) -> str:
        """Its resource id."""
        return f"{SUBSCRIPTION_ID}/resourceGroups/{self.name}"


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that only a deployment knows: the path below a resource."""

    resource: "Resource"
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"<{self.resource.id}:{'.'.join(self.path)}>"


@dataclass(eq=False, slots=True)
class Resource:
    """One resource as it would be deployed. `group` is "" at subscription scope; `of` is what an extension extends."""

    type: str
    api_version: str
    names: tuple[str, ...]
    body: dict[str, Any]
    group: str
    file: str
    symbol: str
    line: int
    existing: bool
    module: str
    of: "Resource | None" = None
    reads: list[Opaque] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The last part of its name."""
        return self.names[-1]

    @property
    def id(self) -> str:
        """Its resource id."""
        provider, *kinds = self.type.split("/")
        parts = "/".join(f"{kind}/{name}" for kind, name in zip(kinds, self.names, strict=True))
        if self.type == "Microsoft.Resources/resourceGroups":
            return f"{SUBSCRIPTION_ID}/resourceGroups/{self.name}"
        if self.of is not None:
            return f"{self.of.id}/providers/{provider}/{parts}"
        group = f"/resourceGroups/{self.group}" if self.group else ""
        return f"{SUBSCRIPTION_ID}{group}/providers/{provider}/{parts}"

    def get(self, path: str) -> Any:
        """Return the value at a dotted path of the body, None where there is none."""
        value: Any = self.body
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def __str__(self) -> str:
        return f"{self.module}{self.file}:{self.line} {self.symbol} ({self.type} {'/'.join(self.names)})"


@dataclass(eq=False, slots=True)
class Module:
    """One use of a module: what its outputs are."""

    file: str
    name: str
    parameters: dict[str, Any]
    output: Callable[[str], Any]


def unique_string(*parts: Any) -> str:
    """Return 13 letters and digits from the parts: not Azure's own, but as unique and as stable."""
    digest = hashlib.sha256("\0".join(map(show, parts)).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:13]


def guid(*parts: Any) -> str:
    """Return a GUID from the parts."""
    return str(uuid.uuid5(_NAMESPACE, "-".join(map(show, parts))))


def show(value: Any) -> str:
    """Return a value as `string()` and interpolation do."""
    if isinstance(value, bool):
        return "True" if value else "False"
    return str(value)


def _union(items: tuple[Any, ...]) -> Any:
    if isinstance(items[0], list):
        return list(dict.fromkeys(value for item in items for value in item))
    return {name: value for item in items for name, value in item.items()}


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "concat": lambda *lists: [item for items in lists for item in items],
    "contains": lambda whole, part: part in whole,
    "empty": lambda value: value is None or (not isinstance(value, Opaque) and len(value) == 0),
    "guid": guid,
    "int": int,
    "join": lambda items, separator: separator.join(items),
    "last": lambda items: items[-1],
    "length": len,
    "range": lambda start, count: list(range(start, start + count)),
    "resourceGroupScope": Group,
    "split": lambda whole, separator: whole.split(separator),
    "string": show,
    "subscription": lambda: {"id": SUBSCRIPTION_ID, "subscriptionId": SUBSCRIPTION},
    "subscriptionResourceId": lambda kind, name: f"{SUBSCRIPTION_ID}/providers/{kind}/{name}",
    "take": lambda whole, count: whole[:count],
    "tenant": lambda: {"tenantId": "00000000-0000-0000-0000-0000000000ff"},
    "union": lambda *items: _union(items),
    "uniqueString": unique_string,
    "environment": lambda: {
        "suffixes": {"storage": "core.windows.net"},
        "authentication": {"loginEndpoint": "https://login.microsoftonline.com/"},
    },
}
