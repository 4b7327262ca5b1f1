"""`python -m local rebuild`: plan a rebuild, start one, and follow it with a progress bar.

Exit codes: 0 the rebuild was verified (or planned, or only started); 1 it was not, or could not be started; 2 wrong
usage; 130 stopped by Ctrl-C, while the rebuild goes on.
"""

import argparse
import http.client
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from local.rebuild_text import bar_line, outcome, plain_line, plan_page

KEY_SETTING = "WARMLAKE_KEY"
POLL_SECONDS = 0.5
PLAIN_SECONDS = 10.0  # between two lines where there is no terminal to draw on
PATIENCE_SECONDS = 180.0  # a host that does not answer is being started again, for as long as this
GOOD = frozenset({"completed", "planned"})


class CannotRebuild(Exception):
    """Why it cannot be done, in one line."""


@dataclass(frozen=True, slots=True)
class App:
    """The app at an address, as an operator calls it; `key` is the function key, "" where none is asked for."""

    url: str
    key: str = ""
    patience: float = PATIENCE_SECONDS
    poll: float = POLL_SECONDS

    def start(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Start a rebuild. Raises CannotRebuild with what the app says."""
        try:
            return self._request("/api/recovery/rebuild", json.dumps(body).encode())
        except _Away as away:
            raise CannotRebuild(f"{self.url} does not answer: {away}") from away

    def reports(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield what the app says of a rebuild again and again, {} while it does not answer. Ends never."""
        silent_since: float | None = None
        while True:
            try:
                said = self._request(path)
                silent_since = None
            except _Away as away:
                said = {}
                now = time.monotonic()
                silent_since = silent_since or now
                if now - silent_since > self.patience:
                    raise CannotRebuild(f"{self.url} has not answered for {self.patience:g} s: {away}") from away
            yield said
            time.sleep(self.poll)

    def _request(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", **({"x-functions-key": self.key} if self.key else {})}
        request = urllib.request.Request(self.url + path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                value = json.loads(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _Away(str(getattr(error, "reason", error))) from error
        if not isinstance(value, dict):
            raise CannotRebuild(f"{self.url}{path} does not answer as Warmlake does: {value!r:.80}")
        return value


class _Away(Exception):
    """The app does not answer now."""


def _refusal(error: urllib.error.HTTPError) -> Exception:
    """Return what an error reply means: refused for good, or not there for the moment."""
    try:
        detail = json.loads(error.read())["detail"]
    except (ValueError, KeyError, TypeError):
        detail = error.reason
    if error.code in (401, 403):
        return CannotRebuild(
            f"the app wants to know who is acting ({error.code} {detail}); give a key by --key or {KEY_SETTING}"
        )
    if error.code in (502, 503, 504):
        return _Away(f"{error.code} {detail}")
    return CannotRebuild(f"{detail} ({error.code})")


def follow(app: App, path: str, screen: TextIO, width: Callable[[], int]) -> dict[str, Any]:
    """Show a rebuild's progress until it has ended; returns its report. Raises CannotRebuild."""
    drawn = screen.isatty()
    shown, shown_at = "", 0.0
    for said in app.reports(path):
        status = said.get("status", "away")
        if status == "interrupted" and not said.get("resumes_left"):
            raise CannotRebuild(
                "the rebuild was interrupted and is not resumed by itself; add --resume to go on with it"
            )
        if status not in ("running", "interrupted", "away"):
            if drawn and shown:
                print(file=screen)
            return said
        if drawn:
            line = bar_line(said, width())
            print(f"\r{line}\033[K", end="", file=screen, flush=True)
            shown = line
        elif (phase := str(said.get("phase", status))) != shown or time.monotonic() - shown_at > PLAIN_SECONDS:
            print(plain_line(said), file=screen, flush=True)
            shown, shown_at = phase, time.monotonic()
    raise AssertionError("reports never end")


def rebuild(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    key = options.key or os.environ.get(KEY_SETTING, "")
    app = App(options.url.rstrip("/"), key)
    planning = options.plan or options.dry_run
    body = {
        "reason": options.reason,
        "source": options.source,
        "dry_run": planning,
        "force": options.force,
        "resume": options.resume,
    }
    try:
        started = app.start(body)
        if not (options.watch or options.plan):
            print(f"rebuild {started['id']} has been started: {app.url}{started['url']}")
            return 0
        report = follow(app, started["url"], sys.stdout, lambda: shutil.get_terminal_size().columns)
    except CannotRebuild as fault:
        print(f"warmlake: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nthe rebuild goes on without you; GET /api/recovery/latest shows it", file=sys.stderr)
        return 130
    if report["status"] == "planned":
        print(plan_page(report))
    else:
        print(outcome(report), file=sys.stdout if report["status"] in GOOD else sys.stderr)
    return 0 if report["status"] in GOOD else 1


def add_command(commands: Any) -> None:
    """Add the command to those of `python -m local`."""
    command = commands.add_parser("rebuild", help="recompute the whole index, or plan it, and watch")
    command.add_argument("--url", default="http://localhost:7071", type=_address, help="the app (default %(default)s)")
    command.add_argument("--reason", default="", help="why; it is kept in the audit record")
    command.add_argument("--source", default="primary", choices=("primary", "secondary"), help="which copy of the lake")
    command.add_argument("--plan", action="store_true", help="show what it would take, and change nothing")
    command.add_argument(
        "--dry-run", action="store_true", help="as --plan, but only with --watch it waits for the plan"
    )
    command.add_argument("--watch", action="store_true", help="follow it until it has ended")
    command.add_argument("--force", action="store_true", help="override the guards: the lake's listing is true")
    command.add_argument("--resume", action="store_true", help="go on with the unfinished generation")
    command.add_argument("--key", default="", help=f"the app's function key; better: the variable {KEY_SETTING}")
    command.set_defaults(act=rebuild)


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is no http(s) address such as http://localhost:7071")
    return text
