"""Two tabs of one browser on the chat page: they share the earlier chats, and neither loses what the other made."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.scripts import answer, citation, delta, opening
from tests.web.server import HOLD, PageServer, Replies

FIRST, SECOND, THIRD = "How much is a hotel night?", "And in Oslo?", "How many days of holiday?"


@pytest.fixture
def tabs(page: Page, replies: Replies) -> tuple[Page, Page]:
    """Two tabs: the second was opened when the first had a chat, so both show it."""
    replies.chat = [answer("It is 165 EUR. [1]", citation(1))]
    page.goto("/")
    ask(page, FIRST)
    other = page.context.new_page()
    other.goto("/")
    expect(other.get_by_role("article").last).to_contain_text("165 EUR")
    return page, other


def ask(page: Page, question: str) -> None:
    """Ask, and wait for the whole answer."""
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.get_by_role("article").last.get_by_role("button", name="Good answer")).to_be_visible()


def kept(page: Page) -> list[list[str]]:
    """Return the questions of every chat that the drawer of `page` leads to, newest chat first; it stays closed."""
    chats: list[list[str]] = page.evaluate(
        """async () => {
            const { Store } = await import('/web/store.js');
            const asked = ({ turns }) => turns.filter((turn) => turn.role === 'user').map((turn) => turn.content);
            return new Store().all().map(asked);
        }"""
    )
    page.get_by_role("button", name="History").click()
    listed = page.get_by_role("dialog").locator(".chat strong").all_inner_texts()
    page.keyboard.press("Escape")
    assert listed == [chat[0] for chat in chats]
    return chats


def test_a_chat_of_another_tab_is_kept(tabs: tuple[Page, Page]) -> None:
    """A chat made in one tab is still there after the other one goes on with its own."""
    first, second = tabs
    second.get_by_role("button", name="New chat").click()
    ask(second, THIRD)
    ask(first, SECOND)
    for page in tabs:
        assert kept(page) == [[FIRST, SECOND], [THIRD]]


def test_a_chat_that_goes_on_in_two_tabs_becomes_two(tabs: tuple[Page, Page]) -> None:
    """Two tabs that go on with the same chat each keep all that they show."""
    first, second = tabs
    ask(second, SECOND)
    ask(first, THIRD)
    ask(second, "And in Bergen?")
    assert kept(first) == [[FIRST, SECOND, "And in Bergen?"], [FIRST, THIRD]]


def test_what_one_tab_forgets_does_not_come_back(tabs: tuple[Page, Page]) -> None:
    """A forgotten chat leaves every tab that shows or lists it, and a further question there begins a new one."""
    first, second = tabs
    second.get_by_role("button", name="History").click()
    first.get_by_role("button", name="History").click()
    first.get_by_role("button", name="Forget all chats").click()
    expect(second.get_by_text("There are none yet.")).to_be_visible()
    second.keyboard.press("Escape")
    expect(second.get_by_role("article")).to_have_count(0)
    ask(second, THIRD)
    assert kept(second) == [[THIRD]]


def test_a_forgotten_chat_stays_forgotten_when_nothing_told_the_other_tab(tabs: tuple[Page, Page]) -> None:
    """A tab that slept while its chat was forgotten finds out when it is asked something."""
    first, second = tabs
    # Of its own removals a page is not told: as if another tab's had been missed.
    second.evaluate("localStorage.clear()")
    expect(second.get_by_role("article")).to_have_count(2)
    ask(second, THIRD)
    expect(second.get_by_role("article")).to_have_count(2)
    assert kept(first) == [[THIRD]]


def test_an_answer_under_way_does_not_bring_its_chat_back(
    tabs: tuple[Page, Page], server: PageServer, replies: Replies
) -> None:
    """An answer whose chat another tab forgets meanwhile stops, and nothing of it is stored."""
    first, second = tabs
    replies.chat = [[opening(citation(1)), delta("It is "), HOLD]]
    second.get_by_label("Your question").fill(SECOND)
    second.keyboard.press("Enter")
    expect(second.get_by_role("article").last).to_contain_text("It is")
    first.get_by_role("button", name="History").click()
    first.get_by_role("button", name=re.compile(f"^Forget “{re.escape(FIRST)}”")).click()
    expect(second.get_by_role("article")).to_have_count(0)
    assert replies.left.wait(5)
    expect(second.get_by_role("button", name="Send")).to_be_visible()
    assert kept(second) == []


def test_a_rating_is_kept_in_both_chats(tabs: tuple[Page, Page]) -> None:
    """An answer that two chats share is rated in both, and rating it in one tab undoes nothing of the other."""
    first, second = tabs
    ask(second, SECOND)
    first.get_by_role("button", name="Good answer").click()
    expect(first.get_by_text("Thank you.")).to_be_visible()
    assert kept(first) == [[FIRST, SECOND]]
    second.reload()
    expect(second.get_by_role("button", name="Good answer").first).to_have_attribute("aria-pressed", "true")
    expect(second.get_by_role("button", name="Good answer").last).to_have_attribute("aria-pressed", "false")


def test_chats_last_as_long_as_the_page_where_nothing_can_be_stored(page: Page, replies: Replies) -> None:
    """Where the browser stores nothing, the history is there all the same until the page is closed."""
    page.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('no', 'SecurityError'); };")
    replies.chat = [answer("It is 165 EUR. [1]", citation(1))]
    page.goto("/")
    ask(page, FIRST)
    page.get_by_role("button", name="New chat").click()
    ask(page, THIRD)
    page.get_by_role("button", name="History").click()
    expect(page.get_by_role("dialog").locator(".chat strong")).to_have_text([THIRD, FIRST])
    page.get_by_role("dialog").get_by_role("button", name=FIRST).first.click()
    ask(page, SECOND)
    expect(page.get_by_role("article")).to_have_count(4)


def test_the_oldest_chats_make_room(page: Page) -> None:
    """Thirty chats are kept; where the browser has less room, as many of the newest as fit."""
    page.goto("/")
    counts = page.evaluate(
        """async () => {
            const { Store } = await import('/web/store.js');
            const counted = (size, most) => {
                localStorage.clear();
                const store = new Store();
                const turns = (name) => [{ role: 'user', content: name.padEnd(size) }];
                for (let n = 0; n < most; n += 1) store.save({ id: `c${n}`, updated: null }, turns(`${n}`));
                return [store.all().length, store.all().some(({ id }) => id === `c${most - 1}`), localStorage.length];
            };
            return [counted(10, 33), counted(1_500_000, 5)];
        }"""
    )
    assert counts == [[30, True, 30], [3, True, 3]]
