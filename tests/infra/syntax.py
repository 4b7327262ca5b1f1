"""Bicep files as declarations: tree-sitter's tree with what the checks ask for picked out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_bicep.language()))
_KINDS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
}


class BicepFault(Exception):
    """What is wrong with a template, and where."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declaration. `text` is a resource's type or a module's file; `type` a parameter's or output's type."""

    kind: str
    name: str
    line: int
    value: Node | None
    type: str = ""
    text: str = ""
    existing: bool = False
    decorators: tuple[tuple[str, tuple[Node, ...]], ...] = ()

    def decorator(self, name: str) -> tuple[Node, ...] | None:
        """Return the arguments of a decorator, or None where there is none of that name."""
        return next((arguments for found, arguments in self.decorators if found == name), None)


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed file."""

    file: str
    declarations: dict[str, Declaration]
    outputs: dict[str, Declaration]
    target_scope: str

    def of(self, kind: str) -> list[Declaration]:
        """Return the declarations of a kind, in the file's order."""
        return [found for found in self.declarations.values() if found.kind == kind]


def text(node: Node) -> str:
    """Return a node's text."""
    return (node.text or b"").decode()


def string_text(node: Node) -> str:
    """Return the text of a string without interpolation."""
    return "".join(text(child) for child in node.named_children)


def line_of(node: Node) -> int:
    """Return the line on which a node begins, counted from 1."""
    return int(node.start_point[0]) + 1


def named(node: Node) -> list[Node]:
    """Return the named children without comments."""
    return [child for child in node.named_children if child.type != "comment"]


def parse(path: Path, content: str) -> Template:
    """Parse a file. Raises BicepFault for the first thing that is no Bicep, and for a name that is declared twice."""
    root = _PARSER.parse(content.encode()).root_node
    for node in _walk(root):
        if node.type == "ERROR" or node.is_missing:
            raise BicepFault(path.name, line_of(node), f"cannot be parsed: {text(node)[:60]!r}")
    declarations: dict[str, Declaration] = {}
    outputs: dict[str, Declaration] = {}
    decorators: tuple[tuple[str, tuple[Node, ...]], ...] = ()
    scope = "resourceGroup"
    for node in named(root):
        if node.type == "decorators":
            decorators = tuple(_decorator(child) for child in named(node))
        elif node.type == "target_scope_assignment":
            scope = string_text(named(node)[0])
        elif node.type in _KINDS:
            found = declaration(node, decorators)
            target = outputs if found.kind == "output" else declarations
            if found.name in target:
                raise BicepFault(path.name, found.line, f"{found.name!r} is declared twice")
            target[found.name] = found
            decorators = ()
        else:
            raise BicepFault(path.name, line_of(node), f"{node.type} is not used in these templates")
    return Template(path.name, declarations, outputs, scope)


def declaration(node: Node, decorators: tuple[tuple[str, tuple[Node, ...]], ...] = ()) -> Declaration:
    """Return what a declaration's node says."""
    children = named(node)
    kind = _KINDS[node.type]
    name, rest = text(children[0]), children[1:]
    typed = next((text(child) for child in rest if child.type == "type"), "")
    rest = [child for child in rest if child.type != "type"]
    label = string_text(rest.pop(0)) if kind in ("resource", "module") else ""
    existing = any(child.type == "existing" for child in node.children)
    value = rest[0] if rest else None
    return Declaration(kind, name, line_of(node), value, typed, label, existing, decorators)


def _decorator(node: Node) -> tuple[str, tuple[Node, ...]]:
    call = named(node)[0]
    name, arguments = named(call)
    return text(name), tuple(named(arguments))


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)
