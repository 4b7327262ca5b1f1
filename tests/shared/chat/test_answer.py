"""Chat against the real search service and model: grounded, cited to the version, and only what everybody may see."""

import asyncio

import pytest

from shared import library
from shared.chat.answer import NOTHING_FOUND, Chat, to_line
from shared.chat.protocol import ChatRequest, Message
from shared.clients import Services
from shared.errors import NotFound, NotReady
from shared.settings import Settings
from tests.conftest import new_generation, put, running

EVERYBODY: frozenset[str] = frozenset()
TRAVEL = "# Travel policy\n\n## Hotels\n\nThe limit for a hotel night is {limit} EUR. Breakfast is included."


def ask(*texts: str) -> ChatRequest:
    """A conversation that alternates between the user and the assistant and ends with the user."""
    roles = ("user", "assistant")
    return ChatRequest(tuple(Message(roles[n % 2], text) for n, text in enumerate(texts)), False, None)


async def index(made: Services, generation: str, path: str, text: str, metadata: dict[str, str] | None = None) -> None:
    await put(made, path, text, metadata)
    await made.indexer.converge(path, generation)


def test_answer_cites_the_version_that_it_stands_on(settings: Settings) -> None:
    """The answer quotes the current version, and its citation opens exactly that version, also after an edit."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await index(made, generation, "policies/travel.md", TRAVEL.format(limit=140))
            first = await Chat(made).answer(ask("What is the limit for a hotel night?"), EVERYBODY)
            await index(made, generation, "policies/travel.md", TRAVEL.format(limit=165))
            second = await Chat(made).answer(ask("What is the limit for a hotel night?"), EVERYBODY)
            assert first["message"]["content"] == "The limit for a hotel night is 140 EUR. [1]"
            assert second["message"]["content"] == "The limit for a hotel night is 165 EUR. [1]"
            assert second["context"]["index"] == {"generation": generation, "region": "local"}
            for reply, limit in ((first, "140"), (second, "165")):
                (citation,) = reply["context"]["citations"]
                assert (citation["path"], citation["heading"]) == ("policies/travel.md", "Travel policy")
                opened = await library.open_version(made, citation["document_id"], citation["version_id"], EVERYBODY)
                assert limit.encode() in b"".join([part async for part in opened.content])
            listed = await library.list_versions(made, citation["document_id"], EVERYBODY)
            assert [version["is_current"] for version in listed["versions"]] == [True, False]

    asyncio.run(scenario())


def test_stream_is_passages_then_deltas_then_citations(settings: Settings) -> None:
    """The first line has the passages, the last one the citations that were used; every line is one JSON object."""

    async def scenario() -> None:
        async with running(settings) as made:
            await index(made, await new_generation(made), "travel.md", TRAVEL.format(limit=165))
            events = [event async for event in Chat(made).events(ask("What is the hotel limit?"), EVERYBODY)]
            assert [citation["path"] for citation in events[0]["context"]["citations"]] == ["travel.md"]
            assert all(set(event) == {"delta"} for event in events[1:-1])
            assert len(events) > 3
            assert events[-1]["done"] is True
            assert events[-1]["context"]["answered"] is True
            assert all(to_line(event).count(b"\n") == 1 for event in events)

    asyncio.run(scenario())


def test_nothing_relevant_is_said_and_not_called_an_answer(settings: Settings) -> None:
    """A question that the documents do not answer gets a sentence that says so, without a citation."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            empty = await Chat(made).answer(ask("What is the hotel limit?"), EVERYBODY)
            assert empty["message"]["content"] == NOTHING_FOUND
            await index(made, generation, "travel.md", TRAVEL.format(limit=165))
            other = await Chat(made).answer(ask("Who painted the Mona Lisa?"), EVERYBODY)
            assert other["context"]["citations"] == []
            assert other["context"]["answered"] is False

    asyncio.run(scenario())


def test_follow_up_is_searched_with_what_it_refers_to(settings: Settings) -> None:
    """A follow-up question is condensed with the conversation before it is searched."""

    async def scenario() -> None:
        async with running(settings) as made:
            await index(made, await new_generation(made), "travel.md", TRAVEL.format(limit=165))
            grounding = await Chat(made).ground(
                ask("What is the hotel limit?", "165 EUR. [1]", "Is breakfast part of it?"), EVERYBODY
            )
            assert "hotel" in grounding.query
            assert [passage.chunk.path for passage in grounding.passages] == ["travel.md"]

    asyncio.run(scenario())


def test_restricted_documents_reach_only_their_groups(settings: Settings) -> None:
    """A document with groups is found and opened by their members, and does not exist for anybody else."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await index(made, generation, "secret.md", TRAVEL.format(limit=999), {"allowed_groups": "hr"})
            key = made.indexer.document_id("secret.md")
            hidden = await Chat(made).ground(ask("What is the hotel limit?"), EVERYBODY)
            shown = await Chat(made).ground(ask("What is the hotel limit?"), frozenset({"hr", "x"}))
            assert hidden.passages == ()
            assert [passage.chunk.path for passage in shown.passages] == ["secret.md"]
            with pytest.raises(NotFound):
                await library.open_version(made, key, "current", EVERYBODY)
            assert (await library.open_version(made, key, "current", frozenset({"hr"}))).headers["X-Version-Id"]

    asyncio.run(scenario())


def test_without_a_generation_chat_is_not_ready(settings: Settings) -> None:
    """Before the first generation there is no answer, but an error that names the way out."""

    async def scenario() -> None:
        async with running(settings) as made:
            with pytest.raises(NotReady, match="POST /api/recovery/rebuild"):
                await Chat(made).answer(ask("anything"), EVERYBODY)

    asyncio.run(scenario())
