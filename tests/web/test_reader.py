"""Reading on around a cited passage, beside the answer, in a real Chromium."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.web.scripts import answer, citation
from tests.web.server import Replies

PARTS = [f"Part {place}." for place in range(30)]


def open_source(page: Page, replies: Replies, first: int, last: int) -> Locator:
    """Have an answer cite the parts from `first` to `last`, and open the source."""
    replies.parts = PARTS
    cited = citation(1, ordinals=[first, last], passage="\n\n".join(PARTS[first : last + 1]))
    replies.chat = [answer("It is 165 EUR. [1]", cited)]
    page.goto("/")
    page.get_by_label("Your question").fill("How much?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile("^Source 1:")).click()
    return page.get_by_role("group", name="Cited passage")


def shown(reader: Locator) -> list[str]:
    """Return the texts of all parts that are shown, in order."""
    return reader.locator("p:not([role])").all_inner_texts()


def test_the_whole_passage_is_shown(page: Page, replies: Replies) -> None:
    """The panel shows every part of the passage, not only its beginning."""
    reader = open_source(page, replies, 3, 5)
    expect(reader.locator(".passage")).to_have_text("Part 3.Part 4.Part 5.")


PASSAGE = """## Hotels

The limit for a hotel night is 165 EUR, breakfast included.

{filler}

| City | Limit |
|---|---|
| Oslo | 210 EUR |
| Gävle | 150 EUR |

- A receipt is needed.
- The manager approves more in writing.
"""


def test_what_the_answer_says_stands_out(page: Page, replies: Replies) -> None:
    """Where the passage says what the answer says is marked, to the eye and the ear, and brought into view."""
    filler = "\n\n".join(["Something else is written here, at length and to no purpose."] * 30)
    text = (
        "A night in Oslo costs at most 210 EUR. [1][2] Taxis are blue. [2]\n\nMore must be approved in writing by the "
        "manager. [1]"
    )
    replies.chat = [answer(text, citation(1, passage=PASSAGE.format(filler=filler)), citation(2, passage="Taxis run."))]
    page.goto("/")
    page.get_by_label("Your question").fill("How much?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile("^Source 1:")).first.click()
    expect(page.locator(".evidence")).to_have_text(
        ["Cited: Oslo210 EUR", "Cited: The manager approves more in writing."]
    )
    expect(page.locator(".evidence").first).to_be_in_viewport()
    expect(page.get_by_role("heading", name="Travel and expenses policy")).to_be_in_viewport()
    page.get_by_role("button", name=re.compile("^Source 2:")).first.click()
    expect(page.locator(".passage")).to_have_text("Taxis run.")
    expect(page.locator(".evidence")).to_have_count(0)


def test_what_stands_around_it_can_be_read(page: Page, replies: Replies) -> None:
    """What stands before and after is added in its order, until the document's ends, where the buttons leave."""
    reader = open_source(page, replies, 10, 11)
    before = reader.get_by_role("button", name="Show what stands before")
    after = reader.get_by_role("button", name="Show what follows")
    before.click()
    expect(reader.get_by_role("status")).to_have_text("8 more parts of 30 are shown.")
    assert shown(reader) == PARTS[2:12]
    before.click()
    expect(before).to_have_count(0)
    for _ in range(2):
        after.click()
        expect(reader.get_by_role("status")).to_contain_text("8 more parts")
    expect(reader.locator("p", has_text="Part 27.")).to_be_visible()
    after.click()
    expect(after).to_have_count(0)
    assert shown(reader) == PARTS
    expect(reader.locator(".passage")).to_have_text("Part 10.Part 11.")
    expect(reader.locator(".context").last).to_be_focused()


def test_the_passage_stays_in_place(page: Page, replies: Replies) -> None:
    """Text that is added above does not push the passage away from where it is read."""
    page.set_viewport_size({"width": 1280, "height": 400})
    reader = open_source(page, replies, 20, 20)
    passage = reader.locator(".passage")
    passage.scroll_into_view_if_needed()
    page.get_by_role("dialog").evaluate("node => Promise.all(node.getAnimations().map((one) => one.finished))")
    place = passage.bounding_box()
    reader.get_by_role("button", name="Show what stands before").dispatch_event("click")
    expect(reader.get_by_role("status")).to_contain_text("8 more parts")
    moved = passage.bounding_box()
    assert place is not None
    assert moved is not None
    assert abs(moved["y"] - place["y"]) < 1


def test_a_version_that_is_not_indexed_any_more(page: Page, replies: Replies) -> None:
    """Where the index has another version by now, the passage stays and the way to the cited version is named."""
    reader = open_source(page, replies, 3, 4)
    replies.parts = []
    reader.get_by_role("button", name="Show what follows").click()
    expect(reader.get_by_role("status")).to_contain_text("Open the version to read on.")
    expect(reader.locator(".passage")).to_have_text("Part 3.Part 4.")
    expect(page.get_by_role("link", name="Open this version")).to_be_visible()


def test_links_of_a_document_lead_nowhere(page: Page, replies: Replies) -> None:
    """A document's links are their words, in the passage and around it; what leads to the version stays a link."""
    text = (
        "Sign [out](/.auth/logout), see [the *other* one](../travel.md#hotels), [above](#top), [me](?a=1) and "
        "[them](https://elsewhere.example/x)."
    )
    replies.parts = [text, text, text]
    replies.chat = [
        answer("It is 165 EUR, see [the page](/web/icon.svg). [1]", citation(1, ordinals=[1, 1], passage=text))
    ]
    page.goto("/")
    page.get_by_label("Your question").fill("How much?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile("^Source 1:")).click()
    reader = page.get_by_role("group", name="Cited passage")
    reader.get_by_role("button", name="Show what stands before").click()
    reader.get_by_role("button", name="Show what follows").click()
    words = "Sign out, see the other one, above, me and them (https://elsewhere.example/x)."
    expect(reader.locator(".prose")).to_have_text([words] * 3)
    expect(reader.get_by_role("link")).to_have_count(0)
    expect(page.get_by_role("dialog").get_by_role("link")).to_have_count(1)
    expect(page.get_by_role("link", name="Open this version")).to_be_visible()
    expect(page.get_by_role("article").get_by_role("link", name="the page")).to_be_visible()


def test_the_same_in_other_documents_is_named(page: Page, replies: Replies) -> None:
    """Documents that say the same are listed with their links; a foreign address is no link."""
    others = [
        {"path": "copy.md", "page": None, "url": "/api/documents/c/versions/1"},
        {"path": "odd.md", "url": "//x/"},
    ]
    replies.chat = [answer("It is 165 EUR. [1]", citation(1, also_in=others))]
    page.goto("/")
    page.get_by_label("Your question").fill("How much?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile("^Source 1:")).click()
    panel = page.get_by_role("dialog")
    expect(panel.get_by_role("heading", name="Said in these documents too")).to_be_visible()
    expect(panel.get_by_role("link", name=re.compile("copy.md"))).to_have_attribute(
        "href", "/api/documents/c/versions/1"
    )
    expect(panel.get_by_role("link", name=re.compile("odd.md"))).to_have_count(0)
