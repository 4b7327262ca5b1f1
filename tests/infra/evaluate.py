"""Templates evaluated to the resources that they would deploy, for given parameters.

It does what a compiler and a what-if do together, for the part of the language that these templates use: expressions,
loops, conditions, modules, nested and existing resources. What only a deployment knows stays opaque and is noted.
https://learn.microsoft.com/azure/azure-resource-manager/bicep/file
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tree_sitter import Node

from tests.infra.symbols import check_symbols
from tests.infra.syntax import BicepFault, Declaration, Template, declaration, line_of, named, parse, string_text, text
from tests.infra.values import FUNCTIONS, Group, Module, Opaque, Resource, show

INFRA = Path(__file__).parent.parent.parent / "infra"
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": (str, Opaque),
    "int": int,
    "bool": bool,
    "array": list,
    "object": (dict, Opaque),
}
_BINARY = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
}


@dataclass(slots=True)
class Sources:
    """A set of files that belong together: a folder, with some contents replaced to see what a change does."""

    folder: Path
    replaced: Mapping[str, str] = field(default_factory=dict)

    def read(self, name: str) -> str:
        """Return a file's content."""
        return self.replaced[name] if name in self.replaced else (self.folder / name).read_text(encoding="utf-8")

    def names(self) -> list[str]:
        """Return the names of all templates."""
        return sorted(path.name for path in self.folder.glob("*.bicep"))

    def template(self, name: str) -> Template:
        """Return a parsed file whose symbols resolve."""
        return _parsed(self.folder / name, self.read(name))


@functools.lru_cache(maxsize=256)
def _parsed(path: Path, content: str) -> Template:
    """Return a parsed file whose symbols resolve: what is not changed is the same in every copy of the templates."""
    parsed = parse(path, content)
    check_symbols(parsed)
    return parsed


@dataclass(slots=True)
class Deployment:
    """Everything that one evaluation came to."""

    resources: list[Resource] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[Resource]:
        """Return the resources of a type that would be deployed."""
        return [found for found in self.resources if found.type == kind and not found.existing]


def deploy(sources: Sources, file: str, parameters: Mapping[str, Any], group: str = "") -> Deployment:
    """Evaluate a template with its modules. Raises BicepFault for the first thing that could not be deployed."""
    deployment = Deployment()
    frame = _Frame(sources, sources.template(file), dict(parameters), deployment, Group(group), "")
    deployment.outputs = frame.everything()
    return deployment


