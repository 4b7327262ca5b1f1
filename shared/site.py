"""Everything that no API route answers: the pages in `web/`, and clear errors for the rest."""

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import MethodNotAllowed, NotFound

WEB = Path(__file__).parent.parent / "web"
PAGES = {"": "index.html", "recovery": "recovery.html"}

# The page loads only what this app serves, and no one may frame it.
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file to be sent."""

    content: bytes
    headers: dict[str, str]


def asset(method: str, path: str, routes: Mapping[str, frozenset[str]], web: Path = WEB) -> Asset:
    """Return the page or file at `path` (no leading slash).

    `routes` maps the API's route templates to their methods, so that a wrong method is told from an unknown route.
    Raises MethodNotAllowed or NotFound.
    """
    allowed = _methods(path, routes)
    if allowed:
        raise MethodNotAllowed(f"{method} /{path} is not possible; allowed: {', '.join(sorted(allowed))}", allowed)
    name = PAGES.get(path) or (path.removeprefix("web/") if path.startswith("web/") else "")
    if "\0" in name:  # no file system has such a name, and some calls trip over it
        raise NotFound("there is nothing at a path with a null character")
    file = (web / name).resolve()
    if not name or not file.is_relative_to(web.resolve()) or not file.is_file():
        raise NotFound(f"there is nothing at /{path}")
    if method not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{method} /{path} is not possible; allowed: GET", frozenset({"GET"}))
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind.endswith("javascript"):
        kind += "; charset=utf-8"
    return Asset(file.read_bytes(), {"Content-Type": kind, "Cache-Control": "no-cache", **SECURITY_HEADERS})


def _methods(path: str, routes: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found: set[str] = set()
    for template, methods in routes.items():
        pattern = re.sub(r"\\{[^/]+?\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path):
            found |= methods
    return frozenset(found)
