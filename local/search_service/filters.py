"""Filters: check one against the schema, compile it to a predicate over documents. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from local.search_service.errors import bad_request
from local.search_service.fields import COMPLEX, NUMBERS, POINT, Field, comparable, value_at
from local.search_service.odata import (
    Comparison,
    Constant,
    In,
    Logic,
    Node,
    Not,
    Quantifier,
    Truth,
    Value,
    parse_filter,
)
from local.search_service.schema import IndexSchema

Document = Mapping[str, Any]
Predicate = Callable[[Document], bool]
_Values = Mapping[str, Any]  # of the variables of the lambdas around a node
_Bound = Callable[[Document, _Values], bool]
_Get = Callable[[Document, _Values], Any]
_Scope = Mapping[str, Field]  # variable -> the collection whose elements it stands for


def compile_filter(schema: IndexSchema, text: str) -> tuple[Node, Predicate]:
    """Return a filter's tree and its predicate. Raises a 400 for what does not fit the schema."""
    node = parse_filter(text)
    bound = _compile(schema, node, {})
    return node, lambda document: bound(document, {})


def _compile(schema: IndexSchema, node: Node, scope: _Scope) -> _Bound:
    if isinstance(node, Constant):
        constant = node.value
        return lambda document, values: constant
    if isinstance(node, Not):
        term = _compile(schema, node.term, scope)
        return lambda document, values: not term(document, values)
    if isinstance(node, Logic):
        terms = [_compile(schema, part, scope) for part in node.terms]
        if node.operator == "and":
            return lambda document, values: all(term(document, values) for term in terms)
        return lambda document, values: any(term(document, values) for term in terms)
    if isinstance(node, Quantifier):
        return _quantifier(schema, node, scope)
    return _leaf(schema, node, scope)


def _quantifier(schema: IndexSchema, node: Quantifier, scope: _Scope) -> _Bound:
    field, get = _resolve(schema, node.field, scope)
    if not field.collection:
        raise bad_request(f"Invalid expression: '{node.field}' is no collection, {node.kind}() does not apply.")
    if node.term is None:
        return lambda document, values: bool(get(document, values))
    if node.variable in scope:
        raise bad_request(f"Invalid expression: the variable '{node.variable}' is already in use.")
    variable = node.variable
    term = _compile(schema, node.term, {**scope, variable: field})
    if node.kind == "any":
        return lambda document, values: any(
            term(document, {**values, variable: item}) for item in get(document, values) or ()
        )
    return lambda document, values: all(
        term(document, {**values, variable: item}) for item in get(document, values) or ()
    )


def _leaf(schema: IndexSchema, node: Comparison | Truth | In, scope: _Scope) -> _Bound:
    element = scope.get(node.field)
    if element is not None:  # the variable itself: an element of a collection of plain values
        variable, test = node.field, _test(element, node)
        return lambda document, values: test(comparable(element, values[variable]))
    field, get = _resolve(schema, node.field, scope)
    if field.collection:
        raise bad_request(f"Invalid expression: '{node.field}' is a collection; use any() or all().")
    test = _test(field, node)
    if field.type == "Edm.DateTimeOffset":
        return lambda document, values: test(comparable(field, get(document, values)))
    return lambda document, values: test(get(document, values))


def _resolve(schema: IndexSchema, path: str, scope: _Scope) -> tuple[Field, _Get]:
    """Return the field that a path names, seen from the lambdas around it, and how its value is got."""
    variable, _, rest = path.partition("/")
    if variable in scope:
        field = schema.field(f"{scope[variable].name}/{rest}") if rest else scope[variable]
        parts = tuple(rest.split("/")) if rest else ()
        _check_filterable(schema, field, parts[:-1], scope[variable].name)
        return field, lambda document, values: value_at(values[variable], parts)
    if scope:
        raise bad_request(
            f"Invalid expression: only {', '.join(map(repr, scope))} can be used inside the lambda, not '{path}'."
        )
    field = schema.field(path)
    parts = field.parts
    _check_filterable(schema, field, parts[:-1], "")
    if len(parts) == 1:
        name = parts[0]
        return field, lambda document, values: document.get(name)
    return field, lambda document, values: value_at(document, parts)


def _check_filterable(schema: IndexSchema, field: Field, above: tuple[str, ...], start: str) -> None:
    if not field.filterable and not field.is_complex:
        raise bad_request(f"Invalid expression: '{field.name}' is not a filterable field.")
    path = start
    for part in above:
        path = f"{path}/{part}" if path else part
        if schema.field(path).collection:
            raise bad_request(f"Invalid expression: '{path}' is a collection; use any() or all().")


def _test(field: Field, node: Comparison | Truth | In) -> Callable[[Any], bool]:
    if field.type in (COMPLEX, POINT):
        raise bad_request(f"Invalid expression: '{field.name}' is {field.type} and cannot be compared.")
    if isinstance(node, Truth):
        if field.type != "Edm.Boolean":
            raise bad_request(f"Invalid expression: '{field.name}' is not Edm.Boolean and cannot stand alone.")
        return lambda value: value is True
    if isinstance(node, In):
        if field.type != "Edm.String":
            raise bad_request(f"Invalid expression: search.in needs an Edm.String, '{field.name}' is {field.type}.")
        wanted_texts = node.values
        return lambda value: value in wanted_texts
    wanted = node.value
    _check_type(field, wanted)
    if node.operator == "eq":
        return lambda value: value == wanted
    if node.operator == "ne":
        return lambda value: value != wanted
    if wanted is None:
        return lambda value: False  # nothing is greater or less than null
    return _order(node.operator, wanted)


def _order(operator: str, wanted: Any) -> Callable[[Any], bool]:
    if operator == "gt":
        return lambda value: value is not None and value > wanted
    if operator == "ge":
        return lambda value: value is not None and value >= wanted
    if operator == "lt":
        return lambda value: value is not None and value < wanted
    return lambda value: value is not None and value <= wanted


def _check_type(field: Field, value: Value) -> None:
    kind = field.type
    fits = value is None or (
        (kind == "Edm.String" and isinstance(value, str))
        or (kind == "Edm.Boolean" and isinstance(value, bool))
        or (kind in NUMBERS and isinstance(value, int | float) and not isinstance(value, bool))
        or (kind == "Edm.DateTimeOffset" and isinstance(value, datetime))
    )
    if not fits:
        raise bad_request(f"Invalid expression: '{field.name}' is {kind}, it cannot be compared with {value!r}.")
