"""Streams: their order, their end by an error, and what a reader who goes away leaves behind, which is nothing."""

import asyncio
import gc
import json
import random
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.chat.service import ChatService
from shared.clients import Services
from shared.documents import count_tokens
from shared.errors import NotReady, TooManyRequests
from shared.limits import Limiter, Limits
from shared.settings import Settings
from tests.conftest import new_generation, put, running
from tests.shared.chat.scripted import Answer, ScriptedModel, always, scripted

TRAVEL = "# Travel policy\n\n## Hotels\n\nThe limit for a hotel night is 165 EUR. Breakfast is included."
BODY = json.dumps({"messages": [{"role": "user", "content": "What is the limit for a hotel night?"}]}).encode()
SENTENCE = "The limit for a hotel night is 165 EUR. [1] "
READERS = 32
SETTLE_SECONDS = 10.0  # how long is waited for what must end by itself; it takes milliseconds


@asynccontextmanager
async def serving(
    settings: Settings, answer: Answer, **changed: Any
) -> AsyncIterator[tuple[Services, ChatService, ScriptedModel]]:
    """A chat service over one document, with a model of the test's own."""
    async with scripted(settings, answer, chat_requests_per_minute=0, **changed) as (model, own), running(own) as made:
        generation = await new_generation(made)
        await put(made, "travel.md", TRAVEL)
        await made.indexer.converge("travel.md", generation)
        yield made, ChatService(made), model


async def settled(holds: Any) -> bool:
    """Wait until something holds, as long as it may take; return whether it came true."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SETTLE_SECONDS
    while not holds() and loop.time() < end:
        gc.collect()
        await asyncio.sleep(0.01)
    return bool(holds())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_order_of_a_stream(settings: Settings) -> None:
    """Passages first, then nothing but deltas, then the end with the citations; together they are the whole answer."""

    async def scenario() -> None:
        async with serving(settings, always(*SENTENCE)) as (_, chat, _):
            events = [json.loads(line) async for line in await chat.stream(BODY, {}, "::1")]
            whole = await chat.answer(BODY, {}, "::1")
            assert set(events[0]) == {"delta", "context"}
            assert events[0]["delta"] == {"role": "assistant"}
            assert {*events[0]["context"]} == {"citations", "index", "query"}
            assert all(set(event) == {"delta"} and event["delta"]["content"] for event in events[1:-1])
            assert set(events[-1]) == {"delta", "context", "sessionState", "done"}
            text = "".join(event.get("delta", {}).get("content", "") for event in events)
            assert text == whole["message"]["content"] == SENTENCE.strip()
            assert events[-1]["context"]["citations"] == whole["context"]["citations"] != []
            assert len(events) > 5

    asyncio.run(scenario())


def test_a_failure_in_the_middle_is_the_last_event(settings: Settings) -> None:
    """A model that breaks off ends the stream with a problem, after all that was shown, and its place is free."""

    async def scenario() -> None:
        async with serving(settings, always(SENTENCE, broken=True)) as (_, chat, model):
            events = [json.loads(line) async for line in await chat.stream(BODY, {}, "::1")]
            problem = events[-1]["error"]
            assert (problem["status"], problem["title"]) == (503, "Not ready")
            assert problem["retry_after"] > 0
            assert (problem["code"], problem["message"]) == ("not_ready", problem["detail"])
            assert "165" in "".join(event["delta"]["content"] for event in events[1:-1])
            assert not any("done" in event for event in events)
            assert (model.writing, chat.limiter.under_way) == (0, 0)

    asyncio.run(scenario())


def test_an_unexpected_failure_keeps_its_words(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw ends the stream as 500, without its message."""

    async def scenario() -> None:
        async with serving(settings, always(SENTENCE)) as (_, chat, _):

            def fail(*_: Any) -> None:
                raise RuntimeError("secret inner state")

            monkeypatch.setattr("shared.chat.answer.LinkFilter", fail)
            events = [json.loads(line) async for line in await chat.stream(BODY, {}, "::1")]
            assert events[-1]["error"]["status"] == 500
            assert "secret" not in json.dumps(events)

    asyncio.run(scenario())


