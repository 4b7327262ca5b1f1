"""Pages, files and clear errors for everything that is no API route."""

from pathlib import Path

import pytest

from shared.errors import MethodNotAllowed, NotFound
from shared.site import SECURITY_HEADERS, WEB, asset

ROUTES = {
    "api/chat": frozenset({"POST"}),
    "api/documents/{document_id}/versions/{version_id}": frozenset({"GET"}),
    "api/recovery/{id}": frozenset({"GET"}),
    "api/recovery/rebuild": frozenset({"POST"}),
}


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A folder of pages with a secret beside it."""
    folder = tmp_path / "web"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<p>page</p>")
    (folder / "app.js").write_text("go()")
    (folder / "icon.svg").write_text("<svg/>")
    (folder / "sub" / "data.unknown").write_bytes(b"\x00\x01")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("web/index.html", "text/html; charset=utf-8"),
        ("web/app.js", "text/javascript; charset=utf-8"),
        ("web/icon.svg", "image/svg+xml"),
        ("web/sub/data.unknown", "application/octet-stream"),
    ],
)
def test_files_are_sent_with_their_type(web: Path, path: str, kind: str) -> None:
    """Pages and what they load come with type, revalidation and security headers, for GET and HEAD."""
    for method in ("GET", "HEAD"):
        sent = asset(method, path, ROUTES, web)
        assert sent.headers["Content-Type"] == kind
        assert sent.headers["Cache-Control"] == "no-cache"
        assert sent.headers.items() >= SECURITY_HEADERS.items()
        assert sent.content


@pytest.mark.parametrize(
    "path",
    [
        "web/../secret.txt",
        "web/sub/../../secret.txt",
        "web//etc/passwd",
        "web/link.txt",
        "web/",
        "web",
        "web/sub",
        "index.html",
        "web/none.js",
        "api/unknown",
        "api/chat/more",
        "api/documents/a/versions",
        "api/documents/a/b/versions/c",
    ],
)
def test_everything_else_is_not_found(web: Path, path: str) -> None:
    """Unknown routes, folders, and files outside of the pages' folder, also by a link, are 404."""
    with pytest.raises(NotFound):
        asset("GET", path, ROUTES, web)


def test_a_path_that_no_file_can_have_is_not_found(web: Path) -> None:
    """What the file system itself refuses to look up is 404 as well."""
    with pytest.raises(NotFound):
        asset("GET", "web/\0", ROUTES, web)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "api/chat", {"POST"}),
        ("DELETE", "api/documents/a/versions/b", {"GET"}),
        ("DELETE", "api/recovery/rebuild", {"GET", "POST"}),
        ("POST", "", {"GET"}),
        ("PUT", "web/app.js", {"GET"}),
    ],
)
def test_a_wrong_method_names_the_right_ones(web: Path, method: str, path: str, allowed: set[str]) -> None:
    """A known route with another method is 405 with what it takes, templates included."""
    with pytest.raises(MethodNotAllowed) as caught:
        asset(method, path, ROUTES, web)
    assert caught.value.allowed == allowed


def test_route_templates_are_taken_literally(web: Path) -> None:
    """Dots and other signs in a route are themselves, not patterns."""
    routes = {"api/v1.0/{name}": frozenset({"POST"})}
    with pytest.raises(MethodNotAllowed):
        asset("GET", "api/v1.0/x", routes, web)
    with pytest.raises(NotFound):
        asset("GET", "api/v1x0/x", routes, web)


def test_the_page_loads_only_what_this_app_serves() -> None:
    """The real page exists, and its policy allows no inline script and no other origin."""
    sent = asset("GET", "", ROUTES)
    assert sent.content == (WEB / "index.html").read_bytes()
    policy = sent.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
