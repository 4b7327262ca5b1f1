"""Names in a template: every one that is used is declared, every one that is declared is used and described."""

from collections.abc import Iterator

from tree_sitter import Node

from tests.infra.syntax import BicepFault, Template, line_of, named, text
from tests.infra.values import FUNCTIONS

BUILT_IN = {*FUNCTIONS, "loadTextContent", "loadJsonContent", "filter", "items", "resourceGroup"} - {
    "resourceGroupScope"
}
_NEEDED_BY_NOBODY = frozenset({"output", "resource", "module"})


def check_symbols(template: Template) -> None:
    """Raise BicepFault for a name that nobody declared, or a parameter that nobody uses or nobody explains."""
    used: set[str] = set()
    for found in [*template.declarations.values(), *template.outputs.values()]:
        for node in (found.value, *(argument for _, given in found.decorators for argument in given)):
            for name, place in _used(node, frozenset()) if node is not None else ():
                if name not in template.declarations:
                    raise BicepFault(template.file, line_of(place), f"{name!r} is not declared")
                used.add(name)
    for found in template.declarations.values():
        if found.kind not in _NEEDED_BY_NOBODY and found.name not in used:
            raise BicepFault(template.file, found.line, f"{found.kind} {found.name!r} is not used")
        if found.kind == "param" and found.decorator("description") is None:
            raise BicepFault(template.file, found.line, f"parameter {found.name!r} has no description")


def _used(node: Node, local: frozenset[str]) -> Iterator[tuple[str, Node]]:
    """Yield the names that an expression uses, without the names of its own loops and lambdas."""
    if node.type == "identifier":
        if text(node) not in local:
            yield text(node), node
        return
    children = named(node)
    if node.type == "for_statement":
        head, source, body = children
        variables = [text(head)] if head.type == "identifier" else [text(child) for child in named(head)]
        yield from _used(source, local)
        yield from _used(body, local | set(variables))
    elif node.type == "lambda_expression":
        yield from _used(children[1], local | {text(children[0])})
    elif node.type == "object_property":
        for child in children[1:] if children[0].type == "identifier" else children:
            yield from _used(child, local)
    elif node.type == "resource_declaration":
        for child in children[1:]:
            yield from _used(child, local)
    elif node.type == "resource_expression":
        yield from _used(children[0], local)
    elif node.type == "call_expression":
        function = text(children[0])
        if function not in BUILT_IN and not _is_decorator(node):
            yield f"{function}()", node
        yield from _used(children[1], local)
    else:
        for child in children:
            yield from _used(child, local)


def _is_decorator(node: Node) -> bool:
    return node.parent is not None and node.parent.type == "decorator"
