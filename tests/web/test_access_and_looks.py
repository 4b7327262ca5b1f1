"""The chat page by keyboard alone, on a phone, in the dark, and to a screen reader."""

import re
from typing import Any

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


def test_a_whole_visit_without_a_mouse(page: Page, server: PageServer, replies: Replies) -> None:
    """Asked, followed while it streams, read at its source, rated and left for a new chat, by keys alone."""
    first = citation(1)
    replies.chat = [[opening(first), delta("It is 165 EUR. [1]"), HOLD, delta(" In Oslo 210."), closing(first)]]
    page.goto("/")
    question = page.get_by_label("Your question")
    expect(question).to_be_focused()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    expect(page.get_by_text("It is 165 EUR.")).to_be_visible()
    expect(question).to_be_focused()
    server.release()
    expect(page.get_by_text("In Oslo 210.").first).to_be_visible()
    expect(page.get_by_role("button", name="Stop answering")).to_be_hidden()
    chip = page.get_by_role("button", name=re.compile("^Source 1:"))
    go_to(page, chip, "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Cited passage")).to_be_visible()
    page.keyboard.press("Escape")
    expect(chip).to_be_focused()
    go_to(page, page.get_by_role("button", name="Good answer"), "Tab")
    page.keyboard.press("Space")
    expect(page.get_by_text("Thank you.")).to_be_visible()
    expect(page.get_by_role("button", name="Good answer")).to_be_focused()
    assert [rating["rating"] for rating in replies.ratings] == ["up"]
    go_to(page, page.get_by_role("button", name="New chat"), "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_have_count(0)
    expect(question).to_be_focused()


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


WIDTHS = pytest.mark.parametrize("width", [1280, 390, 320])


@WIDTHS
def test_the_way_to_the_version_covers_no_text(page: Page, replies: Replies, width: int) -> None:
    """However long the passage, the button stays in reach, on a ground of its own that hides the text behind it."""
    page.set_viewport_size({"width": width, "height": 640})
    page.emulate_media(reduced_motion="reduce")
    passage = "\n\n".join(f"Paragraph {number}." for number in range(60))
    replies.chat = [answer("It is 165 EUR. [1]", citation(1, passage=passage))]
    page.goto("/")
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile("^Source 1:")).click()
    expect(page.get_by_role("link", name="Open this version")).to_be_in_viewport()
    covered = page.evaluate(
        """() => {
            const panel = document.querySelector('#panel').getBoundingClientRect();
            const button = document.querySelector('#panel .primary').getBoundingClientRect();
            const [middle, below] = [(button.top + button.bottom) / 2, (button.bottom + panel.bottom) / 2];
            const beside = [[panel.left + 3, middle], [panel.right - 3, middle]];
            return [...beside, [button.left + 9, below], [button.left, button.top - 3]]
                .map(([x, y]) => document.elementFromPoint(x, y))
                .map((node) => [node.closest('.passage') !== null, getComputedStyle(node).backgroundColor]);
        }"""
    )
    assert [on_text for on_text, _ in covered] == [False] * 4
    assert {ground for _, ground in covered} == {"rgb(255, 255, 255)"}


@WIDTHS
def test_the_state_is_readable(page: Page, replies: Replies, width: int) -> None:
    """At every width the header says in a whole word how the index is, and nothing in it is cut off."""
    page.set_viewport_size({"width": width, "height": 640})
    page.goto("/")
    expect(page.get_by_role("status").filter(has_text="ready")).to_be_visible()
    assert page.locator("#state-text").evaluate(
        "node => node.scrollWidth <= node.clientWidth || getComputedStyle(node).overflow === 'visible'"
    )
    assert page.locator("#state-word").evaluate("node => node.getBoundingClientRect().width") > 20
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_welcome_is_read_from_its_beginning(page: Page, replies: Replies) -> None:
    """On a small screen the welcome is longer than the window: it begins at its heading, also after a chat."""
    page.set_viewport_size({"width": 320, "height": 500})
    replies.suggestions = [QUESTION, "How many days of holiday do I have?", "Who is called when the heating fails?"]
    replies.chat = [answer("\n\n".join(["It is 165 EUR."] * 30))]
    page.goto("/")
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Latest")).to_be_hidden()
    page.get_by_role("button", name=QUESTION).click()
    expect(page.get_by_role("button", name="Good answer")).to_be_in_viewport()
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Latest")).to_be_hidden()


def test_the_form_below_a_bad_rating_is_in_view(page: Page, replies: Replies) -> None:
    """On a small screen the form is wholly in view when it opens, and nothing lies over its button."""
    page.set_viewport_size({"width": 320, "height": 568})
    script = answer("It is 165 EUR. [1]", citation(1))
    last: Any = script[-1]
    last["context"]["follow_ups"] = ["And in Oslo?", "Is breakfast included in the price of a room?", "And in Bergen?"]
    replies.chat = [script]
    page.goto("/")
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Bad answer").click()
    expect(page.get_by_label("What was wrong with it?")).to_be_focused()
    button = page.get_by_role("button", name="Send comment")
    expect(button).to_be_in_viewport(ratio=1)
    covered = button.evaluate(
        """node => {
            const { left, right, top, bottom } = node.getBoundingClientRect();
            const at = [[left + 9, top + 5], [right - 9, top + 5], [left + 9, bottom - 5], [right - 9, bottom - 5]];
            return at.map(([x, y]) => document.elementFromPoint(x, y)).filter((found) => !node.contains(found)).length;
        }"""
    )
    assert covered == 0


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
