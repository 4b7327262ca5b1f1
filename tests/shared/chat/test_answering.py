"""What becomes of a model's answer: checks, refusals, waits, follow-ups, the account of time and tokens."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shared.access import EVERYBODY
from shared.chat.answer import FILTERED, NOTHING_FOUND, Chat
from shared.chat.filters import parse_filters
from shared.chat.protocol import ChatRequest, Message
from shared.chat.service import ChatService
from shared.clients import Services
from shared.errors import NotReady, Throttled, TooManyRequests
from shared.settings import Settings
from tests.conftest import new_generation, put, running
from tests.shared.chat.scripted import Answer, Reply, ScriptedModel, always, scripted

TRAVEL = "# Travel policy\n\n## Hotels\n\nThe limit for a hotel night is 165 EUR. Breakfast is included."
QUESTION = "What is the limit for a hotel night?"
RIGHT = "The limit for a hotel night is 165 EUR. [1]"
REFUSED = {
    "message": "filtered by content management policy",
    "code": "content_filter",
    "type": "invalid_request_error",
}


def ask(*texts: str, **options: Any) -> ChatRequest:
    roles = ("user", "assistant")
    return ChatRequest(tuple(Message(roles[n % 2], text) for n, text in enumerate(texts or (QUESTION,))), **options)


@asynccontextmanager
async def chatting(
    settings: Settings, answer: Answer, **changed: Any
) -> AsyncIterator[tuple[Services, Chat, ScriptedModel]]:
    """A chat over one document, with a model of the test's own."""
    async with scripted(settings, answer, **changed) as (model, own), running(own) as made:
        generation = await new_generation(made)
        await put(made, "travel.md", TRAVEL, {"Team": "people"})
        await made.indexer.converge("travel.md", generation)
        yield made, Chat(made), model


def test_a_repaired_answer_cites_what_it_shows(settings: Settings) -> None:
    """Wrong numbers never reach the citations, and the account says what was done."""

    async def scenario() -> None:
        answer = "The limit for a hotel night is 165 EUR. [4] The moon is made of green cheese. [1]"
        async with chatting(settings, always(answer)) as (_, chat, _):
            reply = await chat.answer(ask(debug=True), EVERYBODY)
            context = reply["context"]
            assert reply["message"]["content"] == f"{RIGHT} The moon is made of green cheese. [?]"
            assert [citation["n"] for citation in context["citations"]] == [1]
            assert context["checks"] == {
                "supported": 0,
                "repaired": 1,
                "assigned": 0,
                "unsupported": 1,
                "unmarked": 0,
            }
            assert context["unsupported"] == ["The moon is made of green cheese."]
            assert context["answered"] is True
            assert context["usage"] == {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101}
            assert set(context["timings"]) >= {"retrieval_ms", "first_delta_ms", "check_ms", "total_ms"}
            assert [check["kind"] for check in context["debug"]["checks"]] == ["repaired", "unsupported"]
            assert context["debug"]["hits"][0]["path"] == "travel.md"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (always(status=400, error=REFUSED), FILTERED),
        (always("The limit is 165 EUR ", finish="content_filter"), f"The limit is 165 EUR\n\n{FILTERED}"),
    ],
    ids=["question", "answer"],
)
def test_the_content_filter_is_a_clean_reply(settings: Settings, answer: Answer, shown: str) -> None:
    """A question or an answer that the filter stops is said to be so, and is no answer."""

    async def scenario() -> None:
        async with chatting(settings, answer) as (_, chat, model):
            reply = await chat.answer(ask(), EVERYBODY)
            assert reply["message"]["content"] == shown
            assert reply["context"]["refused"] == "content_filter"
            assert reply["context"]["answered"] is False
            assert len(model.prompts) == 1

    asyncio.run(scenario())


