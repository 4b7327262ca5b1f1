"""HTTP functions of an app that streams."""

import httpx2
import pytest

from tests.local.functions_host.hosting import Host, eventually


def test_an_answer_is_relayed_as_it_comes(streaming: Host) -> None:
    """All lines arrive, in order, with the function's content type."""
    with streaming.http.stream("GET", "/count/1000") as answer:
        lines = list(answer.iter_lines())
    assert lines == [str(number) for number in range(1000)]
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_reader_that_goes_away_closes_the_generator(streaming: Host) -> None:
    """A slow reader makes the app rest, and go on as it reads; when it goes away, the app stops producing."""
    before = streaming.http.get("/events").json()
    with httpx2.Client(base_url=streaming.url) as client, client.stream("GET", "/forever") as answer:
        chunks = answer.iter_raw()  # kept: a generator that is let go closes the connection
        next(chunks)
        first = streaming.http.get("/events").json()["chunks"]
        while (now := streaming.http.get("/events").json()["chunks"]) != first:
            first = now  # the buffers between fill up, then production rests
        assert streaming.http.get("/events").json()["closed"] == before["closed"]
        eventually(lambda: next(chunks) and streaming.http.get("/events").json()["chunks"] > first, "it goes on")
    eventually(lambda: streaming.http.get("/events").json()["closed"] > before["closed"], "the generator is closed")
    assert streaming.http.get("/events").json()["closed"] == before["closed"] + 1


def test_an_answer_that_breaks_off_is_seen_to(streaming: Host) -> None:
    """The client gets what there was, then an error instead of a clean end."""
    with pytest.raises(httpx2.HTTPError), streaming.http.stream("GET", "/breaks") as answer:
        assert b"".join(answer.iter_raw()) == b"never whole"
    assert "told to fail in the stream" in streaming.log.read_text()


def test_request_and_response_pass_raw(streaming: Host) -> None:
    """Body, query, URL and several cookies are as they were."""
    body = bytes(range(256)) * 2000
    answer = streaming.http.post("/echo?a=1&b=x%20y", content=body)
    assert answer.content == body
    assert answer.headers["x-query"] == "a=1&b=x+y"
    assert answer.headers["x-url"] == f"{streaming.url}/echo?a=1&b=x%20y"
    assert answer.headers.get_list("set-cookie")[0].startswith("a=1")
    assert "HttpOnly" in answer.headers.get_list("set-cookie")[1]


def test_an_exception_is_500_without_a_body(streaming: Host) -> None:
    """As in apps that do not stream."""
    answer = streaming.http.get("/fails")
    assert (answer.status_code, answer.content) == (500, b"")
    assert 'raise ValueError("told to fail")' in streaming.log.read_text()


def test_with_an_empty_prefix_the_root_reaches_the_catch_all(streaming: Host) -> None:
    """Also where a specific route has another method."""
    assert streaming.http.get("/").json() == {"path": "", "method": "GET"}
    assert streaming.http.get("/a/b%20c").json() == {"path": "a/b c", "method": "GET"}
    assert streaming.http.post("/count/1").json() == {"path": "count/1", "method": "POST"}


def test_the_hosts_own_paths_are_not_the_apps(streaming: Host) -> None:
    """A catch-all takes neither administration nor webhooks."""
    assert streaming.http.get("/admin/host/status").json()["state"] == "Running"
    assert streaming.http.get("/runtime/webhooks/nothing").status_code == 404


def test_a_durable_client_works_beside_streams(streaming: Host) -> None:
    """A streaming function starts an orchestration."""
    started = streaming.http.post("/start").json()["id"]
    status = f"/runtime/webhooks/durabletask/instances/{started}"
    eventually(lambda: streaming.http.get(status).status_code == 200, "the orchestration is done")
    assert streaming.http.get(status).json()["output"] == "hello"
