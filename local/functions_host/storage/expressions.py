"""Binding expressions: `{name}` in a path, taken from what triggered the function."""

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from local.functions_host.model import HostError
from local.functions_host.protos import TypedData

EXPRESSION = re.compile(r"\{([^{}]+)\}")
NAME = re.compile(r"[\w-]+")


def fill(path: str, metadata: Mapping[str, TypedData], where: str) -> str:
    """Replace `{name}`, `{rand-guid}` and `{DateTime}`. Raises HostError when the trigger has no such value."""
    values = {name.lower(): value for name, value in metadata.items()}

    def value(found: re.Match[str]) -> str:
        name = found.group(1).lower()
        if name == "rand-guid":
            return str(uuid.uuid4())
        if name == "datetime":
            return f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"
        if name not in values:
            raise HostError(f"{where}: {found.group()!r} in {path!r} has no value in this invocation")
        return plain(values[name])

    return EXPRESSION.sub(value, path)


def plain(data: TypedData) -> str:
    """Return a value as text: JSON strings without their quotes."""
    content = data.value()
    if data.WhichOneof("data") == "json":
        parsed = json.loads(content)
        return parsed if isinstance(parsed, str) else content
    return content.decode() if isinstance(content, bytes) else str(content)


class PathPattern:
    """A blob path such as `documents/{name}` or `documents/{folder}/{file}.{extension}`."""

    def __init__(self, text: str, where: str) -> None:
        container, separator, rest = text.strip("/").partition("/")
        if not container or "{" in container:
            raise HostError(f"{where}: the path {text!r} must begin with a container's name")
        self.container = container
        self._names: list[str] = []  # what each group of the pattern is called: names are not those of Python
        pattern = self._regex(rest, f"{where}: the path {text!r}")
        self._pattern = re.compile(pattern) if separator else None  # a container alone takes all its blobs

    def match(self, container: str, blob: str) -> dict[str, str] | None:
        """Return the values of the pattern's names when a blob matches. The last name may span folders."""
        if container != self.container:
            return None
        if self._pattern is None:
            return {}
        found = self._pattern.fullmatch(blob)
        return dict(zip(self._names, found.groups(), strict=True)) if found else None

    def _regex(self, text: str, where: str) -> str:
        """Return the pattern; a name that comes again stands for the same text again. Raises HostError."""
        pattern, position = "", 0
        for found in EXPRESSION.finditer(text):
            name = found.group(1)
            if not NAME.fullmatch(name):
                raise HostError(f"{where} has {found.group()!r}, which is no name; a name takes no format")
            pattern += re.escape(text[position : found.start()])
            if name in self._names:
                pattern += f"(?:\\{self._names.index(name) + 1})"
            else:
                self._names.append(name)
                pattern += "(.+)"
            position = found.end()
        return pattern + re.escape(text[position:])