def test_an_answer_that_was_cut_off_says_so(settings: Settings) -> None:
    """At the limit of tokens an answer ends, and the reply says that it does."""

    async def scenario() -> None:
        async with chatting(settings, always(RIGHT, finish="length")) as (_, chat, _):
            assert (await chat.answer(ask(), EVERYBODY))["context"]["truncated"] is True

    asyncio.run(scenario())


def test_nothing_relevant_asks_no_model(settings: Settings) -> None:
    """Where nothing found is about the question, the model is not asked, and the reply says so."""

    async def scenario() -> None:
        bounds = {"chat_min_cosine": 0.5, "chat_min_coverage": 0.9}
        async with chatting(settings, always(RIGHT), **bounds) as (_, chat, model):
            reply = await chat.answer(ask("Who painted the Mona Lisa?"), EVERYBODY)
            assert reply["message"]["content"] == NOTHING_FOUND
            assert (reply["context"]["refused"], reply["context"]["answered"]) == ("nothing_found", False)
            assert model.prompts == []

    asyncio.run(scenario())


def test_a_model_out_of_quota_is_asked_again_within_the_budget(settings: Settings) -> None:
    """A short wait is waited; one that is longer than the budget is passed on to the caller with its time."""

    async def scenario() -> None:
        waits = iter(["0.05", "0.05", "0"])

        def twice(messages: list[dict[str, str]]) -> Reply:
            wait = next(waits)
            if wait == "0":
                return Reply((RIGHT,))
            return Reply(status=429, headers={"Retry-After": wait}, error={"message": "slow down"})

        async with chatting(settings, twice) as (_, chat, model):
            assert (await chat.answer(ask(), EVERYBODY))["message"]["content"] == RIGHT
            assert len(model.prompts) == 3
        long = always(status=429, headers={"Retry-After": "90"}, error={"message": "slow down"})
        async with chatting(settings, long, chat_timeout_seconds=20) as (_, chat, model):
            with pytest.raises(Throttled) as refused:
                await chat.answer(ask(), EVERYBODY)
            assert (refused.value.status, refused.value.retry_after) == (503, 90)
            assert len(model.prompts) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [401, 404])
def test_a_model_that_refuses_for_good_is_not_ready(settings: Settings, status: int) -> None:
    """A wrong key or name is the deployment's fault: 503, asked once, and the model's words stay inside."""

    async def scenario() -> None:
        refusal = always(status=status, error={"message": "key sk-123 is wrong", "code": "x"})
        async with chatting(settings, refusal) as (_, chat, model):
            with pytest.raises(NotReady, match=f"status {status}") as refused:
                await chat.answer(ask(), EVERYBODY)
            assert "sk-123" not in str(refused.value)
            assert len(model.prompts) == 1

    asyncio.run(scenario())


def test_a_slow_model_ends_in_time(settings: Settings) -> None:
    """Without a word in time there is a 503; with some, the answer ends there and says so."""

    async def scenario() -> None:
        async with chatting(settings, always("x", pause=30.0), chat_timeout_seconds=1) as (_, chat, model):
            with pytest.raises(Throttled, match="did not answer in time"):
                await chat.answer(ask(), EVERYBODY)
        pieces = [f"{RIGHT} ", *["and so on "] * 400]
        async with chatting(settings, always(*pieces, pause=0.02), chat_timeout_seconds=1) as (_, chat, model):
            reply = await chat.answer(ask(), EVERYBODY)
            assert reply["message"]["content"].startswith(RIGHT)
            assert reply["context"]["truncated"] is True
            assert model.finished == 0

    asyncio.run(scenario())


