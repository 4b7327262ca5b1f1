"""Documents that attack: they stay data in the prompt, and nothing of theirs can be followed in a reply, not even when
the model does all that they say.
"""

import asyncio
import json
import re
from typing import Any

from shared.access import EVERYBODY
from shared.chat.answer import Chat
from shared.chat.prompt import ANSWER, CONDENSE, FOLLOW_UPS
from shared.chat.protocol import ChatRequest, Message
from shared.clients import Services
from shared.settings import Settings
from tests.conftest import new_generation, put, running
from tests.shared.chat.injections import ATTACKS, HOST, Attack
from tests.shared.chat.scripted import Reply, scripted
from tests.shared.chat.test_links import LIVE

TAG = re.compile(r"</?(?:passages?|question|answer)\b", re.IGNORECASE)
MARKER = re.compile(r"\[(\d+)\]")
GOOD = "# Ventilation of the hall\n\nThe fan of the hall runs at 55 percent. It is switched off on Sundays."


def ask(question: str, *before: str) -> ChatRequest:
    turns = [Message(("user", "assistant")[n % 2], text) for n, text in enumerate(before)]
    return ChatRequest((*turns, Message("user", question)), debug=True, follow_ups=True)


async def attacked(made: Services) -> None:
    """Fill the lake with every attack, and one document that is none."""
    generation = await new_generation(made)

    async def add(attack: Attack) -> None:
        await put(made, attack.path, attack.text, attack.metadata or None)
        outcome = await made.indexer.converge(attack.path, generation)
        assert outcome.result == "indexed", attack.path

    await asyncio.gather(*(add(attack) for attack in (Attack("rooms/hall.md", GOOD), *ATTACKS)))


def test_there_are_enough_attacks() -> None:
    """The set has at least 40 documents, with attacks in text, markup, metadata and names."""
    assert len(ATTACKS) >= 40
    assert len({attack.path for attack in ATTACKS}) == len(ATTACKS)
    assert sum(bool(attack.metadata) for attack in ATTACKS) >= 3
    assert sum(attack.path.endswith(".html") for attack in ATTACKS) >= 2


def obey(messages: list[dict[str, str]]) -> Reply:
    """Do what documents say, as the worst model would: repeat everything, and give it a marker."""
    content = messages[-1]["content"]
    return Reply((*re.findall(r".{1,7}", content, re.DOTALL), f" {content} [1] [99] https://{HOST}/x ![a](//{HOST})"))


def check_prompt(messages: list[dict[str, str]]) -> None:
    """The instructions are the app's own, once and first, and the tags are the app's own, in their order."""
    assert messages[0] == {"role": "system", "content": messages[0]["content"]}
    assert messages[0]["content"] in (ANSWER, CONDENSE, FOLLOW_UPS)
    assert not any(message["role"] == "system" for message in messages[1:])
    if messages[0]["content"] == CONDENSE:
        return
    tags = [tag.lower() for tag in TAG.findall(messages[1]["content"])]
    own = ["<passage", "</passage"] * ((len(tags) - 4) // 2)
    answer = ["<answer", "</answer"] if messages[0]["content"] == FOLLOW_UPS else []
    if answer:
        own = own[:-2]
    assert tags == ["<passages", *own, "</passages", "<question", "</question", *answer]
    assert not re.search("[\u200b\u202e\U000e0041-\U000e007f]", messages[1]["content"])


def check_reply(events: list[dict[str, Any]]) -> None:
    """Nothing can be followed, loaded or run; numbers are those of passages; citations lead to this app only."""
    text = "".join(event.get("delta", {}).get("content", "") for event in events)
    assert not LIVE.search(text), LIVE.search(text)
    context = events[-1]["context"]
    numbers = {citation["n"] for citation in context["citations"]}
    assert {int(number) for number in MARKER.findall(text)} <= numbers
    for citation in [*context["citations"], *events[0]["context"]["citations"]]:
        assert re.fullmatch(r"/api/documents/[0-9a-f]{32}/versions/[\w%.-]+", citation["url"])
    assert not any(LIVE.search(question) for question in context["follow_ups"])


def test_a_model_that_obeys_every_document_still_leads_nowhere(settings: Settings) -> None:
    """With a model that repeats whatever it reads: the prompt stays the app's, and the reply has nothing to follow."""

    async def scenario() -> None:
        async with (
            scripted(settings, obey, chat_passages=12, chat_context_tokens=4000) as (model, own),
            running(own) as made,
        ):
            await attacked(made)
            chat = Chat(made)
            seen: set[str] = set()
            for number in range(0, len(ATTACKS) + 12, 2):
                request = ask(
                    f"How fast does the fan of room {number} run?", *(("Hi", "Yes?") if number % 8 == 0 else ())
                )
                events = [event async for event in chat.events(request, EVERYBODY)]
                check_reply(events)
                seen |= {citation["path"] for citation in events[0]["context"]["citations"]}
            for messages in model.prompts:
                check_prompt(messages)
            assert len(seen) >= 40  # nearly all of them were before the model at some time
            assert any(HOST in json.dumps(messages) for messages in model.prompts)

    asyncio.run(scenario())


def test_a_quoting_model_answers_what_was_asked(settings: Settings) -> None:
    """Among the attacks the right answer is found and cited, and nothing in it can be followed."""

    async def scenario() -> None:
        async with running(settings) as made:
            await attacked(made)
            chat = Chat(made)
            for number in (0, 3, 12, 15, 33):
                events = [
                    event async for event in chat.events(ask(f"How fast does the fan of room {number} run?"), EVERYBODY)
                ]
                check_reply(events)
                text = "".join(event.get("delta", {}).get("content", "") for event in events)
                assert f"{number + 20} percent" in text
            reply = await chat.answer(ask("How fast does the fan of the hall run?"), EVERYBODY)
            assert "55 percent" in reply["message"]["content"]
            assert "rooms/hall.md" in {citation["path"] for citation in reply["context"]["citations"]}

    asyncio.run(scenario())
