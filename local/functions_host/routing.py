"""Route templates as in ASP.NET: parameters, constraints, defaults, catch-alls, and which of several routes wins."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from local.functions_host.constraints import parse_constraint
from local.functions_host.model import HostError

PARAMETER = re.compile(r"\{(?P<star>\*{0,2})(?P<name>[^{}:=?*]+)(?P<rest>(?:[^{}]|\{\{[^{}]*\}\}|\{[^{}]*\})*)\}")
type Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A route parameter and what its value must satisfy."""

    name: str
    optional: bool
    default: str | None
    catch_all: bool
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Route[T]:
    """A parsed template, the methods it takes (empty: all) and what it leads to."""

    template: str
    methods: frozenset[str]
    target: T
    pattern: re.Pattern[str]
    parameters: Mapping[str, Parameter]  # by regex group
    precedence: tuple[int, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Return the route values when the (still percent-encoded) path matches, else None."""
        found = self.pattern.fullmatch(path.strip("/"))
        if not found:
            return None
        values: dict[str, str] = {}
        for group, parameter in self.parameters.items():
            text = found.group(group)
            if text is None or text == "":
                if parameter.default is not None:
                    values[parameter.name] = parameter.default
                elif parameter.catch_all:
                    values[parameter.name] = ""
                continue
            value = unquote(text)
            if not all(check(value) for check in parameter.checks):
                return None
            values[parameter.name] = value
        return values


@dataclass(frozen=True, slots=True)
class Match[T]:
    """The route that a request takes, with its values."""

    route: Route[T]
    values: Mapping[str, str]


class Router[T]:
    """All routes of an app, the most specific first."""

    def __init__(self, routes: Iterable[Route[T]]) -> None:
        self._routes = sorted(routes, key=lambda route: (route.precedence, route.template.lower()))

    def find(self, method: str, path: str) -> Match[T] | frozenset[str]:
        """Return the match, or the methods that the path would take: none of them means that there is no such path."""
        allowed: set[str] = set()
        for route in self._routes:
            values = route.match(path)
            if values is None:
                continue
            if not route.methods or method in route.methods:
                return Match(route, values)
            allowed |= route.methods
        return frozenset(allowed)


def parse_route[T](template: str, methods: Iterable[str], target: T, where: str) -> Route[T]:
    """Parse a template. Raises HostError naming `where` for one that is malformed."""
    parameters: dict[str, Parameter] = {}
    pattern, precedence = "", []
    segments = _split(template.strip("/")) if template.strip("/") else []
    for position, segment in enumerate(segments):
        text, rank, optional = _segment(segment, parameters, where, last=position == len(segments) - 1)
        slash = "/" if position else ""
        pattern += f"(?:{slash}{text})?" if optional else slash + text
        precedence.append(rank)
    names = [parameter.name.lower() for parameter in parameters.values()]
    if len(set(names)) != len(names):
        raise HostError(f"{where}: route {template!r} names a parameter twice")
    wanted = frozenset(method.upper() for method in methods)
    return Route(template, wanted, target, re.compile(pattern, re.IGNORECASE), parameters, tuple(precedence))


def _split(template: str) -> list[str]:
    """Split at slashes outside braces: a regex constraint may hold one."""
    segments, depth, current = [], 0, ""
    for character in template:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "/" and depth <= 0:
            segments.append(current)
            current = ""
        else:
            current += character
    return [*segments, current]


def _segment(segment: str, parameters: dict[str, Parameter], where: str, last: bool) -> tuple[str, int, bool]:
    """Return a segment's regex, its rank (lower wins) and whether it may be missing."""
    pattern, position, found_any = "", 0, []
    for found in PARAMETER.finditer(segment):
        parameter = _parameter(found, where, segment)
        literal = segment[position : found.start()]
        group = f"p{len(parameters)}"
        parameters[group] = parameter
        found_any.append(parameter)
        if parameter.catch_all:
            pattern += re.escape(literal) + f"(?P<{group}>.*)"
        elif parameter.optional and literal.endswith(".") and position:
            # {name}.{extension?}: the name takes all but what follows the last dot
            pattern = pattern.removesuffix("+)") + "+?)" + re.escape(literal[:-1]) + rf"(?:\.(?P<{group}>[^/.]+))?"
        else:
            pattern += re.escape(literal) + f"(?P<{group}>[^/]+)"
        position = found.end()
    rest = segment[position:]
    if "{" in rest or "}" in rest:
        raise HostError(f"{where}: the route segment {segment!r} is malformed")
    pattern += re.escape(rest)
    if not found_any:
        return pattern, 1, False
    whole = len(found_any) == 1 and segment.startswith("{") and segment.endswith("}")
    if not whole:
        return pattern, 2, False
    only = found_any[0]
    if only.catch_all and not last:
        raise HostError(f"{where}: the catch-all {segment!r} must be the last segment of its route")
    rank = (4 if only.checks else 5) if only.catch_all else (2 if only.checks else 3)
    return pattern, rank, only.optional or only.default is not None or only.catch_all


def _parameter(found: re.Match[str], where: str, segment: str) -> Parameter:
    rest, default = found["rest"], None
    optional = rest.endswith("?")
    rest = rest.removesuffix("?")
    cut = _outside(rest, "=")
    if cut is not None:
        rest, default = rest[:cut], rest[cut + 1 :]
    checks = tuple(parse_constraint(text, f"{where}: {segment!r}") for text in _constraints(rest))
    return Parameter(found["name"].strip(), optional, default, bool(found["star"]), checks)


def _outside(text: str, wanted: str) -> int | None:
    """Return the position of `wanted` outside parentheses."""
    depth = 0
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == wanted and depth == 0:
            return position
    return None


def _constraints(text: str) -> list[str]:
    """Split `int:min(1)` at colons outside parentheses."""
    found, depth, current = [], 0, ""
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == ":" and depth == 0:
            found.append(current)
            current = ""
        else:
            current += character
    return [constraint for constraint in [*found, current] if constraint]
