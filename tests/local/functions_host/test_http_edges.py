"""What HTTP clients do beyond plain requests: other origins, large, compressed and chunked bodies, HEAD, Expect."""

import gzip
import json
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.local.functions_host.hosting import APPS, Host, asked, eventually, running

LIMIT = 1_000_000
PAGE = "http://localhost:5173"
PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-a,x-b"}
WAITING_APP = """
import asyncio
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
go = asyncio.Event()
begun, ended = [], []

@app.route("slow")
async def slow(req: func.HttpRequest) -> str:
    begun.append(1)
    try:
        await go.wait()
    finally:
        ended.append(1)
    return "too late"

@app.route("go")
async def let_go(req: func.HttpRequest) -> str:
    go.set()
    return "gone"

@app.route("counts")
async def how_many(req: func.HttpRequest) -> str:
    return f"{len(begun)} begun, {len(ended)} ended"
"""


@pytest.fixture(scope="module")
def small(host_log: Path) -> Iterator[Host]:
    """A host with whole requests that takes small bodies only."""
    with running(APPS / "classic", host_log, {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(LIMIT)}) as host:
        yield host


@pytest.fixture(scope="module")
def small_streaming(host_log: Path) -> Iterator[Host]:
    """A host with streams that takes small bodies only."""
    with running(APPS / "streaming", host_log, {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(LIMIT)}) as host:
        yield host


def pieces(size: int) -> Iterator[bytes]:
    """Yield a body whose length is not said beforehand."""
    for start in range(0, size, 65_536):
        yield b"x" * min(65_536, size - start)


def raw(host: Host, head: str, body: bytes = b"") -> bytes:
    """Send a request byte by byte as given; returns what comes before the connection rests or closes."""
    place = urlsplit(host.url)
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode())
        first = connection.recv(65_536)
        if body:
            connection.sendall(body)
            first += b"|" + connection.recv(65_536)
        return first


@pytest.mark.parametrize("path", ["/api/echo", "/echo"])
def test_bodies_up_to_the_limit(small: Host, small_streaming: Host, path: str) -> None:
    """A body of exactly the limit is taken; a larger one is 413, whether its length is said beforehand or not."""
    host = small if path.startswith("/api") else small_streaming
    assert len(host.http.post(path, content=b"x" * LIMIT).content) == LIMIT
    assert len(host.http.post(path, content=pieces(LIMIT)).content) == LIMIT
    assert host.http.post(path, content=b"x" * (LIMIT + 1)).status_code == 413
    assert host.http.post(path, content=pieces(LIMIT + 1)).status_code == 413
    assert host.http.post(path, content=b"still there").content == b"still there"


@pytest.mark.parametrize("path", ["/api/echo", "/echo"])
def test_compressed_bodies_reach_the_function_as_sent(classic: Host, streaming: Host, path: str) -> None:
    """The host does not unpack what a client has packed."""
    host = classic if path.startswith("/api") else streaming
    packed = gzip.compress(b"packed" * 1000)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/octet-stream"}
    assert host.http.post(path, content=packed, headers=headers).content == packed


@pytest.mark.parametrize("path", ["/api/echo", "/echo"])
def test_expect_100_continue(classic: Host, streaming: Host, path: str) -> None:
    """A client that asks first is told to go on, and then answered."""
    host = classic if path.startswith("/api") else streaming
    head = f"POST {path} HTTP/1.1\nHost: x\nContent-Length: 5\nExpect: 100-continue\nConnection: close\n\n"
    interim, _, final = raw(host, head, b"hello").partition(b"|")
    assert interim.startswith(b"HTTP/1.1 100")
    assert final.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("path", "status"), [("/api/text", 200), ("/api/pages/3", 200), ("/api/items/7", 405)])
def test_head(classic: Host, path: str, status: int) -> None:
    """A function that takes every method takes HEAD, and its answer has no body."""
    answer = classic.http.head(path)
    assert (answer.status_code, answer.content) == (status, b"")


def test_head_and_options_of_streams(streaming: Host) -> None:
    """Methods that no route takes are refused there too."""
    assert streaming.http.head("/events").status_code == 405
    assert streaming.http.options("/events").status_code == 405


def test_a_function_may_take_options(classic: Host) -> None:
    """Without CORS, OPTIONS is a method like any other."""
    assert classic.http.options("/api/text", headers=PREFLIGHT).text == "plain"
    assert "access-control-allow-origin" not in classic.http.get("/api/text", headers={"Origin": PAGE}).headers


def test_the_identity_passes(tmp_path: Path) -> None:
    """Headers that Easy Auth would set reach the function as they are."""
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\napp = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n\n"
        '@app.route("who")\ndef who(req: func.HttpRequest) -> str:\n'
        '    return req.headers["X-MS-CLIENT-PRINCIPAL"] + " " + req.headers["X-MS-CLIENT-PRINCIPAL-ID"]\n'
    )
    with running(tmp_path, tmp_path / "host.log") as host:
        headers = {"X-MS-CLIENT-PRINCIPAL": "eyJhIjoxfQ==", "X-MS-CLIENT-PRINCIPAL-ID": "me"}
        assert host.http.get("/api/who", headers=headers).text == "eyJhIjoxfQ== me"


