"""Rating answers on the chat page, in a real Chromium."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.scripts import answer, citation, closing, delta, opening
from tests.web.server import HOLD, Refusal, Replies

QUESTION = "What is the limit for a hotel night?"
ANSWER = "The limit for a hotel night is 165 EUR. [1]"


@pytest.fixture
def answered(page: Page, replies: Replies) -> Page:
    """The page with one answer, made from two passages, that cites the first."""
    first, second = citation(1, passage="The whole passage."), citation(2, page=4, passage="Another.")
    replies.chat = [[opening(first, second, query="hotel limit"), delta(ANSWER), closing(first)]]
    page.goto("/")
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Source")).to_be_visible()
    return page


def thumb(page: Page, label: str) -> Locator:
    """Return the thumb of the last answer."""
    return page.get_by_role("article").last.get_by_role("button", name=label)


def test_a_thumb_sends_the_answer_with_its_passages(answered: Page, replies: Replies) -> None:
    """One click keeps the rating with question, query, answer, generation, model and every passage that was found."""
    thumb(answered, "Good answer").click()
    expect(thumb(answered, "Good answer")).to_have_attribute("aria-pressed", "true")
    expect(answered.get_by_text("Thank you.")).to_be_visible()
    (rating,) = replies.ratings
    assert re.fullmatch("[0-9a-f]{32}", rating.pop("id"))
    passages = rating.pop("passages")
    assert rating == {
        "rating": "up",
        "comment": "",
        "question": QUESTION,
        "query": "hotel limit",
        "answer": ANSWER,
        "generation": "lake-20261123091500",
        "model": "extractive-minilm",
    }
    assert [(passage["n"], passage["page"], passage["passage"]) for passage in passages] == [
        (1, None, "The whole passage."),
        (2, 4, ""),
    ]
    assert passages[0]["version_id"] == citation(1)["version_id"]


def test_a_bad_answer_can_be_explained(answered: Page, replies: Replies) -> None:
    """Thumbs down asks what was wrong; the comment belongs to the same answer, and a reload keeps the rating."""
    thumb(answered, "Bad answer").click()
    field = answered.get_by_label("What was wrong with it?")
    expect(field).to_be_focused()
    field.fill("It is 180 EUR by now.")
    answered.get_by_role("button", name="Send comment").click()
    expect(answered.get_by_text("Your comment was kept.")).to_be_visible()
    expect(thumb(answered, "Bad answer")).to_be_focused()
    assert [(rating["rating"], rating["comment"]) for rating in replies.ratings] == [
        ("down", ""),
        ("down", "It is 180 EUR by now."),
    ]
    assert replies.ratings[0]["id"] == replies.ratings[1]["id"]
    answered.reload()
    expect(thumb(answered, "Bad answer")).to_have_attribute("aria-pressed", "true")
    expect(thumb(answered, "Good answer")).to_have_attribute("aria-pressed", "false")


def test_a_rating_is_changed_and_taken_back(answered: Page, replies: Replies) -> None:
    """The other thumb replaces a rating, and the pressed one takes it back."""
    thumb(answered, "Good answer").click()
    expect(answered.get_by_text("Thank you.")).to_be_visible()
    thumb(answered, "Bad answer").click()
    expect(answered.get_by_label("What was wrong with it?")).to_be_visible()
    answered.keyboard.press("Escape")
    expect(answered.get_by_label("What was wrong with it?")).to_be_hidden()
    thumb(answered, "Bad answer").click()
    expect(answered.get_by_text("The rating was taken back.")).to_be_visible()
    expect(thumb(answered, "Bad answer")).to_have_attribute("aria-pressed", "false")
    assert [rating["rating"] for rating in replies.ratings] == ["up", "down", None]
    assert len({rating["id"] for rating in replies.ratings}) == 1


def test_a_rating_that_was_refused_is_not_shown_as_given(answered: Page, replies: Replies) -> None:
    """When the service does not keep a rating, the page says so and shows the answer as not rated."""
    replies.rating_refusal = Refusal(429, "Slower.", retry_after=5)
    thumb(answered, "Bad answer").click()
    expect(answered.get_by_text("The rating was not kept. Too many questions at once.")).to_be_visible()
    expect(thumb(answered, "Bad answer")).to_have_attribute("aria-pressed", "false")
    expect(answered.get_by_label("What was wrong with it?")).to_have_count(0)


def test_only_whole_answers_are_rated(page: Page, replies: Replies) -> None:
    """An answer that was stopped has no thumbs."""
    replies.chat = [[opening(citation(1)), delta("The limit is "), HOLD]]
    page.goto("/")
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop answering").click()
    expect(page.get_by_text("Stopped before the end.")).to_be_visible()
    expect(thumb(page, "Good answer")).to_have_count(0)


def test_every_answer_has_its_own_rating(answered: Page, replies: Replies) -> None:
    """Two answers of one chat are rated apart."""
    thumb(answered, "Good answer").click()
    expect(answered.get_by_text("Thank you.")).to_be_visible()
    replies.chat = [answer("It is 140 EUR. [1]", citation(1))]
    answered.get_by_label("Your question").fill("And in Oslo?")
    answered.keyboard.press("Enter")
    expect(answered.get_by_role("heading", name="Source")).to_have_count(2)
    expect(thumb(answered, "Good answer")).to_have_attribute("aria-pressed", "false")
    thumb(answered, "Bad answer").click()
    expect(answered.get_by_label("What was wrong with it?")).to_be_visible()
    assert [(rating["question"], rating["rating"]) for rating in replies.ratings] == [
        (QUESTION, "up"),
        ("And in Oslo?", "down"),
    ]
    assert replies.ratings[0]["id"] != replies.ratings[1]["id"]
