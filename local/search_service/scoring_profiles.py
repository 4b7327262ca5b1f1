"""Scoring profiles: checked against the fields, completed as the service completes them. Pure.

https://learn.microsoft.com/azure/search/index-add-scoring-profiles
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.search_service import shapes
from local.search_service.errors import bad_request
from local.search_service.fields import NUMBERS, POINT, Field, check_text_field

_PROFILE = frozenset({"name", "text", "functions", "functionAggregation"})
_AGGREGATIONS = ("sum", "average", "minimum", "maximum", "firstMatching", "product")
_INTERPOLATIONS = ("linear", "constant", "quadratic", "logarithmic")
# For every kind of function: the types of fields it takes, and its parameters.
_FUNCTIONS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "freshness": (frozenset({"Edm.DateTimeOffset"}), frozenset({"boostingDuration"})),
    "magnitude": (NUMBERS, frozenset({"boostingRangeStart", "boostingRangeEnd", "constantBoostBeyondRange"})),
    "distance": (frozenset({POINT}), frozenset({"referencePointParameter", "boostingDistance"})),
    "tag": (frozenset({"Edm.String"}), frozenset({"tagsParameter"})),
}
_OPTIONAL = "constantBoostBeyondRange"
_FLOATS = ("boostingRangeStart", "boostingRangeEnd", "boostingDistance")


@dataclass(frozen=True, slots=True)
class ScoringProfile:
    """Weights of text fields. `functions` names the kinds of functions, which are not acted on; `definition` is the
    profile as the service returns it.
    """

    weights: Mapping[str, float]
    functions: tuple[str, ...]
    definition: Mapping[str, Any]


def parse_profiles(given: Any, fields: Mapping[str, Field]) -> dict[str, ScoringProfile]:
    """Return the scoring profiles by name. Raises a 400 that names what does not fit the fields."""
    found: dict[str, ScoringProfile] = {}
    for value in shapes.objects(given, "scoringProfiles"):
        shapes.only(value, _PROFILE, "search.scoringProfile")
        name = shapes.a_text(value.get("name"), "scoringProfiles/name")
        weights = _weights(value.get("text"), fields)
        functions = [
            _function(function, fields)
            for function in shapes.objects(value.get("functions"), "scoringProfiles/functions")
        ]
        aggregation = value.get("functionAggregation")
        if aggregation not in (None, *_AGGREGATIONS):
            raise bad_request(f"Unknown functionAggregation {aggregation!r:.40} in scoring profile '{name}'.")
        definition = {
            "name": name,
            "functionAggregation": aggregation or ("sum" if functions else None),
            "text": {"weights": weights} if value.get("text") else None,
            "functions": functions,
        }
        found[name] = ScoringProfile(weights, tuple(function["type"] for function in functions), definition)
    return found


def _weights(given: Any, fields: Mapping[str, Field]) -> dict[str, float]:
    text = shapes.an_object(given, "scoringProfiles/text")
    shapes.only(text, frozenset({"weights"}), "search.textWeights")
    weights = shapes.an_object(text.get("weights"), "scoringProfiles/text/weights")
    for name, weight in weights.items():
        check_text_field(fields, name, "The scoring profile")
        if _number(weight, f"The weight of '{name}'") <= 0:
            raise bad_request(f"The weight of '{name}' must be a number above 0, not {weight!r:.40}.")
    return dict(weights)


def _function(given: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    """Check one function and return it with what the service adds: its interpolation, and null for the other kinds."""
    shapes.only(
        given, frozenset({"fieldName", "type", "boost", "interpolation", *_FUNCTIONS}), "search.scoringFunction"
    )
    kind = shapes.a_text(given.get("type"), "scoringProfiles/functions/type")
    if kind not in _FUNCTIONS:
        raise bad_request(f"Unknown type {kind!r:.40} of a scoring function; known are {', '.join(_FUNCTIONS)}.")
    types, known = _FUNCTIONS[kind]
    name = shapes.a_text(given.get("fieldName"), "scoringProfiles/functions/fieldName")
    if name not in fields:
        raise bad_request(f"The {kind} function of a scoring profile names the field '{name}', which does not exist.")
    if not fields[name].filterable or fields[name].type not in types or (fields[name].many and kind != "tag"):
        raise bad_request(
            f"The {kind} function of a scoring profile cannot use the field '{name}' of type {fields[name].kind}: it "
            f"needs a filterable field of type {' or '.join(sorted(types))}."
        )
    boost, interpolation = _number(given.get("boost"), f"The boost of '{name}'"), given.get("interpolation")
    if boost <= 0 or boost == 1:
        raise bad_request(f"The boost of '{name}' must be above 0 and not 1, not {boost:g}.")
    if interpolation not in (None, *_INTERPOLATIONS):
        raise bad_request(f"Unknown interpolation {interpolation!r:.40} of '{name}'.")
    for other in _FUNCTIONS:
        if other != kind and given.get(other) is not None:
            raise bad_request(f"A {kind} function cannot have '{other}'.")
    parameters = shapes.an_object(given.get(kind), kind)
    shapes.only(parameters, known, f"search.{kind}ScoringParameters")
    if missing := sorted(part for part in known - {_OPTIONAL} if parameters.get(part) is None):
        raise bad_request(f"The {kind} function of '{name}' needs '{missing[0]}'.")
    return {
        "fieldName": name,
        "interpolation": interpolation or "linear",
        "type": kind,
        "boost": boost,
        **dict.fromkeys(_FUNCTIONS),
        kind: _completed(parameters, known),
    }


def _completed(parameters: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    completed = dict(parameters)
    for part, value in parameters.items():
        if part in _FLOATS:
            completed[part] = _number(value, f"'{part}'")
        elif part != _OPTIONAL:
            shapes.a_text(value, part)
    if _OPTIONAL in known:
        completed[_OPTIONAL] = shapes.a_switch(parameters.get(_OPTIONAL), _OPTIONAL)
    return completed


def _number(value: Any, what: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise bad_request(f"{what} must be a number, not {value!r:.40}.")
    return float(value)
