"""The chat page by keyboard alone, on a phone, in the dark, and to a screen reader."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.scripts import answer, citation, closing, delta, opening
from tests.web.server import HOLD, PageServer, Replies, Step

QUESTION = "What is the limit for a hotel night?"
WIDE = "| A | B | C | D |\n|---|---|---|---|\n" + "| " + " | ".join(["unbreakable_long_words_" * 3] * 4) + " |"


def background(page: Page) -> str:
    """Return the computed background colour of the page."""
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def go_to(page: Page, target: Locator, key: str) -> None:
    """Press `key` until `target` has the focus; fail when ten presses do not lead there."""
    for _ in range(10):
        page.keyboard.press(key)
        if target.evaluate("node => node === document.activeElement"):
            break
    expect(target).to_be_focused()


def test_keyboard_alone(page: Page, replies: Replies) -> None:
    """Skip link, question, chip, panel and back, by keys only; Escape closes the panel and gives the focus back."""
    replies.chat = [answer("It is 165 EUR. [1]", citation(1))]
    page.goto("/")
    go_to(page, page.get_by_role("link", name="Skip to the question field"), "Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    expect(page.get_by_label("Your question")).to_have_value("one\ntwo")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Source")).to_be_visible()
    expect(page.get_by_label("Your question")).to_be_focused()
    chip = page.get_by_role("button", name=re.compile("^Source 1:"))
    go_to(page, chip, "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("heading")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=re.compile("Open this version"))).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(chip).to_be_focused()
    assert replies.bodies[0]["messages"][0]["content"] == "one\ntwo"


def test_escape_stops_an_answer(page: Page, replies: Replies) -> None:
    """Escape stops the answer, but only once no panel is open."""
    replies.chat = [[opening(citation(1)), delta("It is 165 EUR. [1]"), HOLD]]
    page.goto("/")
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile("^Source 1:")).click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Stop answering")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Stopped before the end.")).to_be_visible()
    assert replies.left.wait(5)


def test_finished_paragraphs_are_announced(page: Page, server: PageServer, replies: Replies) -> None:
    """A screen reader hears each paragraph once it is whole, without the numbers of the chips."""
    script: list[Step] = [
        opening(citation(1)),
        delta("First. [1]\n\nSecond"),
        HOLD,
        delta(" part."),
        closing(citation(1)),
    ]
    replies.chat = [script]
    page.goto("/")
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    announcer = page.locator("#announcer")
    expect(announcer).to_have_text(re.compile(r"^First\.\s*$"))
    server.release()
    expect(announcer).to_have_text("Second part. 1 source.")
    expect(announcer).to_have_attribute("aria-live", "polite")


@pytest.mark.parametrize("system", ["light", "dark"])
def test_theme_follows_the_system_until_it_is_chosen(page: Page, system: str) -> None:
    """The page takes the system's theme; the toggle switches it, and a reload keeps the choice."""
    page.emulate_media(color_scheme="dark" if system == "dark" else "light")
    page.goto("/")
    before = background(page)
    other = "light" if system == "dark" else "dark"
    page.get_by_role("button", name=f"Switch to the {other} theme").click()
    after = background(page)
    assert before != after
    page.reload()
    assert background(page) == after
    expect(page.get_by_role("button", name=f"Switch to the {system} theme")).to_be_visible()


def test_phone_width(page: Page, replies: Replies) -> None:
    """At 390 px nothing is wider than the screen, and a source opens as a sheet from below that traps the focus."""
    page.set_viewport_size({"width": 390, "height": 844})
    replies.chat = [answer(f"It is 165 EUR. [1]\n\n{WIDE}\n\n{'long' * 80}", citation(1))]
    page.goto("/")
    page.get_by_label("Your question").fill("why " * 40)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Source")).to_be_visible()
    for selector in ("html", "#scroll", ".turns"):
        assert page.locator(selector).evaluate("node => node.scrollWidth <= node.clientWidth"), selector
    page.get_by_role("button", name=re.compile("^Source 1:")).click()
    panel = page.get_by_role("dialog")
    expect(panel).to_be_visible()
    panel.evaluate("node => Promise.all(node.getAnimations().map((animation) => animation.finished))")
    box = panel.bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 390)
    assert round(box["y"] + box["height"]) == 844
    assert page.evaluate("document.querySelector('#panel').matches(':modal')")
    page.mouse.click(195, 20)
    expect(panel).to_be_hidden()


def test_panel_stands_beside_the_page(page: Page, replies: Replies) -> None:
    """On a wide screen the panel is not modal and covers neither answer nor question field."""
    replies.chat = [answer("It is 165 EUR. [1]", citation(1))]
    page.goto("/")
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile("^Source 1:")).click()
    panel = page.get_by_role("dialog")
    panel.evaluate("node => Promise.all(node.getAnimations().map((animation) => animation.finished))")
    edge, composer = panel.bounding_box(), page.locator("#composer").bounding_box()
    assert edge is not None
    assert composer is not None
    assert composer["x"] + composer["width"] <= edge["x"]
    assert not page.evaluate("document.querySelector('#panel').matches(':modal')")


def test_reader_who_scrolled_up_is_left_there(page: Page, server: PageServer, replies: Replies) -> None:
    """New text does not pull a reader down who has scrolled up; a button leads back to the end."""
    long = "\n\n".join(f"Paragraph {number}." for number in range(60))
    replies.chat = [[opening(), delta(long), HOLD, delta("\n\nThe end."), closing()]]
    page.goto("/")
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Paragraph 59.", exact=True).first).to_be_in_viewport()
    page.locator("#scroll").evaluate("node => { node.scrollTop = 0; }")
    latest = page.get_by_role("button", name="Latest")
    expect(latest).to_be_visible()
    server.release()
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert page.locator("#scroll").evaluate("node => node.scrollTop") == 0
    latest.click()
    expect(page.get_by_role("article").last.get_by_text("The end.")).to_be_in_viewport()
