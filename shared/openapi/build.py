"""Small builders for JSON Schema and OpenAPI, so that the description reads as a table. Pure."""

from typing import Any

type Node = dict[str, Any]

TEXT: Node = {"type": "string"}
COUNT: Node = {"type": "integer", "minimum": 0}
NUMBER: Node = {"type": "number"}
FLAG: Node = {"type": "boolean"}
TIME: Node = {"type": "string", "format": "date-time"}
ANYTHING: Node = {}


def described(node: Node, text: str) -> Node:
    """Return the schema with a description."""
    return {**node, "description": text}


def nullable(node: Node) -> Node:
    """Return the schema of what may also be null."""
    if "$ref" in node:
        return {"anyOf": [node, {"type": "null"}]}
    if "enum" in node:
        return {**node, "type": [node["type"], "null"], "enum": [*node["enum"], None]}
    return {**node, "type": [node["type"], "null"]}


def list_of(node: Node, **limits: Any) -> Node:
    """Return the schema of a list."""
    return {"type": "array", "items": node, **limits}


def map_of(node: Node) -> Node:
    """Return the schema of an object whose names are data."""
    return {"type": "object", "additionalProperties": node}


def one_of(*values: str) -> Node:
    """Return the schema of a text that is one of `values`."""
    return {"type": "string", "enum": list(values)}


def answered(properties: dict[str, Node], optional: tuple[str, ...] = ()) -> Node:
    """Return the schema of an object in an answer: fields may be added to it in later releases."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def accepted(properties: dict[str, Node], required: tuple[str, ...] = ()) -> Node:
    """Return the schema of an object in a request: unknown fields are refused."""
    node: Node = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**node, "required": list(required)} if required else node


def ref(name: str) -> Node:
    """Return the reference to a schema of this description."""
    return {"$ref": f"#/components/schemas/{name}"}