def test_a_reader_who_goes_away_stops_the_model(settings: Settings) -> None:
    """When a stream is closed in the middle, the model's connection is closed with it, at once."""

    async def scenario() -> None:
        async with serving(settings, always(*[SENTENCE] * 500, pause=0.01)) as (_, chat, model):
            lines = await chat.stream(BODY, {}, "::1")
            for _ in range(6):
                await anext(lines)
            assert (model.writing, chat.limiter.under_way) == (1, 1)
            await lines.aclose()
            assert chat.limiter.under_way == 0
            assert await settled(lambda: model.writing == 0)
            assert (model.stopped, model.finished) == (1, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("ends", ["whole", "in a stream", "its reader goes away", "it breaks off", "it tells nothing"])
def test_an_answer_costs_what_it_took(settings: Settings, ends: str) -> None:
    """Tokens are charged however an answer ends: as the model counts them, and by the text where it does not say. The
    next question waits for them.
    """
    answers = {
        "its reader goes away": always(*[SENTENCE] * 500, pause=0.01),
        "it breaks off": always(SENTENCE, broken=True),
        "it tells nothing": always(*SENTENCE, silent=True),
    }

    async def scenario() -> None:
        async with serving(settings, answers.get(ends, always(*SENTENCE))) as (_, chat, model):
            chat.limiter = Limiter(Limits(0, 60, 2), lambda: 0.0)  # no time passes: what is owed stays so
            if ends == "whole":
                await chat.answer(BODY, {}, "::1")
            else:
                lines = await chat.stream(BODY, {}, "::1")
                if ends == "its reader goes away":
                    for _ in range(6):
                        await anext(lines)
                    await lines.aclose()
                else:
                    assert [line async for line in lines]
            with pytest.raises(TooManyRequests, match="60 tokens a minute") as refused:
                await chat.answer(BODY, {}, "::1")
            spent = refused.value.retry_after + 60 - 1  # of a full minute, and the next one needs a token
            prompt = sum(count_tokens(message["content"]) for message in model.prompts[0])
            if ends == "its reader goes away":
                assert prompt + 1 < spent < prompt + 500 * count_tokens(SENTENCE)
            else:
                told = 100 + len(SENTENCE)  # what the scripted model says
                text = prompt + count_tokens(SENTENCE)
                assert spent == pytest.approx(told if ends in ("whole", "in a stream") else text)
            assert len(model.prompts) == 1

    asyncio.run(scenario())


def test_a_refusal_by_the_model_costs_nothing(settings: Settings) -> None:
    """A model that does not take a question on has not used anything."""

    async def scenario() -> None:
        refused = {"status": 400, "error": {"message": "no", "code": "bad"}}
        async with serving(settings, always(**refused), chat_tokens_per_minute=1) as (_, chat, model):
            for _ in range(3):
                with pytest.raises(NotReady):
                    await chat.answer(BODY, {}, "::1")
            assert len(model.prompts) == 3

    asyncio.run(scenario())


def test_many_readers_who_go_away_leave_nothing_behind(settings: Settings) -> None:
    """32 readers at once, each gone at a moment of its own, closed or cancelled: no task, connection, thread or place
    is left, and the next one is served.
    """
    chance = random.Random(11)

    async def read(chat: ChatService, most: int) -> int:
        taken = 0
        async for _ in await chat.stream(BODY, {}, "::1"):
            taken += 1
            if taken >= most:
                break
        return taken

    async def scenario() -> None:
        async with serving(settings, always(*[SENTENCE] * 30, pause=0.005)) as (_, chat, model):
            await read(chat, 10_000)  # everything that is made once is made now
            await asyncio.gather(*(read(chat, 10_000) for _ in range(READERS)))
            tasks, threads = len(asyncio.all_tasks()), threading.active_count()
            assert await settled(lambda: model.writing == 0)
            files = open_files()
            finished = model.finished
            for _ in range(3):
                readers = [asyncio.create_task(read(chat, chance.randint(1, 40))) for _ in range(READERS)]
                await asyncio.sleep(chance.random() * 0.1)
                for reader in chance.sample(readers, READERS // 3):
                    reader.cancel()
                await asyncio.gather(*readers, return_exceptions=True)
            assert await settled(lambda: model.writing == 0 and chat.limiter.under_way == 0)
            assert await settled(lambda: len(asyncio.all_tasks()) <= tasks)
            assert threading.active_count() <= threads
            # Of the connections some may be kept for the next call, but not more than there were.
            assert await settled(lambda: open_files() <= files)
            assert model.finished - finished < 3 * READERS
            assert await read(chat, 10_000) > 30

    asyncio.run(scenario())
