"""The documents that attack, on the page in a real Chromium: what the app says of them when the model obeys them."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from playwright.sync_api import Page, expect

from shared.access import EVERYBODY
from shared.chat.answer import Chat
from shared.settings import Settings
from tests.conftest import running
from tests.shared.chat.injections import ATTACKS, HOST
from tests.shared.chat.scripted import scripted
from tests.shared.chat.test_injection import ask, attacked, obey
from tests.web.harmless import assert_harmless
from tests.web.server import PageServer, Replies

type Stream = list[dict[str, Any]]


async def obeyed(settings: Settings) -> dict[str, Stream]:
    """Return questions with the app's own stream for each, in which a model that obeys repeats and cites every attack.

    The question is the attack itself: it is in the reader's words too, and its document is surely found.
    """
    async with (
        scripted(settings, obey, chat_passages=12, chat_context_tokens=4000) as (_, own),
        running(own) as made,
    ):
        await attacked(made)
        streams: dict[str, Stream] = {}
        seen: set[str] = set()
        for attack in ATTACKS:
            if attack.path not in seen:
                events = [event async for event in Chat(made).events(ask(attack.text), EVERYBODY)]
                streams[attack.text] = events
                seen |= {citation["path"] for citation in cited(events)}
    return streams


def cited(events: Stream) -> list[dict[str, Any]]:
    """Return the citations of the whole answer."""
    citations: list[dict[str, Any]] = events[-1]["context"]["citations"]
    return citations


def test_no_attack_reaches_the_reader(settings: Settings, page: Page, server: PageServer, replies: Replies) -> None:
    """Every attack is asked for, repeated and cited by an obeying model, and opened as a source: nothing of it loads,
    runs or leads anywhere, and no request leaves for another place; after a reload neither.
    """
    with ThreadPoolExecutor(1) as pool:  # this thread's event loop is playwright's
        streams = pool.submit(asyncio.run, obeyed(settings)).result()
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    replies.chat = list(streams.values())
    page.goto("/")
    opened: set[str] = set()
    for question, events in streams.items():
        page.get_by_label("Your question").fill(question)
        page.keyboard.press("Enter")
        answer = page.get_by_role("article").last
        expect(answer.get_by_role("button", name="Good answer")).to_be_visible()
        sources = answer.locator(".source")
        for place, citation in enumerate(cited(events)):
            if citation["path"] not in opened:
                sources.nth(place).click()
                expect(page.get_by_role("dialog").locator(".path").first).to_have_text(citation["path"])
                opened.add(citation["path"])
                assert_harmless(page, citation["path"])
        assert page.locator("#turns a").count() == 0
    assert opened >= {attack.path for attack in ATTACKS}
    assert any(HOST in passage["passage"] for events in streams.values() for passage in cited(events))
    page.reload()
    expect(page.get_by_role("article")).to_have_count(2 * len(streams))
    assert_harmless(page, "reloaded")
    assert [url for url in requested if not url.startswith(f"{server.origin}/")] == []
    assert page.context.pages == [page]
