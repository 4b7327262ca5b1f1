"""The chat page in a real Chromium: asking, streaming, sources, stopping, failures, history."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.web.scripts import answer, citation, closing, delta, opening
from tests.web.server import CUT, HOLD, PageServer, Refusal, Replies

QUESTION = "What is the limit for a hotel night?"
ANSWER = "The limit for a hotel night is 165 EUR. [1]"


def ask(page: Page, question: str = QUESTION) -> None:
    """Type `question` and send it with Enter."""
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def test_streams_an_answer(page: Page, server: PageServer, replies: Replies) -> None:
    """Text is shown as it arrives; at the end only the sources that were used are listed."""
    used, unused = citation(1), citation(2, title="Price list", document_id="other")
    replies.chat = [[opening(used, unused), delta("The limit is "), HOLD, delta("165 EUR. [1]"), closing(used)]]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("article").last).to_contain_text("The limit is")
    expect(page.get_by_role("button", name="Stop answering")).to_be_visible()
    expect(page.get_by_role("article").last).to_have_attribute("aria-busy", "true")
    server.release()
    expect(page.get_by_role("article").last).to_contain_text("The limit is 165 EUR.")
    expect(page.get_by_role("group", name="Source").get_by_role("button")).to_have_count(1)
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("1 source.")
    assert replies.bodies == [
        {"messages": [{"role": "user", "content": QUESTION}], "context": {"follow_ups": False}, "sessionState": None}
    ]


def test_sends_the_conversation(page: Page, replies: Replies) -> None:
    """A second question goes with the first one and its answer."""
    replies.chat = [answer(ANSWER, citation(1))]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("heading", name="Source")).to_be_visible()
    ask(page, "And in Oslo?")
    expect(page.get_by_role("heading", name="Source")).to_have_count(2)
    assert [(message["role"], message["content"]) for message in replies.bodies[1]["messages"]] == [
        ("user", QUESTION),
        ("assistant", ANSWER),
        ("user", "And in Oslo?"),
    ]


def test_chip_opens_the_cited_version(page: Page, replies: Replies) -> None:
    """A chip shows passage, path and version, links to that version at its page, and takes the focus back."""
    manual = citation(
        1,
        path="products/manual.pdf",
        page=3,
        version_id="v-7",
        url="/api/documents/m/versions/v-7",
        snippet="| Property | Value |\n|---|---|\n| Accuracy | ±0.3 °C |",
    )
    replies.chat = [answer(ANSWER, manual)]
    page.goto("/")
    ask(page)
    chip = page.get_by_role("button", name=re.compile("^Source 1:"))
    chip.click()
    panel = page.get_by_role("dialog")
    expect(panel.get_by_role("heading", name="Travel and expenses policy")).to_be_focused()
    expect(panel.get_by_role("cell", name="±0.3 °C")).to_be_visible()
    expect(panel).to_contain_text("products/manual.pdf")
    expect(panel).to_contain_text("v-7")
    expect(panel).to_contain_text("1 Sept 2026, 09:12")
    link = panel.get_by_role("link", name=re.compile("Open this version"))
    expect(link).to_have_attribute("href", "/api/documents/m/versions/v-7#page=3")
    with page.context.expect_page() as opened:
        link.click()
    expect(opened.value.locator("body")).to_have_text("version v-7")
    panel.get_by_role("button", name="Close source").click()
    expect(panel).to_be_hidden()
    expect(chip).to_be_focused()


def version(version_id: str, last_modified: str, *, is_current: bool = False) -> dict[str, Any]:
    """Return one entry of a document's list of versions."""
    url = f"/api/documents/m/versions/{version_id}"
    return {"version_id": version_id, "is_current": is_current, "last_modified": last_modified, "url": url}


