"""Which pages may query an index from a browser, as its definition says. Pure.

https://learn.microsoft.com/rest/api/searchservice/create-index#corsoptions
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.search_service import shapes
from local.search_service.errors import bad_request

DEFAULT_MAX_AGE = 300  # seconds for which a browser keeps the answer, unless the index says otherwise


@dataclass(frozen=True, slots=True)
class Cors:
    """The origins that may query, "*" for all, and for how many seconds a browser may remember that."""

    origins: frozenset[str]
    max_age: int

    def headers(self, origin: str) -> Mapping[str, str]:
        """Return what lets a page of this origin read an answer; nothing where it may not."""
        if "*" in self.origins:
            return {"Access-Control-Allow-Origin": "*"}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin in self.origins else {}

    def preflight(self, origin: str, method: str, headers: str) -> Mapping[str, str]:
        """Return what answers the question that a browser asks before the request itself."""
        allowed = self.headers(origin)
        if not allowed:
            return {}
        asked = {"Access-Control-Allow-Methods": method, "Access-Control-Allow-Headers": headers}
        return {**allowed, **asked, "Access-Control-Max-Age": str(self.max_age)}


def parse_cors(given: Any) -> Cors | None:
    """Return an index's CORS options, or None where it has none: then no page may query it."""
    if given is None:
        return None
    options = shapes.an_object(given, "corsOptions")
    shapes.only(options, frozenset({"allowedOrigins", "maxAgeInSeconds"}), "search.corsOptions")
    origins = [
        shapes.a_text(item, "allowedOrigins") for item in shapes.a_list(options.get("allowedOrigins"), "origins")
    ]
    age = options.get("maxAgeInSeconds")
    if not origins:
        raise bad_request("corsOptions must name at least one allowed origin.", "InvalidIndex")
    if age is not None and (type(age) is not int or age < 0):
        raise bad_request(f"maxAgeInSeconds must be a whole number of seconds, not {age!r:.40}.", "InvalidIndex")
    return Cors(frozenset(origins), DEFAULT_MAX_AGE if age is None else age)