@pytest.mark.parametrize("app", ["classic", "streaming"])
def test_cors(tmp_path: Path, app: str) -> None:
    """Pages of the named origins may call the app, asked beforehand or not; others get no leave."""
    folder = tmp_path / app
    shutil.copytree(APPS / app, folder)
    host_settings = {"CORS": f"https://other.example,{PAGE}/", "CORSCredentials": True, "LocalHttpPort": 1}
    (folder / "local.settings.json").write_text(json.dumps({"Values": {}, "Host": host_settings}))
    path = "/api/echo" if app == "classic" else "/echo"
    with running(folder, tmp_path / "host.log") as host:
        asked = host.http.options(path, headers=PREFLIGHT)
        assert (asked.status_code, asked.content) == (204, b"")
        assert asked.headers["access-control-allow-methods"] == "PUT"
        assert asked.headers["access-control-allow-headers"] == "x-a,x-b"
        answers = [asked, host.http.post(path, content=b"x", headers={"Origin": PAGE})]
        answers.append(host.http.get("/nowhere/at/all", headers={"Origin": PAGE}))
        for answer in answers:
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert "origin" in answer.headers["vary"].lower()
        stranger = {**PREFLIGHT, "Origin": "https://stranger.example"}
        for answer in (host.http.options(path, headers=stranger), host.http.post(path, content=b"x", headers=stranger)):
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_cors_on_the_command_line(tmp_path: Path) -> None:
    """`--cors` goes before the file; `*` is every origin."""
    shutil.copytree(APPS / "classic", tmp_path / "app")
    (tmp_path / "app" / "local.settings.json").write_text('{"Host": {"CORS": "https://other.example"}}')
    with running(tmp_path / "app", tmp_path / "host.log", arguments=("--cors", "*")) as host:
        answer = host.http.get("/api/text", headers={"Origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_custom_headers(tmp_path: Path) -> None:
    """host.json's `customHeaders` are in every response."""
    shutil.copytree(APPS / "classic", tmp_path / "app")
    headers = {"X-Content-Type-Options": "nosniff"}
    text = json.dumps({"version": "2.0", "extensions": {"http": {"customHeaders": headers}}})
    (tmp_path / "app" / "host.json").write_text(text)
    with running(tmp_path / "app", tmp_path / "host.log") as host:
        for path in ("/api/text", "/api/fails", "/nowhere"):
            assert host.http.get(path).headers["x-content-type-options"] == "nosniff"


def test_function_timeout(tmp_path: Path) -> None:
    """A function that takes longer than `functionTimeout` is ended, and its caller gets 500."""
    (tmp_path / "function_app.py").write_text(WAITING_APP)
    (tmp_path / "host.json").write_text('{"version": "2.0", "functionTimeout": "00:00:00.2"}')
    with running(tmp_path, tmp_path / "host.log") as host:
        assert host.http.get("/api/slow").status_code == 500
        eventually(lambda: host.http.get("/api/counts").text == "1 begun, 1 ended", "the function has been cancelled")
    assert "FunctionTimeoutException" in (tmp_path / "host.log").read_text()


def test_a_client_that_goes_away_does_not_stop_a_function(tmp_path: Path) -> None:
    """What a function had begun is not left half done."""
    (tmp_path / "function_app.py").write_text(WAITING_APP)
    with running(tmp_path, tmp_path / "host.log") as host:
        with asked(host, "/api/slow"):
            eventually(lambda: host.http.get("/api/counts").text == "1 begun, 0 ended", "the function has begun")
        assert host.http.get("/api/go").text == "gone"
        eventually(lambda: host.http.get("/api/counts").text == "1 begun, 1 ended", "the function has ended by itself")
    assert "function=slow result=succeeded" in (tmp_path / "host.log").read_text()


@pytest.mark.parametrize("path", ["/api/echo", "/echo"])
def test_the_last_forwarded_address_is_the_hosts_word(small: Host, small_streaming: Host, path: str) -> None:
    """Whatever a caller claims, also in several lines, the address that the host sees stands last, with its port."""
    host = small if path.startswith("/api") else small_streaming
    for claimed in ([], ["9.9.9.9"], ["9.9.9.9", "8.8.8.8, 7.7.7.7"]):
        headers = [("X-Forwarded-For", value) for value in claimed]
        *before, last = host.http.post(path, headers=headers).headers["x-forwarded"].split(", ")
        assert ", ".join(before) == ", ".join(claimed)
        assert re.fullmatch(r"(127\.0\.0\.1|\[::1\]):\d+", last)
