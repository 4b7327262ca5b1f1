"""Filters: check one against the schema, compile it to a predicate over documents, and find what narrows it. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from local.search_service.errors import bad_request
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
from local.search_service.schema import Field, IndexSchema

Document = Mapping[str, Any]
Predicate = Callable[[Document], bool]
_Bound = Callable[[Document, Any], bool]

_NUMBERS = frozenset({"Edm.Int32", "Edm.Int64", "Edm.Double", "Edm.Single"})


def compile_filter(schema: IndexSchema, text: str) -> tuple[Node, Predicate]:
    """Return a filter's tree and its predicate. Raises a 400 for what does not fit the schema."""
    node = parse_filter(text)
    bound = _compile(schema, node, None, "")
    return node, lambda document: bound(document, None)


def comparable(field: Field, value: Any) -> Any:
    """Return a stored value in the form that compares: dates as moments."""
    if field.type == "Edm.DateTimeOffset" and isinstance(value, str):
        return datetime.fromisoformat(value)
    return value


def _compile(schema: IndexSchema, node: Node, element: Field | None, variable: str) -> _Bound:
    """Compile a node; inside a lambda `element` is the collection's field and `variable` its element's name."""
    if isinstance(node, Constant):
        constant = node.value
        return lambda document, item: constant
    if isinstance(node, Not):
        term = _compile(schema, node.term, element, variable)
        return lambda document, item: not term(document, item)
    if isinstance(node, Logic):
        terms = [_compile(schema, part, element, variable) for part in node.terms]
        if node.operator == "and":
            return lambda document, item: all(term(document, item) for term in terms)
        return lambda document, item: any(term(document, item) for term in terms)
    if isinstance(node, Quantifier):
        return _quantifier(schema, node, element)
    return _leaf(schema, node, element, variable)


def _quantifier(schema: IndexSchema, node: Quantifier, element: Field | None) -> _Bound:
    if element is not None:
        raise bad_request("Invalid expression: a lambda inside a lambda is not supported.")
    field = _filterable(schema, node.field)
    if not field.collection:
        raise bad_request(f"Invalid expression: '{field.name}' is no collection, {node.kind}() does not apply.")
    name = field.name
    if node.term is None:
        return lambda document, item: bool(document.get(name))
    term = _compile(schema, node.term, field, node.variable)
    if node.kind == "any":
        return lambda document, item: any(term(document, value) for value in document.get(name) or ())
    return lambda document, item: all(term(document, value) for value in document.get(name) or ())


def _leaf(schema: IndexSchema, node: Comparison | Truth | In, element: Field | None, variable: str) -> _Bound:
    if element is not None:
        if node.field != variable:
            raise bad_request(
                f"Invalid expression: only '{variable}' can be used inside the lambda, not '{node.field}'."
            )
        field = element
        test = _test(field, node)
        return lambda document, item: test(comparable(field, item))
    field = _filterable(schema, node.field)
    if field.collection:
        raise bad_request(f"Invalid expression: '{field.name}' is a collection; use any() or all().")
    name = field.name
    test = _test(field, node)
    if field.type == "Edm.DateTimeOffset":
        return lambda document, item: test(comparable(field, document.get(name)))
    return lambda document, item: test(document.get(name))


def _test(field: Field, node: Comparison | Truth | In) -> Callable[[Any], bool]:
    if isinstance(node, Truth):
        if field.type != "Edm.Boolean":
            raise bad_request(f"Invalid expression: '{field.name}' is not Edm.Boolean and cannot stand alone.")
        return lambda value: value is True
    if isinstance(node, In):
        if field.type != "Edm.String":
            raise bad_request(f"Invalid expression: search.in needs an Edm.String, '{field.name}' is {field.type}.")
        values = node.values
        return lambda value: value in values
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
        or (kind in _NUMBERS and isinstance(value, int | float) and not isinstance(value, bool))
        or (kind == "Edm.DateTimeOffset" and isinstance(value, datetime))
    )
    if not fits:
        raise bad_request(f"Invalid expression: '{field.name}' is {kind}, it cannot be compared with {value!r}.")


def _filterable(schema: IndexSchema, name: str) -> Field:
    field = schema.field(name)
    if not field.filterable:
        raise bad_request(f"Invalid expression: '{name}' is not a filterable field.")
    return field