def test_says_that_a_newer_version_exists(page: Page, replies: Replies) -> None:
    """A citation of an older version says so, and lists all versions, each with its link."""
    replies.versions = [
        version("v-2", "2026-09-01T07:12:00Z", is_current=True),
        version("v-1", "2025-02-01T08:00:00Z"),
    ]
    replies.chat = [answer(ANSWER, citation(1, version_id="v-1", last_modified="2025-02-01T08:00:00Z"))]
    page.goto("/")
    ask(page)
    page.get_by_role("button", name=re.compile("^Source 1:")).click()
    panel = page.get_by_role("dialog")
    expect(panel.get_by_role("status")).to_contain_text("There is a newer version, of 1 Sept 2026, 09:12.")
    expect(panel.get_by_role("listitem")).to_have_text([re.compile("2026.*current"), re.compile("2025.*cited here")])
    link = panel.get_by_role("link", name=re.compile("1 Sept 2026"))
    expect(link).to_have_attribute("href", "/api/documents/m/versions/v-2")


def test_says_that_a_newer_version_could_not_be_read(page: Page, replies: Replies) -> None:
    """An answer from the version before an unreadable one says so, at the source and in the panel."""
    replies.versions = [
        version("v-2", "2026-09-01T07:12:00Z", is_current=True),
        version("v-1", "2025-02-01T08:00:00Z"),
    ]
    cited = citation(1, version_id="v-1", last_modified="2025-02-01T08:00:00Z", newer_unreadable="image_only")
    replies.chat = [answer(ANSWER, cited)]
    page.goto("/")
    ask(page)
    source = page.get_by_role("button", name=re.compile("^Source 1:")).or_(page.locator(".source"))
    expect(source.last).to_contain_text("a newer one could not be read")
    page.get_by_role("button", name=re.compile("^Source 1:")).click()
    notice = page.get_by_role("dialog").get_by_role("status")
    expect(notice).to_contain_text("of 1 Sept 2026, 09:12, which could not be read (image only).")


def test_current_version_has_no_notice(page: Page, replies: Replies) -> None:
    """A citation of the current version says nothing of a newer one."""
    replies.versions = [
        version("v-2", "2026-09-01T07:12:00Z", is_current=True),
        version("v-1", "2025-02-01T08:00:00Z"),
    ]
    replies.chat = [answer(ANSWER, citation(1, version_id="v-2"))]
    page.goto("/")
    ask(page)
    page.get_by_role("button", name=re.compile("^Source 1:")).click()
    expect(page.get_by_role("heading", name="2 versions")).to_be_visible()
    expect(page.get_by_text("newer version")).to_have_count(0)


def test_stop_ends_the_request(page: Page, replies: Replies) -> None:
    """Stop keeps what has arrived, closes the connection, and lets the reader ask again."""
    replies.chat = [[opening(citation(1)), delta("The limit is "), HOLD], answer(ANSWER, citation(1))]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("article").last).to_contain_text("The limit is")
    page.get_by_role("button", name="Stop answering").click()
    expect(page.get_by_text("Stopped before the end.")).to_be_visible()
    expect(page.get_by_label("Your question")).to_be_focused()
    assert replies.left.wait(5)
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("article").last).to_contain_text("165 EUR")
    expect(page.get_by_role("article")).to_have_count(2)
    assert replies.bodies[1]["messages"] == [{"role": "user", "content": QUESTION}]


