"""Work ends with the caller who waits for it."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from shared.chat.presence import while_there
from shared.chat.service import ChatService
from shared.errors import CallerGone
from shared.settings import Settings
from tests.shared.chat.scripted import Reply
from tests.shared.chat.test_streaming import BODY, SENTENCE, serving, settled


async def never() -> bool:
    return False


def test_what_is_waited_for_is_returned() -> None:
    """Results and failures of the work are the caller's while they wait."""

    async def works() -> int:
        await asyncio.sleep(0.02)
        return 7

    async def fails() -> int:
        raise ValueError("broken")

    assert asyncio.run(while_there(works(), never, 0.005)) == 7
    with pytest.raises(ValueError, match="broken"):
        asyncio.run(while_there(fails(), never))


def test_the_work_is_cancelled_with_its_own_caller() -> None:
    """Who is cancelled while they wait leaves nothing running."""

    async def scenario() -> None:
        ended = asyncio.Event()

        async def works() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        waiting = asyncio.create_task(while_there(works(), never, 0.005))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert ended.is_set()

    asyncio.run(scenario())


def whole(chat: ChatService, body: bytes) -> Coroutine[Any, Any, Any]:
    return chat.answer(body, {}, "::1")


def streamed(chat: ChatService, body: bytes) -> Coroutine[Any, Any, Any]:
    return chat.stream(body, {}, "::1")


@pytest.mark.parametrize("call", [whole, streamed])
def test_a_caller_who_leaves_early_stops_the_model(
    settings: Settings, call: Callable[[ChatService, bytes], Coroutine[Any, Any, Any]]
) -> None:
    """Whoever goes away before there is anything to send stops what is done for them, and gives their place free."""
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello."}]
    body = json.dumps({"messages": [*turns, *json.loads(BODY)["messages"]]}).encode()
    streams = call is streamed  # condensing is what goes on then; of a whole answer it is the answering

    def answer(messages: list[dict[str, str]]) -> Reply:
        condenses = "Task: condense" in messages[0]["content"]
        return Reply((SENTENCE,) * 500, pause=0.05 if condenses == streams else 0.0)

    async def scenario() -> None:
        async with serving(settings, answer, chat_timeout_seconds=600) as (_, chat, model):

            async def gone() -> bool:
                return model.writing > 0

            with pytest.raises(CallerGone):
                await while_there(call(chat, body), gone, 0.005)
            assert chat.limiter.under_way == 0
            assert await settled(lambda: model.writing == 0)
            assert model.finished == 0
            assert model.stopped == 1

    asyncio.run(scenario())
