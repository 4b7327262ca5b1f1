"""axe-core on the pages in a real Chromium: nothing that keeps people with assistive technology out."""

import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.web.scripts import answer, citation
from tests.web.server import HOLD, Refusal, Replies

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")  # axe-core as Deque publishes it
WIDTHS = {"desk": 1280, "phone": 390}
TEXT = (
    "## Hotels\n\nThe limit is **165 EUR**. [1]\n\n1. one [2]\n2. two\n\n| k | v |\n|---|---|\n| a | `2` |\n\n"
    "> quoted\n\n```\ncode\n```\n\n[local](/web/icon.svg) ![picture](https://elsewhere.example/x.png)"
)


def faults(page: Page) -> list[str]:
    """Return what axe-core finds, whatever its weight, each with the elements that are meant."""
    # Colours in mid-animation are not the page's colours.
    page.evaluate(
        "Promise.all(document.getAnimations().filter((it) => it.effect.getTiming().iterations < 9)"
        ".map((it) => it.finished))"
    )
    page.evaluate(AXE)
    found: list[dict[str, Any]] = page.evaluate("axe.run().then((results) => results.violations)")
    return [
        f"{fault['impact']} {fault['id']}: {fault['help']}: {[node['html'] for node in fault['nodes']]}"
        for fault in found
    ]


def ask(page: Page) -> None:
    """Ask a question."""
    page.get_by_label("Your question").fill("What is the limit?")
    page.keyboard.press("Enter")


def empty(page: Page, replies: Replies) -> None:
    """The page as it opens."""
    replies.suggestions = ["What is the limit?", "How many days?"]
    page.goto("/")
    expect(page.get_by_role("button", name="How many days?")).to_be_visible()


def answered(page: Page, replies: Replies) -> None:
    """An answer with all that Markdown can be, its sources, and the form below a bad rating."""
    script = answer(f"{TEXT}\n\nNot so. [?]", citation(1), citation(2, title="Prices"))
    last: Any = script[-1]
    last["context"] |= {"unsupported": ["Not so."], "truncated": True, "follow_ups": ["And in Oslo?"]}
    replies.chat = [script]
    page.goto("/")
    ask(page)
    page.get_by_role("button", name="Bad answer").click()
    expect(page.get_by_label("What was wrong with it?")).to_be_visible()


def source(page: Page, replies: Replies) -> None:
    """The panel of a source of which a newer version exists."""
    url = "/api/documents/m/versions/"
    replies.versions = [
        {"version_id": "2", "is_current": True, "last_modified": "2026-09-01T07:12:00Z", "url": f"{url}2"},
        {"version_id": "1", "is_current": False, "last_modified": "2025-09-01T07:12:00Z", "url": f"{url}1"},
    ]
    replies.parts = ["Before.", "Cited.", "After."]
    replies.chat = [answer(TEXT, citation(1, version_id="1", ordinals=[1, 1], also_in=[{"path": "b.md"}]), citation(2))]
    page.goto("/")
    ask(page)
    page.get_by_role("button", name=re.compile("^Source 1:")).click()
    expect(page.get_by_role("heading", name="2 versions")).to_be_visible()
    page.get_by_role("button", name="Show what stands before").click()
    expect(page.get_by_text("Before.")).to_be_visible()


def growing(page: Page, replies: Replies) -> None:
    """An answer that is still coming."""
    replies.chat = [[*answer("The limit is", citation(1))[:2], HOLD]]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("button", name="Stop answering")).to_be_visible()
    expect(page.get_by_text("The limit is", exact=True)).to_be_visible()


def refused(page: Page, replies: Replies) -> None:
    """A refusal with the time to wait."""
    replies.chat = [Refusal(503, "The index is being rebuilt.", retry_after=60)]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("alert")).to_be_visible()


def history(page: Page, replies: Replies) -> None:
    """The drawer of earlier chats."""
    replies.chat = [answer("It is 165 EUR. [1]", citation(1))]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("heading", name="Source")).to_be_visible()
    page.locator("#open-history").click()
    expect(page.get_by_role("heading", name="Earlier chats")).to_be_visible()


def rated(page: Page, replies: Replies) -> None:
    """An answer that was rated."""
    replies.chat = [answer("It is 165 EUR. [1]", citation(1))]
    page.goto("/")
    ask(page)
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_text("Thank you.")).to_be_visible()


def stopped(page: Page, replies: Replies) -> None:
    """An answer that was stopped before its end."""
    growing(page, replies)
    page.get_by_role("button", name="Stop answering").click()
    expect(page.get_by_text("Stopped before the end.")).to_be_visible()


def building(page: Page, replies: Replies) -> None:
    """An index that is not ready."""
    replies.status = {"region": "north", "ready": False, "documents": 5}
    page.goto("/")
    expect(page.get_by_text("The index is being built.")).to_be_visible()


STATES: list[Callable[[Page, Replies], None]] = [
    empty,
    answered,
    source,
    rated,
    growing,
    stopped,
    refused,
    history,
    building,
]


# The themes differ in colours alone and the widths in the layout, so two of the four together see everything.
@pytest.mark.parametrize(("width", "theme"), [("desk", "light"), ("phone", "dark")])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_nothing_is_found(
    page: Page, replies: Replies, state: Callable[[Page, Replies], None], width: str, theme: str
) -> None:
    """In every state of the page, on a desk and on a phone, in light and dark, axe-core finds nothing."""
    page.set_viewport_size({"width": WIDTHS[width], "height": 844})
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    state(page, replies)
    assert faults(page) == []


def test_a_fault_would_be_found(page: Page, replies: Replies) -> None:
    """axe-core runs on this page under its own policy: a button without a name is found."""
    empty(page, replies)
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert any(fault.startswith("critical button-name") for fault in faults(page))
