"""Are all properties of a resource known to its type at its API version? Held to `types.json` (allow_list.py)."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.infra.values import Opaque, Resource

TYPES = Path(__file__).parent / "types.json"
_ALWAYS = frozenset({"name"})
_PLAIN: Mapping[str, type | tuple[type, ...]] = {"string": str, "int": int, "bool": bool}


@cache
def allow_list() -> dict[str, Any]:
    """Return the committed list."""
    found: dict[str, Any] = json.loads(TYPES.read_text(encoding="utf-8"))
    return found


def property_faults(resource: Resource) -> list[str]:
    """Return what is wrong with a resource's properties, and with what is read of it."""
    models = allow_list()["resources"].get(f"{resource.type}@{resource.api_version}")
    if models is None:
        return [f"{resource}: {resource.type}@{resource.api_version} is not in the list of types"]
    faults: list[str] = []
    if not resource.existing:
        body = {name: value for name, value in resource.body.items() if name not in _ALWAYS}
        faults.extend(f"{resource}: {fault}" for fault in _object(models[0], body, ""))
    for read in resource.reads:
        if not _readable(models[-1], read.path):
            faults.append(f"{resource}: what is read, {'.'.join(read.path)!r}, does not exist")
    return faults


def _tree(model: str | dict[str, Any]) -> Any:
    return allow_list()["models"][model] if isinstance(model, str) else model


def _object(model: str | dict[str, Any], value: Mapping[str, Any], path: str) -> Iterator[str]:
    tree = _tree(model)
    kind = value.get(tree.get("$by", ""))
    if "$kinds" in tree:
        if kind not in tree["$kinds"]:
            yield f"{path}{tree['$by']} is {kind!r}; known are {sorted(tree['$kinds'])}"
            return
        tree = _tree(tree["$kinds"][kind])
    for name, leaf in tree.items():
        if isinstance(leaf, str) and leaf.startswith("*") and name not in value and name not in _ALWAYS:
            yield f"{path}{name} is missing"
    for name, given in value.items():
        leaf = tree.get(name)
        if leaf is None or name.startswith("$"):
            yield f"{path}{name} is unknown"
        elif isinstance(leaf, str) and leaf.startswith("!"):
            yield f"{path}{name} is written by the service only"
        elif given is not None:
            yield from _leaf(leaf, given, f"{path}{name}")


def _leaf(leaf: str | dict[str, Any], value: Any, path: str) -> Iterator[str]:
    kind = leaf.lstrip("*!") if isinstance(leaf, str) else leaf
    if isinstance(value, Opaque) or kind == "any":
        return
    if isinstance(kind, str) and kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (kind == "int" and isinstance(value, bool)):
            yield f"{path} is no {kind} but {type(value).__name__}"
    elif isinstance(kind, str) and kind[0] in "[{":
        wanted = list if kind[0] == "[" else dict
        if not isinstance(value, wanted):
            yield f"{path} is no {wanted.__name__} but {type(value).__name__}"
            return
        for key, item in enumerate(value) if isinstance(value, list) else value.items():
            yield from _leaf(kind[1:-1], item, f"{path}[{key}]")
    elif isinstance(_tree(kind), list):
        if value not in _tree(kind):
            yield f"{path} is {value!r}; known are {_tree(kind)}"
    elif not isinstance(value, Mapping):
        yield f"{path} is no object but {type(value).__name__}"
    else:
        yield from _object(kind, value, f"{path}.")


def _readable(model: str | dict[str, Any], path: tuple[str, ...]) -> bool:
    tree: Any = _tree(model)
    for name in path:
        if not isinstance(tree, dict) or name not in tree:
            return False
        leaf = tree[name]
        kind = leaf.lstrip("*!") if isinstance(leaf, str) else leaf
        tree = allow_list()["models"].get(kind, {}) if isinstance(kind, str) else kind
    return True