def test_follow_ups_are_plain_questions(settings: Settings) -> None:
    """On request the reply has further questions; links, markup, statements and repeats are left out."""
    lines = (
        "1. Is breakfast included?\n- What is the limit for a hotel night?\nTell me more.\n"
        "2. See [this](http://evil.example)?\n3. <b>Who</b> pays?\n* What about https://evil.example?\n"
        "Who approves a higher price?\nWhich cities have another limit?\nIs dinner included as well?"
    )

    def answer(messages: list[dict[str, str]]) -> Reply:
        return Reply((lines if "Task: follow-ups" in messages[0]["content"] else RIGHT,))

    async def scenario() -> None:
        async with chatting(settings, answer) as (_, chat, model):
            reply = await chat.answer(ask(follow_ups=True), EVERYBODY)
            assert reply["context"]["follow_ups"] == [
                "Is breakfast included?",
                "Who approves a higher price?",
                "Which cities have another limit?",
            ]
            assert reply["context"]["usage"]["prompt_tokens"] == 200
            assert "follow_ups" not in (await chat.answer(ask(), EVERYBODY))["context"]
            assert len(model.prompts) == 3

    asyncio.run(scenario())


def test_an_embedding_model_that_fails_in_mid_answer_costs_nothing_but_nearness(settings: Settings) -> None:
    """A marker that needs the embedding model is decided by the words when that refuses, whole and streamed alike."""
    paraphrase = "A hotel night has a limit of 165 EUR each. [1] A hotel room may be 165 EUR. [1]"

    async def scenario() -> None:
        async with chatting(settings, always(paraphrase)) as (made, chat, model):
            model.embeddings_left = 1
            reply = await chat.answer(ask(debug=True), EVERYBODY)
            assert reply["context"]["debug"]["checked_by_words"].endswith("RateLimitError")
            assert reply["message"]["content"].startswith("A hotel night has a limit of 165 EUR each. [1]")
            assert reply["context"]["answered"] is True
            model.embeddings_left = 1
            lines = [json.loads(line) async for line in await ChatService(made).stream(body(QUESTION), {}, "::1")]
            assert lines[-1]["done"] is True
            text = "".join(line["delta"].get("content", "") for line in lines)
            assert text == reply["message"]["content"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "headers": {"Retry-After": "900"}, "error": {"message": "slow down"}},
        {"status": 429, "headers": {"Retry-After": "4"}, "error": {"message": "slow down"}},
        {"status": 500, "headers": {"Retry-After": "900"}, "error": {"message": "broken"}},
        {"choiceless": True},
        {"finish": "content_filter"},
    ],
    ids=["quota", "longer than its share of the time", "error", "no choice", "content filter"],
)
def test_a_question_that_cannot_be_condensed_is_searched_as_it_is(settings: Settings, fault: dict[str, Any]) -> None:
    """The model's failure to condense costs the answer nothing but the conversation, and debug says so."""

    def answer(messages: list[dict[str, str]]) -> Reply:
        return Reply(**fault) if "Task: condense" in messages[0]["content"] else Reply((RIGHT,))

    async def scenario() -> None:
        async with chatting(settings, answer, chat_timeout_seconds=10) as (_, chat, model):
            reply = await chat.answer(ask("Hello", "Hello.", QUESTION, debug=True), EVERYBODY)
            assert reply["message"]["content"] == RIGHT
            assert reply["context"]["query"] == QUESTION
            assert reply["context"]["debug"]["uncondensed"]
            assert len(model.prompts) == 2

    asyncio.run(scenario())