def test_refusal_is_one_sentence_and_retries(page: Page, replies: Replies) -> None:
    """A 503 with Retry-After names the wait, and asks the same question again after it."""
    replies.chat = [Refusal(503, "The index is being rebuilt.", retry_after=1), answer(ANSWER, citation(1))]
    page.goto("/")
    ask(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The service cannot answer right now.")
    expect(alert).to_contain_text("The index is being rebuilt.")
    expect(alert.get_by_role("button", name="Try again in")).to_be_disabled()
    alert.get_by_role("button", name="Try again", exact=True).click()
    expect(page.get_by_role("article").last).to_contain_text("165 EUR")
    expect(alert).to_have_count(0)
    assert [body["messages"] for body in replies.bodies] == [[{"role": "user", "content": QUESTION}]] * 2


def test_error_in_mid_stream_keeps_the_text(page: Page, replies: Replies) -> None:
    """A last line with an error leaves what had arrived, with its sources, and says what happened."""
    error = {"error": {"title": "Too busy", "status": 503, "detail": "The model stopped answering."}}
    replies.chat = [[opening(citation(1), citation(2)), delta(ANSWER), error]]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("The model stopped answering.")
    expect(page.get_by_role("article").last).to_contain_text("165 EUR")
    expect(page.get_by_role("group", name="Source").get_by_role("button")).to_have_count(1)


def test_cut_connection_is_reported(page: Page, replies: Replies) -> None:
    """A connection that breaks is no answer: the page says so."""
    replies.chat = [[opening(citation(1)), delta("The limit "), CUT]]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached.")


def test_stream_without_an_end_is_reported(page: Page, replies: Replies) -> None:
    """A stream that ends without its last line is an answer that broke off."""
    replies.chat = [[opening(citation(1)), delta("The limit ")]]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("The answer broke off.")


def test_failed_question_is_not_sent_again(page: Page, replies: Replies) -> None:
    """A question without an answer is no part of the conversation that the next one carries."""
    replies.chat = [Refusal(500, "Internal error."), answer(ANSWER, citation(1))]
    page.goto("/")
    ask(page, "Lost question")
    expect(page.get_by_role("alert")).to_be_visible()
    ask(page)
    expect(page.get_by_role("heading", name="Source")).to_be_visible()
    assert replies.bodies[1]["messages"] == [{"role": "user", "content": QUESTION}]


def test_suggestions_ask(page: Page, replies: Replies) -> None:
    """A suggested question is asked by one click, and the suggestions give way to the answer."""
    replies.suggestions = [QUESTION, "How many days of holiday do I have?"]
    replies.chat = [answer(ANSWER, citation(1))]
    page.goto("/")
    page.get_by_role("button", name=QUESTION).click()
    expect(page.get_by_role("heading", name="Source")).to_be_visible()
    expect(page.locator("#welcome")).to_be_hidden()
    assert replies.bodies[0]["messages"][-1]["content"] == QUESTION


def test_reload_keeps_the_chat(page: Page, replies: Replies) -> None:
    """After a reload the chat is there with its chips; New chat begins an empty one, and the history leads back."""
    replies.chat = [answer(ANSWER, citation(1))]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("heading", name="Source")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name=re.compile("^Source 1:"))).to_be_visible()
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("article")).to_have_count(0)
    page.get_by_role("button", name="History").click()
    page.get_by_role("dialog").get_by_role("button", name=QUESTION).first.click()
    expect(page.get_by_role("article").last).to_contain_text("165 EUR")
    page.get_by_role("button", name="History").click()
    page.get_by_role("button", name="Forget all chats").click()
    expect(page.get_by_text("There are none yet.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("article")).to_have_count(0)
    assert len(replies.bodies) == 1


def test_leaving_a_chat_keeps_its_part(page: Page, replies: Replies) -> None:
    """A new chat begun in mid-answer stops that answer, and the history keeps what had arrived."""
    replies.chat = [[opening(citation(1)), delta("The limit is "), HOLD]]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("article").last).to_contain_text("The limit is")
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert replies.left.wait(5)
    page.get_by_role("button", name="History").click()
    page.get_by_role("dialog").get_by_role("button", name=QUESTION).first.click()
    expect(page.get_by_role("article").last).to_contain_text("The limit is")
    expect(page.get_by_text("Stopped before the end.")).to_be_visible()


def test_copies_the_answer_with_its_sources(page: Page, replies: Replies) -> None:
    """Copy puts the answer and, for each source, path and version on the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    replies.chat = [answer(ANSWER, citation(1, version_id="v-3"))]
    page.goto("/")
    ask(page)
    page.get_by_role("button", name="Copy answer").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text == (
        f"{ANSWER}\n\n[1] Travel and expenses policy, Hotels "
        "(policies/travel-and-expenses.md, version v-3 of 1 Sept 2026, 09:12)"
    )


def test_footer_tells_region_generation_freshness_and_model(page: Page, replies: Replies) -> None:
    """The footer names where the answers come from, and labels the stand-in model as one."""
    page.goto("/")
    footer = page.get_by_role("contentinfo")
    for text in ("north", "lake-20261123091500", "14 documents, 132 passages"):
        expect(footer).to_contain_text(text)
    expect(footer).to_contain_text(re.compile(r"Last change\s*indexed in 2 s, \d+ \w+ ago"))
    expect(footer).to_contain_text("extractive-minilm (local stand-in, quotes sentences)")
    expect(page.locator("#state")).to_have_text("north: ready")


def test_index_that_is_not_ready_holds_questions_back(page: Page, replies: Replies) -> None:
    """While the index is being built the page says so and sends nothing; once it is ready, it does."""
    replies.status = {"region": "north", "ready": False, "documents": 5}
    replies.suggestions = [QUESTION]
    replies.chat = [answer(ANSWER, citation(1))]
    page.goto("/")
    expect(page.get_by_text("The index is being built.")).to_contain_text("5 documents so far.")
    expect(page.get_by_role("button", name=QUESTION)).to_be_disabled()
    ask(page)
    assert replies.bodies == []
    replies.status = {"region": "north", "ready": True, "documents": 14}
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    expect(page.get_by_text("The index is being built.")).to_be_hidden()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("article").last).to_contain_text("165 EUR")
    assert len(replies.bodies) == 1


def test_works_without_a_status(page: Page, replies: Replies) -> None:
    """Without status and suggestions the page says that it is offline, and questions can be sent all the same."""
    replies.status = None
    replies.chat = [answer(ANSWER, citation(1))]
    page.goto("/")
    expect(page.locator("#state")).to_have_text("offline")
    expect(page.get_by_role("list", name="Questions to try")).to_be_hidden()
    ask(page)
    expect(page.get_by_role("article").last).to_contain_text("165 EUR")


def test_further_questions_are_asked_for_and_ask(page: Page, replies: Replies) -> None:
    """With the box ticked the service suggests further questions; one click asks one, and a reload keeps the choice."""
    last = closing(citation(1))
    last["context"]["follow_ups"] = ["And in Oslo?", "Is breakfast included?"]
    replies.chat = [[opening(citation(1)), delta(ANSWER), last], answer("210 EUR. [1]", citation(1))]
    page.goto("/")
    page.get_by_label("Suggest further questions").check()
    ask(page)
    further = page.get_by_role("group", name="Further questions")
    expect(further.get_by_role("button")).to_have_text(["And in Oslo?", "Is breakfast included?"])
    further.get_by_role("button", name="And in Oslo?").click()
    expect(page.get_by_role("article").last).to_contain_text("210 EUR")
    expect(further).to_be_hidden()
    assert [body["context"]["follow_ups"] for body in replies.bodies] == [True, True]
    assert replies.bodies[1]["messages"][-1]["content"] == "And in Oslo?"
    page.reload()
    expect(page.get_by_label("Suggest further questions")).to_be_checked()


def test_doubt_is_shown(page: Page, replies: Replies) -> None:
    """A sentence that no passage supports is marked, to the eye and to the ear, and so is an answer that was cut."""
    last = closing(citation(1))
    last["context"] |= {"unsupported": ["Breakfast costs 9 EUR."], "truncated": True}
    replies.chat = [[opening(citation(1)), delta(f"{ANSWER} Breakfast costs 9 EUR. [?]"), last]]
    page.goto("/")
    ask(page)
    article = page.get_by_role("article").last
    expect(article.locator(".doubt")).to_have_text("? (no source says this)")
    expect(article).to_contain_text("No passage that was found says what stands before a question mark in brackets.")
    expect(article).to_contain_text("The answer ended at its limit of length or time.")
    expect(article.get_by_role("button", name=re.compile("^Source 1:"))).to_have_count(1)
    expect(page.locator("#announcer")).to_contain_text("Breakfast costs 9 EUR. ? (no source says this)")


def test_a_passage_over_several_pages_names_them(page: Page, replies: Replies) -> None:
    """A passage that was joined from several pages says so where it is listed."""
    replies.chat = [answer(ANSWER, citation(1, page=3, pages=[2, 3]))]
    page.goto("/")
    ask(page)
    expect(page.get_by_role("group", name="Source")).to_contain_text("Hotels, pages 2 to 3")
