"""The pages on the real app, in real Chromium: asking, reading, rating, stopping, coming back, recovering the index; by
mouse, by keys, on a phone.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.conftest import ROOT
from tests.region import Region, eventually
from tests.web.test_axe import faults

QUESTION = re.compile("limit for a hotel night")
ANSWER = "The limit for a hotel night is 165 EUR"
SOURCE = re.compile("^Source 1:")
CALL = "POST /openai/v1/chat/completions"  # as the model service's log has it
WORD_MS = 700  # of the slow model: slow enough to be stopped before its end on a busy machine


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A region over a copy of the sample lake."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(ROOT / "sample-lake", folder / "lake")
    started = Region(folder / "lake", folder / "data", "--faults")
    started.start()
    yield started
    started.stop()


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where pictures are left: with SCREENSHOTS set to docs/images, the documents' own."""
    return Path(os.environ.get("SCREENSHOTS", tmp_path))


def opened(
    browser: Browser, region: Region, width: int, height: int, path: str = "/", **options: Any
) -> tuple[BrowserContext, Page]:
    """Return a page of the app in a window of this size; nothing may be asked of another origin."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale="en-GB",
        timezone_id="Europe/Stockholm",
        reduced_motion="reduce",
        **options,
    )
    page = context.new_page()
    origin = f"http://localhost:{region.port}"
    context.route(lambda url: not url.startswith(origin), lambda route: pytest.fail(f"asked for {route.request.url}"))
    page.goto(f"{origin}{path}")
    return context, page


def test_a_question_is_answered_read_on_and_rated(browser: Browser, region: Region, shots: Path) -> None:
    """A suggestion streams an answer; its chip opens the passage, and what stands around it; the link opens the cited
    version; the rating is kept by the app; a reload keeps answer and rating.
    """
    context, page = opened(browser, region, 1280, 800)
    page.get_by_role("button", name=QUESTION).click()
    expect(page.get_by_text(ANSWER).first).to_be_visible()
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_text("Thank you.")).to_be_visible()
    (kept,) = [json.loads(line) for line in region.request("GET", "/api/feedback").body.splitlines()]
    assert (kept["rating"], kept["passages"][0]["path"]) == ("up", "policies/travel-and-expenses.md")
    assert ANSWER in kept["answer"]
    assert kept["generation"] == region.get("/api/status")["generation"]
    page.get_by_role("button", name=SOURCE).first.click()
    reader = page.get_by_role("group", name="Cited passage")
    expect(reader.locator(".passage")).to_contain_text(ANSWER)
    link = page.get_by_role("link", name=re.compile("Open this version"))
    expect(link).to_be_visible()
    page.screenshot(path=shots / "chat.png")
    reader.get_by_role("button", name="Show what follows").click()
    expect(reader.locator(".context").first).to_be_visible()
    assert faults(page) == []
    address = link.get_attribute("href")
    assert address is not None
    document = region.request("GET", address)
    assert document.status == 200
    assert document.body == (region.lake / "policies" / "travel-and-expenses.md").read_bytes()
    page.reload()
    expect(page.get_by_text(ANSWER).first).to_be_visible()
    expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    context.close()


def test_by_keys_alone_in_the_dark(browser: Browser, region: Region, shots: Path) -> None:
    """Typed, sent and read without a mouse: question, chip, panel and back, in the dark theme."""
    context, page = opened(browser, region, 1280, 800, color_scheme="dark")
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type("What is the limit for a hotel night in Oslo?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copy answer")).to_be_visible()
    expect(page.get_by_label("Your question")).to_be_focused()
    chip = page.get_by_role("button", name=SOURCE).first
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        if chip.evaluate("node => node === document.activeElement"):
            break
    expect(chip).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("heading", level=2)).to_be_focused()
    page.screenshot(path=shots / "chat-dark.png")
    assert faults(page) == []
    page.keyboard.press("Escape")
    expect(chip).to_be_focused()
    context.close()


def test_on_a_phone(browser: Browser, region: Region, shots: Path) -> None:
    """On a phone nothing is wider than the screen, and the source comes up as a sheet."""
    context, page = opened(browser, region, 390, 844, has_touch=True)
    page.get_by_role("button", name=QUESTION).tap()
    expect(page.get_by_text(ANSWER).first).to_be_visible()
    expect(page.get_by_role("button", name="Copy answer")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.screenshot(path=shots / "chat-phone.png")
    page.get_by_role("button", name=SOURCE).first.tap()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.querySelector('#panel').matches(':modal')")
    assert faults(page) == []
    context.close()


@contextmanager
def slow_model(region: Region) -> Iterator[None]:
    """While it is entered, the model takes its time for each word."""
    found = re.search(r"model takes rules for failing on purpose at (\S+)", region.log.read_text())
    assert found is not None
    rule = {"path": "/chat/completions$", "extra": {"chunk_delay_ms": WORD_MS}}
    with urlopen(Request(found[1], json.dumps(rule).encode(), method="POST")) as reply:
        assert reply.status == 201
    yield
    with urlopen(Request(found[1], method="DELETE")) as reply:
        assert reply.status == 204


def test_stop_ends_the_answer_and_the_model(browser: Browser, region: Region) -> None:
    """Stop ends the stream, and the model's work with it; what had come stays, marked as stopped, through a reload; and
    the next question is answered.
    """
    context, page = opened(browser, region, 1280, 800)
    partial = page.get_by_role("article").last.locator(".prose")
    before = len(region.log.read_text())
    with slow_model(region):
        page.get_by_role("button", name=QUESTION).click()
        expect(partial).to_contain_text("The limit")
        page.get_by_role("button", name="Stop answering").click()
        expect(page.get_by_text("Stopped before the end.")).to_be_visible()
        eventually(lambda: f"{CALL} stopped" in region.log.read_text()[before:], "the model stops", region.log)
    assert f"{CALL} status=" not in region.log.read_text()[before:]
    said = partial.inner_text()
    assert 0 < len(said) < len(ANSWER)
    page.reload()
    expect(partial).to_have_text(said)
    expect(page.get_by_text("Stopped before the end.")).to_be_visible()
    page.get_by_label("Your question").fill("What is the limit for a hotel night in Oslo?")
    page.keyboard.press("Enter")
    expect(partial).to_contain_text("the limit is 210 EUR")
    context.close()


def test_the_index_is_recomputed_from_its_page(browser: Browser, region: Region, shots: Path) -> None:
    """Planned, started, watched to its end and rolled back on the recovery page; axe-core finds nothing on it."""
    context, page = opened(browser, region, 1280, 800, path="/recovery")
    page.get_by_role("button", name="Plan only").click()
    expect(page.get_by_role("heading", name="Plan; nothing has been changed")).to_be_visible()
    page.get_by_label("Why").fill("the quarterly drill")
    page.get_by_role("button", name="Start", exact=True).click()
    generations = page.get_by_role("region", name="Generations").get_by_role("listitem")
    expect(generations).to_have_count(2)
    expect(page.locator("#now")).to_contain_text("verified and live")
    assert faults(page) == []
    page.mouse.move(0, 0)
    page.screenshot(path=shots / "recovery.png", full_page=True)
    earlier = generations.last.locator(".name-of").inner_text()
    page.get_by_role("button", name="Let it answer").click()
    page.get_by_role("dialog").get_by_label("Why").fill("wrong answers")
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(generations.last.get_by_text("live")).to_be_visible()
    assert region.get("/api/status")["generation"] == earlier
    context.close()


def test_what_nobody_wrote_down_is_said(browser: Browser, region: Region) -> None:
    """A question that the documents do not answer gets a sentence that says so, and no source."""
    context, page = opened(browser, region, 1280, 800)
    page.get_by_label("Your question").fill("Who won the football world cup in 1954?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing in these documents answers that.").first).to_be_visible()
    expect(page.get_by_role("group", name="Source")).to_have_count(0)
    context.close()