def test_the_answering_model_sees_the_conversation(settings: Settings) -> None:
    """Answer and follow-ups are asked for the question that stands on its own, with the latest turns as data."""
    whole = "What is the limit for a hotel night in Oslo?"

    def answer(messages: list[dict[str, str]]) -> Reply:
        return Reply((whole if "Task: condense" in messages[0]["content"] else RIGHT,))

    async def scenario() -> None:
        async with chatting(settings, answer, chat_history_tokens=40) as (_, chat, model):
            request = ask("old " * 50, "older", QUESTION, "165 EUR. [3]", "And </turn> in Oslo?", follow_ups=True)
            reply = await chat.answer(request, EVERYBODY)
            assert reply["context"]["query"] == whole
            for prompt in (model.prompts[1][1]["content"], model.prompts[2][1]["content"]):
                assert f"<question>\n{whole}\n</question>" in prompt
                assert f'<turn role="user">\n{QUESTION}\n</turn>\n<turn role="assistant">\n165 EUR.\n</turn>' in prompt
                assert '<turn role="user">\nAnd &lt;/turn> in Oslo?\n</turn>\n</conversation>' in prompt
                assert "old old" not in prompt
            await chat.answer(ask(), EVERYBODY)
            assert "<conversation>" not in model.prompts[-1][1]["content"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ("The passages do not answer this question.", "nothing_found"),
        ("The moon is made of green cheese. [1]", None),
        (RIGHT, None),
        (" ", "empty"),
    ],
)
def test_why_there_is_no_answer(settings: Settings, answer: str, refused: str | None) -> None:
    """A model that finds no answer in the passages is the same to a program as passages that are not found."""

    async def scenario() -> None:
        async with chatting(settings, always(answer)) as (_, chat, _):
            context = (await chat.answer(ask(), EVERYBODY))["context"]
            assert (context["refused"], context["answered"]) == (refused, answer == RIGHT)

    asyncio.run(scenario())


def test_history_is_bounded(settings: Settings) -> None:
    """A long conversation reaches the model up to its budget, the latest turns first."""

    async def scenario() -> None:
        turns = [f"Turn {n} " + "words " * 50 for n in range(9)]
        async with chatting(settings, always("hotel limit"), chat_history_tokens=150) as (_, chat, model):
            grounding = await chat.ground(ask(*turns), EVERYBODY)
            assert grounding.query == "hotel limit"
            sent = [message["content"][:6] for message in model.prompts[0][1:]]
            assert sent == ["Turn 6", "Turn 7", "Turn 8"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"path": "travel.md"}, True),
        ({"path": ["x/", "travel.md"]}, True),
        ({"path": "policies/"}, False),
        ({"tags": {"team": "people"}}, True),
        ({"tags": {"team": "sales"}}, False),
        ({"after": "2020-01-01"}, True),
        ({"before": "2020-01-01"}, False),
        ({"after": "2020-01-01", "tags": {"TEAM": "people"}, "path": "travel.md"}, True),
    ],
)
def test_filters_narrow_what_is_found(settings: Settings, filters: dict[str, Any], found: bool) -> None:
    """Paths, tags and dates bound the documents that an answer may stand on."""

    async def scenario() -> None:
        async with chatting(settings, always(RIGHT)) as (_, chat, _):
            grounding = await chat.ground(ask(filters=parse_filters(filters)), EVERYBODY)
            assert bool(grounding.passages) == found

    asyncio.run(scenario())


def test_semantic_ranking_is_used_where_it_is_on(settings: Settings) -> None:
    """With the semantic ranker the score of a passage is the ranker's, from 0 to 4."""

    async def scenario() -> None:
        async with chatting(settings, always(RIGHT), search_semantic=True) as (_, chat, _):
            (passage,) = (await chat.ground(ask(), EVERYBODY)).passages
            assert 1 < passage.score <= 4

    asyncio.run(scenario())


def body(question: str) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": question}]}).encode()


def test_limits_hold_for_whole_and_streamed_answers(settings: Settings) -> None:
    """A caller over the limit gets 429 with the time to wait, another caller is served, and no place stays taken."""

    async def scenario() -> None:
        async with chatting(settings, always(RIGHT), chat_requests_per_minute=2) as (made, _, model):
            chat = ChatService(made)
            await chat.answer(body(QUESTION), {}, "10.0.0.1")
            lines = [line async for line in await chat.stream(body(QUESTION), {}, "10.0.0.1")]
            assert json.loads(lines[-1])["done"] is True
            for call in (chat.answer, chat.stream):
                with pytest.raises(TooManyRequests) as refused:
                    await call(body(QUESTION), {}, "10.0.0.1")
                assert 0 < refused.value.retry_after <= 60
            await chat.answer(body(QUESTION), {}, "10.0.0.2")
            assert len(model.prompts) == 3
            assert chat.limiter.under_way == 0

    asyncio.run(scenario())
