"""How the host starts, refuses to start, and stops."""

import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import httpx2
import pytest

from tests.local.functions_host.hosting import APPS, command, environment, eventually, running

GUARD = 120.0  # seconds, against hanging
HELLO = """
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("hello")
def hello(req: func.HttpRequest) -> str:
    return "hello"
"""


def refused(
    folder: Path, app: str, settings: Mapping[str, str] | None = None, port: int = 0
) -> subprocess.CompletedProcess[str]:
    """Start the host with an app that it cannot run; returns how it ended."""
    (folder / "function_app.py").write_text(app)
    return subprocess.run(
        command(port), cwd=folder, env=environment(settings), capture_output=True, text=True, timeout=GUARD, check=False
    )


def with_host_json(folder: Path, text: str) -> Path:
    """Write a host.json; returns the folder."""
    (folder / "host.json").write_text(text)
    return folder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_exit_code_0(tmp_path: Path, number: int) -> None:
    """Also without host.json and settings, and while a request is waiting."""
    (tmp_path / "function_app.py").write_text(HELLO)
    with running(tmp_path, tmp_path / "host.log") as host:
        assert host.http.get("/api/hello").text == "hello"
        assert host.stop(number) == 0


def test_an_app_that_fails_to_load_stops_it_with_the_apps_traceback(tmp_path: Path) -> None:
    """The line of the app that raised is shown."""
    ended = refused(tmp_path, "import nowhere_to_be_found\n")
    assert ended.returncode == 1
    assert 'function_app.py", line 1' in ended.stderr
    assert "No module named 'nowhere_to_be_found'" in ended.stderr
    assert "ready " not in ended.stdout


