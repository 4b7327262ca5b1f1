"""A real Chromium on the page, and the scripted server behind it."""

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.web.scripts import STATUS
from tests.web.server import PageServer, Replies

FLAGS = [
    "--no-sandbox",  # a container's root may not make the sandbox's namespaces
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
]
PATIENCE_MS = 60_000  # a guard against hanging, also on a machine with much else to do
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

expect.set_options(timeout=PATIENCE_MS)


def find_browser() -> str | None:
    """Return the path of a Chromium: $CHROMIUM, or the first of the usual names on the PATH."""
    return os.environ.get("CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; the tests are skipped where there is none.

    One a module: while it is open, playwright's event loop is this thread's, and no test can run its own.
    """
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium found: install it (apt-get install chromium) or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server() -> Iterator[PageServer]:
    """The scripted server."""
    with PageServer() as running:
        yield running


@pytest.fixture
def replies(server: PageServer) -> Replies:
    """Fresh replies: a ready index, and no suggestions."""
    fresh = server.reset()
    fresh.status = dict(STATUS)
    return fresh


@pytest.fixture
def page(browser: Browser, server: PageServer, replies: Replies) -> Iterator[Page]:
    """A page of its own context, not opened yet.

    Whatever the test does with it, and with other pages of the context, nothing may be asked of another origin, and no
    script error or policy violation may occur.
    """
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="Europe/Stockholm", base_url=server.origin
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []
    foreign: list[str] = []
    context.on("weberror", lambda fault: faults.append(str(fault.error)))
    context.on("console", lambda message: _keep_fault(message, faults))
    context.on("request", lambda request: _keep_foreign(request.url, server.origin, foreign))
    yield page
    context.close()
    assert faults == []
    assert foreign == []


def _keep_fault(message: ConsoleMessage, faults: list[str]) -> None:
    # Chromium logs every error reply; the scripted ones are part of the tests.
    if message.type == "error" and not message.text.startswith("Failed to load resource"):
        faults.append(message.text)


def _keep_foreign(url: str, origin: str, foreign: list[str]) -> None:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ws", "wss") and f"{parts.scheme}://{parts.netloc}" != origin:
        foreign.append(url)
