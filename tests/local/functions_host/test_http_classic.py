"""HTTP functions with whole requests and responses."""

import pytest

from tests.local.functions_host.hosting import Host


@pytest.mark.parametrize(
    ("path", "function", "route"),
    [
        ("/api/items/7", "item", {"id": "7"}),
        ("/api/items/special", "special", {}),
        ("/API/Items/SPECIAL", "special", {}),
        ("/api/items/a%20b", "named", {"name": "a b"}),
        ("/api/items/99999999999", "named", {"name": "99999999999"}),
        ("/api/files/a/b.txt", "files", {"path": "a/b.txt"}),
        ("/api/pages", "pages", {"page": "1"}),
        ("/api/pages/3", "pages", {"page": "3"}),
        ("/api/pages/3/50", "pages", {"page": "3", "size": "50"}),
    ],
)
def test_the_most_specific_route_is_taken(classic: Host, path: str, function: str, route: dict[str, str]) -> None:
    """A literal wins over a constrained parameter, that over a plain one, that over a catch-all."""
    found = classic.http.get(path).json()
    assert (found["function"], found["route"]) == (function, route)


def test_a_wrong_method_falls_through_to_a_route_that_takes_it(classic: Host) -> None:
    """The number route takes GET only, the name route PUT as well."""
    assert classic.http.put("/api/items/7").json()["function"] == "named"


def test_no_route_is_404_and_no_method_405_with_allow(classic: Host) -> None:
    """A path that no route takes, and a method that no route of the path takes."""
    assert classic.http.get("/api/nothing/here").status_code == 404
    assert classic.http.get("/api/pages/3/x").status_code == 404
    refused = classic.http.delete("/api/items/7")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, PUT")


def test_query_and_url_reach_the_function(classic: Host) -> None:
    """Repeated query values are joined by commas; the URL is the one that was asked for."""
    found = classic.http.get("/api/items/x?a=1&a=2&b=%20c").json()
    assert found["query"] == {"a": "1,2", "b": " c"}
    assert found["url"] == f"{classic.url}/api/items/x?a=1&a=2&b=%20c"


def test_binary_bodies_and_headers_pass_unchanged(classic: Host) -> None:
    """Every byte value comes back."""
    body = bytes(range(256)) * 100
    answer = classic.http.post(
        "/api/echo", content=body, headers={"X-Given": "yes", "Content-Type": "application/octet-stream"}
    )
    assert answer.content == body
    assert (answer.headers["x-seen"], answer.headers["x-length"]) == ("yes", str(len(body)))
    assert answer.headers["content-type"] == "application/octet-stream"


def test_cookies_keep_all_attributes(classic: Host) -> None:
    """Two Set-Cookie headers, one with every attribute, values percent-encoded as ASP.NET does."""
    full, plain = classic.http.get("/api/cookies").headers.get_list("set-cookie")
    assert plain == "plain=1"
    assert full == (
        "full=a%2Fb; expires=Thu, 01 Jan 2037 00:00:00 GMT; max-age=60; domain=example.com; path=/x; secure; "
        "samesite=strict; httponly"
    )


def test_a_plain_string_is_a_text_response(classic: Host) -> None:
    """A function may return a string."""
    answer = classic.http.get("/api/text")
    assert (answer.text, answer.headers["content-type"]) == ("plain", "text/plain; charset=utf-8")


def test_an_exception_is_500_without_a_body_and_logged_with_its_traceback(classic: Host) -> None:
    """The caller learns nothing of the inside, the developer everything."""
    answer = classic.http.get("/api/fails")
    assert (answer.status_code, answer.content) == (500, b"")
    log = classic.log.read_text()
    assert 'raise ValueError("told to fail")' in log
    assert "function=fails result=failed" in log


def test_the_apps_own_modules_are_its_own(classic: Host) -> None:
    """A package `local` and a module `shared` of the app's are imported, not the project's."""
    found = classic.http.get("/api/about").json()
    assert (found["local"], found["shared"]) == ("the app's own", "the app's own")


def test_settings_come_from_the_file_unless_the_environment_has_them(classic: Host) -> None:
    """local.settings.json fills in what is not set."""
    settings = classic.http.get("/api/about").json()["settings"]
    assert settings == {"FROM_FILE": "file", "FROM_BOTH": "environment"}


def test_the_context_names_function_and_invocation(classic: Host) -> None:
    """Each call has an id of its own."""
    first, second = (classic.http.get("/api/about").json() for _ in range(2))
    assert first["function"] == "about"
    assert first["invocation"] != second["invocation"]


def test_without_keys_every_function_may_be_called(classic: Host) -> None:
    """Keys are not enforced unless that is asked for."""
    assert classic.http.get("/api/locked").text == "open"
    assert classic.http.get("/api/admin-only").text == "open"


def test_the_host_tells_its_state_and_its_functions(classic: Host) -> None:
    """The status says Running, the table lists methods and URLs."""
    assert classic.http.get("/admin/host/status").json()["state"] == "Running"
    assert f"  named: [GET,PUT] {classic.url}/api/items/{{name}}" in classic.table