class _Frame:
    """One use of a template: its symbols, each evaluated once, when it is first asked for."""

    def __init__(
        self,
        sources: Sources,
        template: Template,
        given: dict[str, Any],
        deployment: Deployment,
        group: Group,
        module: str,
    ) -> None:
        self._sources = sources
        self._template = template
        self._deployment = deployment
        self._group = group
        self._module = module
        self._known: dict[str, Any] = {}
        self._under_way: set[str] = set()
        self._nested: dict[int, dict[str, Resource]] = {}
        self._parameters(given)

    def everything(self) -> dict[str, Any]:
        """Evaluate all declarations; returns the outputs."""
        for name in self._template.declarations:
            self._symbol(name)
        return {name: self.output(name) for name in self._template.outputs}

    def output(self, name: str) -> Any:
        """Return one output."""
        found = self._template.outputs[name]
        value = self._value(found.value, {})
        self._typed(found, value, "output")
        return value

    # ---- parameters --------------------------------------------------------------------------------------------------

    def _parameters(self, given: dict[str, Any]) -> None:
        declared = {found.name: found for found in self._template.of("param")}
        for name in given:
            if name not in declared:
                raise BicepFault(self._template.file, 1, f"has no parameter {name!r}")
        for name, found in declared.items():
            if name not in given and found.value is None:
                raise BicepFault(self._template.file, found.line, f"parameter {name!r} is not given")
            value = given[name] if name in given else self._value(found.value, {})
            self._typed(found, value, "parameter")
            self._constraints(found, value)
            self._known[name] = value

    def _typed(self, found: Declaration, value: Any, kind: str) -> None:
        wanted = _TYPES.get(found.type)
        if wanted is None:
            raise BicepFault(
                self._template.file, found.line, f"{kind} {found.name!r} has the unknown type {found.type!r}"
            )
        if isinstance(value, Opaque):
            return
        if not isinstance(value, wanted) or (found.type == "int" and isinstance(value, bool)):
            shown = type(value).__name__
            raise BicepFault(self._template.file, found.line, f"{kind} {found.name!r} is no {found.type} but {shown}")

    def _constraints(self, found: Declaration, value: Any) -> None:
        def limit(name: str) -> Any:
            arguments = found.decorator(name)
            return None if arguments is None else self._value(arguments[0], {})

        measure = value if isinstance(value, int) else len(value) if isinstance(value, str | list) else None
        for name, wrong in (
            ("allowed", lambda most: value not in most),
            ("minValue", lambda least: measure is not None and measure < least),
            ("maxValue", lambda most: measure is not None and measure > most),
            ("minLength", lambda least: measure is not None and measure < least),
            ("maxLength", lambda most: measure is not None and measure > most),
        ):
            bound = limit(name)
            if bound is not None and not isinstance(value, Opaque) and wrong(bound):
                message = f"parameter {found.name!r} is {value!r}; {name} is {bound!r}"
                raise BicepFault(self._template.file, found.line, message)

    # ---- declarations ------------------------------------------------------------------------------------------------

    def _symbol(self, name: str) -> Any:
        if name not in self._known:
            found = self._template.declarations[name]
            if name in self._under_way:
                raise BicepFault(self._template.file, found.line, f"{name!r} waits for itself")
            self._under_way.add(name)
            self._known[name] = self._declared(found)
        return self._known[name]

    def _declared(self, found: Declaration) -> Any:
        if found.kind == "var":
            return self._value(found.value, {})
        assert found.value is not None
        if found.value.type == "for_statement":
            return [self._item(found, body, names) for body, names in self._loop(found.value, {})]
        return self._item(found, found.value, {})

    def _item(self, found: Declaration, body: Node, names: dict[str, Any]) -> Any:
        if body.type == "if_statement":
            condition, body = named(body)
            if not self._value(condition, names):
                return None
        if found.kind == "module":
            return self._use(found, body, names)
        return self._resource(found, body, names, None)

    def _use(self, found: Declaration, body: Node, names: dict[str, Any]) -> Module:
        given = self._object(body, names)
        if unknown := set(given) - {"name", "scope", "params", "dependsOn"}:
            raise BicepFault(self._template.file, found.line, f"a module has no {sorted(unknown)}")
        scope = given.get("scope", self._group)
        group = Group(scope.name, scope.get("location")) if isinstance(scope, Resource) else scope
        label = f"{self._module}{found.name}[{given['name']}] > "
        template = self._sources.template(found.text)
        parameters = given.get("params", {})
        frame = _Frame(self._sources, template, parameters, self._deployment, group, label)
        outputs = frame.everything()

        def output(name: str) -> Any:
            if name not in outputs:
                raise BicepFault(self._template.file, found.line, f"{found.text} has no output {name!r}")
            return outputs[name]

        made = Module(found.text, given["name"], parameters, output)
        self._deployment.modules.append(made)
        return made

    def _resource(self, found: Declaration, node: Node, names: dict[str, Any], parent: Resource | None) -> Resource:
        given = self._object(node, names)
        parent = given.pop("parent", parent)
        scope = given.pop("scope", None)
        given.pop("dependsOn", None)
        kind, _, version = found.text.partition("@")
        if parent is not None and "/" not in kind:  # a nested resource names only its own part of the type
            kind, version = f"{parent.type}/{kind}", parent.api_version
        name = given.get("name")
        if not isinstance(name, str) or not name:
            raise BicepFault(self._template.file, found.line, f"{found.name!r} has no name")
        made = Resource(
            type=kind,
            api_version=version,
            names=(*(parent.names if parent else ()), name),
            body=given,
            group=scope.name if isinstance(scope, Group) else self._group.name,
            file=self._template.file,
            symbol=found.name,
            line=found.line,
            existing=found.existing,
            module=self._module,
            of=scope if isinstance(scope, Resource) else None,
        )
        if len(made.names) != kind.count("/"):
            raise BicepFault(self._template.file, found.line, f"{found.name!r} needs a parent: its type is {kind}")
        self._deployment.resources.append(made)
        nested = [child for pair in named(node) for child in named(pair) if child.type == "resource_declaration"]
        inner = [declaration(child) for child in nested]
        self._nested[id(made)] = {
            child.name: self._resource(child, child.value, names, made) for child in inner if child.value is not None
        }
        return made

    # ---- expressions -------------------------------------------------------------------------------------------------

    def _loop(self, node: Node, names: dict[str, Any]) -> list[tuple[Node, dict[str, Any]]]:
        head, source, body = named(node)
        values = self._value(source, names)
        if isinstance(values, dict):
            raise BicepFault(self._template.file, line_of(node), "a loop goes over a list")
        variables = [text(head)] if head.type == "identifier" else [text(child) for child in named(head)]
        found = []
        for index, value in enumerate(values):
            inner = {**names, variables[0]: value}
            if len(variables) == 2:
                inner[variables[1]] = index
            found.append((body, inner))
        return found

    def _object(self, node: Node, names: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for pair in named(node):
            parts = named(pair)
            if parts[0].type == "resource_declaration":
                continue
            key = text(parts[0]) if parts[0].type == "identifier" else self._value(parts[0], names)
            if key in made:
                raise BicepFault(self._template.file, line_of(pair), f"{key!r} is given twice")
            made[key] = self._value(parts[1], names)
        return made

    def _value(self, node: Node | None, names: dict[str, Any]) -> Any:
        assert node is not None
        match node.type:
            case "string":
                return self._string(node, names)
            case "number":
                return int(text(node))
            case "boolean":
                return text(node) == "true"
            case "null":
                return None
            case "array":
                return [self._value(child, names) for child in named(node)]
            case "object":
                return self._object(node, names)
            case "for_statement":
                return [self._value(body, inner) for body, inner in self._loop(node, names)]
            case "identifier":
                name = text(node)
                return names[name] if name in names else self._symbol(name)
            case "parenthesized_expression":
                return self._value(named(node)[0], names)
            case "unary_expression":
                return self._unary(node, names)
            case "binary_expression":
                return self._binary(node, names)
            case "ternary_expression":
                condition, yes, no = named(node)
                return self._value(yes if self._value(condition, names) else no, names)
            case "call_expression":
                return self._call(node, names)
            case "member_expression":
                return self._member(node, names)
            case "resource_expression":
                return self._inner_resource(node, names)
            case "subscript_expression":
                return self._subscript(node, names)
        raise BicepFault(self._template.file, line_of(node), f"{node.type} is not used in these templates")

    def _string(self, node: Node, names: dict[str, Any]) -> str:
        parts = []
        for child in node.named_children:
            if child.type == "interpolation":
                parts.append(show(self._value(named(child)[0], names)))
            elif child.type == "escape_sequence":
                parts.append({"\\n": "\n", "\\t": "\t"}.get(text(child), text(child)[1:]))
            else:
                parts.append(text(child))
        return "".join(parts)

    def _unary(self, node: Node, names: dict[str, Any]) -> Any:
        value = self._value(named(node)[0], names)
        return not value if text(node).startswith("!") else -value

    def _binary(self, node: Node, names: dict[str, Any]) -> Any:
        left, right = named(node)
        operator = text(node.children[1])
        first = self._value(left, names)
        if operator == "&&":
            return bool(first) and bool(self._value(right, names))
        if operator == "||":
            return bool(first) or bool(self._value(right, names))
        if operator == "??":
            return self._value(right, names) if first is None else first
        return _BINARY[operator](first, self._value(right, names))

    def _call(self, node: Node, names: dict[str, Any]) -> Any:
        function, arguments = named(node)
        name = text(function)
        if name == "loadTextContent":
            return self._sources.read(string_text(named(arguments)[0]))
        if name == "loadJsonContent":
            return json.loads(self._sources.read(string_text(named(arguments)[0])))
        if name == "filter":
            source, condition = named(arguments)
            variable, body = named(condition)
            return [v for v in self._value(source, names) if self._value(body, {**names, text(variable): v})]
        values = [self._value(child, names) for child in named(arguments)]
        if name == "items":
            return [{"key": key, "value": values[0][key]} for key in sorted(values[0])]
        if name == "resourceGroup":
            group = Group(*values) if values else self._group
            return group if values else {"id": group.id, "name": group.name, "location": group.location}
        return FUNCTIONS[name](*values)

    def _member(self, node: Node, names: dict[str, Any]) -> Any:
        base, member = named(node)
        value, name = self._value(base, names), text(member)
        safe = any(text(child) == ".?" for child in node.children) or self._follows_safe(base)
        if value is None:
            if safe:
                return None
            raise BicepFault(self._template.file, line_of(node), f"{text(base)!r} is not deployed here; use .?")
        if isinstance(value, Module):
            return value.output if name == "outputs" else value.name
        if callable(value):
            return value(name)
        if isinstance(value, Resource):
            return self._of_resource(value, name)
        if isinstance(value, Opaque):
            return self._read(value.resource, (*value.path, name))
        if isinstance(value, Mapping):
            if name in value:
                return value[name]
            raise BicepFault(self._template.file, line_of(node), f"{text(base)!r} has no {name!r}")
        raise BicepFault(self._template.file, line_of(node), f"{text(base)!r} has no members")

    @staticmethod
    def _follows_safe(node: Node) -> bool:
        return node.type == "member_expression" and any(text(child) == ".?" for child in node.children)

    def _of_resource(self, resource: Resource, name: str) -> Any:
        if name in ("id", "name"):
            return getattr(resource, name)
        given = resource.body.get(name)
        if name in ("properties", "identity"):
            return self._read(resource, (name,))  # what is read of these is what the service fills in
        return given if given is not None else self._read(resource, (name,))

    @staticmethod
    def _read(resource: Resource, path: tuple[str, ...]) -> Opaque:
        found = Opaque(resource, path)
        resource.reads.append(found)
        return found

    def _inner_resource(self, node: Node, names: dict[str, Any]) -> Resource:
        base, name = named(node)
        outer = self._value(base, names)
        found = self._nested.get(id(outer), {}).get(text(name))
        if found is None:
            raise BicepFault(self._template.file, line_of(node), f"{text(base)!r} has no nested {text(name)!r}")
        return found

    def _subscript(self, node: Node, names: dict[str, Any]) -> Any:
        base, index = (self._value(child, names) for child in named(node))
        try:
            return base[index]
        except (KeyError, IndexError, TypeError) as fault:
            raise BicepFault(self._template.file, line_of(node), f"nothing at [{index!r}]") from fault
