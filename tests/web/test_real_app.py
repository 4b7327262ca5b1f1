"""The page on the real app, in real Chromium: a question about the sample lake, and the citation at its version."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import ROOT
from tests.region import Region


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A region over a copy of the sample lake."""
    shutil.copytree(ROOT / "sample-lake", tmp_path / "lake")
    started = Region(tmp_path / "lake", tmp_path / "data")
    started.start()
    yield started
    started.stop()


def test_a_suggested_question_is_answered_and_its_citation_opens(
    browser: Browser, region: Region, tmp_path: Path
) -> None:
    """Clicking a suggestion streams an answer; its chip opens the passage; the link opens the cited version.

    With SCREENSHOTS set to a folder, pictures are left there: the README's is one of them.
    """
    shots = Path(os.environ.get("SCREENSHOTS", tmp_path))
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="Europe/Stockholm", reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(f"http://localhost:{region.port}/")
    page.get_by_role("button", name=re.compile("limit for a hotel night")).click()
    expect(page.get_by_text("The limit for a hotel night is 165 EUR").first).to_be_visible()
    page.get_by_role("button", name=re.compile(r"^Source 1|\[1\]|^1$|Citation 1")).first.click()
    link = page.get_by_role("link", name=re.compile("Open this version"))
    expect(link).to_be_visible()
    expect(page.get_by_text("policies/travel-and-expenses.md").first).to_be_visible()
    page.screenshot(path=shots / "chat.png")
    address = link.get_attribute("href")
    assert address is not None
    opened = region.request("GET", address)
    assert opened.status == 200
    assert opened.body == (region.lake / "policies" / "travel-and-expenses.md").read_bytes()
    context.close()