def test_a_folder_without_functions_is_refused(tmp_path: Path) -> None:
    """With one line that says so."""
    ended = subprocess.run(
        command(), cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=GUARD, check=False
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "no functions found" in ended.stderr


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    """And exit code 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = refused(tmp_path, HELLO, port=port)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert f"port {port} cannot be used" in ended.stderr


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    """With exit code 2."""
    for arguments in (["stop"], ["start", "--port", "many"], ["start", "--port", "70000"]):
        line = [*command()[:-3], *arguments]
        ended = subprocess.run(line, cwd=tmp_path, env=environment(), capture_output=True, timeout=GUARD, check=False)
        assert ended.returncode == 2


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ('@app.event_hub_message_trigger("x", "hub", "C")\ndef f(x: str): pass', "'f': trigger binding 'x'"),
        (
            '@app.blob_trigger("x", "c/{n:guid}", "AzureWebJobsStorage")\ndef f(x: bytes): pass',
            "function 'f': the path 'c/{n:guid}' has '{n:guid}', which is no name",
        ),
        ('@app.queue_trigger("x", "%NO_SUCH%", "AzureWebJobsStorage")\ndef f(x: str): pass', "'NO_SUCH'"),
        ('@app.queue_trigger("x", "q", "NO_ACCOUNT")\ndef f(x: func.QueueMessage): pass', "'NO_ACCOUNT' is missing"),
        ('@app.timer_trigger("x", "1 2 3")\ndef f(x: func.TimerRequest): pass', "six are needed"),
        ('@app.timer_trigger("x", "0 0 0 30 2 *")\ndef f(x: func.TimerRequest): pass', "does not come true"),
        ('@app.route("a/{b:colour}")\ndef f(req: func.HttpRequest): pass', "'colour' is unknown"),
    ],
)
def test_what_it_does_not_support_is_named(tmp_path: Path, declared: str, said: str) -> None:
    """At the start, with function and binding."""
    app = f"import azure.functions as func\napp = func.FunctionApp()\n\n{declared}\n"
    ended = refused(tmp_path, app, {"AzureWebJobsStorage": "UseDevelopmentStorage=true"})
    assert ended.returncode == 1
    assert said in ended.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "host.json: "),
        ('{"version": "1.0"}', "'version' must be"),
        ('{"version": "2.0", "extensions": {"queues": {"batchSize": 99}}}', "at most 32"),
        ('{"version": "2.0", "extensions": {"durableTask": {"hubName": "%NONE%"}}}', "'NONE'"),
        ('{"version": "2.0", "extensions": {"http": {"maxConcurrentRequests": 0}}}', "'maxConcurrentRequests'"),
        ('{"version": "2.0", "extensions": {"http": {"customHeaders": {"a": 1}}}}', "'customHeaders'"),
        ('{"version": "2.0", "functionTimeout": "soon"}', "'functionTimeout'"),
        ('{"version": "2.0", "functionTimeout": "00:00:00"}', "'functionTimeout'"),
    ],
)
def test_a_wrong_host_json_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    """Nothing is guessed."""
    ended = refused(with_host_json(tmp_path, text), HELLO)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert said in ended.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"Host": []}', "'Host'"),
        ('{"Host": {"LocalHttpPort": "many"}}', "'LocalHttpPort'"),
        ('{"Host": {"CORS": ["*"]}}', "'CORS'"),
        ('{"Host": {"CORS": "*", "CORSCredentials": true}}', "name the origins"),
    ],
)
def test_a_wrong_local_settings_json_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    """The same for what it says about the host."""
    (tmp_path / "local.settings.json").write_text(text)
    ended = refused(tmp_path, HELLO)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert said in ended.stderr


def test_keys_are_enforced_when_that_is_switched_on(tmp_path: Path) -> None:
    """By header or query: function keys for their function, the host's for all, the master key for administration."""
    keys = '{"master": "m", "host": "h", "functions": {"locked": "l"}}'
    with running(APPS / "classic", tmp_path / "host.log", {"FUNCTIONS_HOST_KEYS": keys}) as host:
        answers = {
            (path, key): host.http.get(path, headers={"x-functions-key": key}).status_code
            for path in ("/api/text", "/api/locked", "/api/admin-only")
            for key in ("", "wrong", "l", "h", "m")
        }
        by_query = host.http.get("/api/locked?code=l").status_code
        administration = [host.http.get(f"/admin/host/status?code={key}").status_code for key in ("", "h", "m")]
    open_to = {path: {key for key in ("", "wrong", "l", "h", "m") if answers[path, key] == 200} for path, _ in answers}
    assert open_to == {
        "/api/text": {"", "wrong", "l", "h", "m"},
        "/api/locked": {"l", "h", "m"},
        "/api/admin-only": {"m"},
    }
    assert by_query == 200
    assert administration == [401, 401, 200]


def test_an_answer_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """As Azure's front end does after 230 seconds."""
    with running(APPS / "classic", tmp_path / "host.log", {"FUNCTIONS_HOST_HTTP_TIMEOUT_SECONDS": "0.2"}) as host:
        assert host.http.get("/api/slow?seconds=0").text == "slept"
        assert host.http.get("/api/slow?seconds=3").status_code == 504


def test_a_stream_that_takes_too_long_is_broken_off(tmp_path: Path) -> None:
    """What has been sent cannot be taken back."""
    with running(APPS / "streaming", tmp_path / "host.log", {"FUNCTIONS_HOST_HTTP_TIMEOUT_SECONDS": "0.5"}) as host:
        with pytest.raises(httpx2.HTTPError), host.http.stream("GET", "/forever") as answer:
            for _ in answer.iter_raw():
                pass
        assert host.http.get("/events").json()["closed"] == 1


def test_timers_run(tmp_path: Path) -> None:
    """At start where that is asked for, and whenever their time has come."""
    (tmp_path / "function_app.py").write_text(
        "import logging\nimport azure.functions as func\napp = func.FunctionApp()\n\n"
        '@app.timer_trigger("t", "%WHEN%", run_on_startup=True)\ndef tick(t: func.TimerRequest):\n'
        '    logging.info("tick past_due=%s", t.past_due)\n'
    )
    log = tmp_path / "host.log"
    with running(tmp_path, log, {"WHEN": "*/1 * * * * *", "AzureWebJobsStorage": ""}):
        eventually(lambda: log.read_text().count("tick past_due=False") >= 3, "three ticks")


def test_a_functions_own_retry_policy_is_followed(tmp_path: Path) -> None:
    """Three tries in all, each told how many came before."""
    (tmp_path / "function_app.py").write_text(
        "import logging\nimport azure.functions as func\napp = func.FunctionApp()\n\n"
        '@app.timer_trigger("t", "0 0 0 1 1 *", run_on_startup=True, use_monitor=False)\n'
        '@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")\n'
        "def tick(t: func.TimerRequest, context: func.Context):\n"
        '    logging.info("try %s of %s", context.retry_context.retry_count, context.retry_context.max_retry_count)\n'
        '    raise ValueError("told to fail")\n'
    )
    log = tmp_path / "host.log"
    with running(tmp_path, log, {"AzureWebJobsStorage": ""}):
        eventually(lambda: "timer=tick failed" in log.read_text(), "the timer has given up")
    assert [line.partition("] ")[2] for line in log.read_text().splitlines() if "] try " in line] == [
        "try 0 of 0",
        "try 1 of 2",
        "try 2 of 2",
    ]
