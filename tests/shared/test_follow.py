"""Where a change goes: to the generation that answers, and to one that is about to."""

import asyncio

import pytest
from azure.core.exceptions import ResourceNotFoundError

from shared.clients import Services
from shared.follow import converge_everywhere, follow, join, leave
from shared.settings import Settings
from tests.conftest import new_generation, put, running

PATH = "notes/a.md"
TEXT = "# A note\n\nThe code word is walnut."


async def two_generations(made: Services) -> tuple[str, str]:
    """Make one generation that answers and one that does not."""
    live = await new_generation(made)
    other = "documents-20990101000000"
    await made.generations.create(other)
    return live, other


async def held(made: Services, generation: str) -> int:
    return len(await made.indexer.chunks(generation).of_document(made.indexer.document_id(PATH)))


def test_a_change_goes_to_both_generations_and_is_embedded_once(settings: Settings) -> None:
    """From its joining on a generation takes up what the live one does, from the stored embeddings; not after."""

    async def scenario() -> None:
        async with running(settings) as made:
            live, other = await two_generations(made)
            await put(made, PATH, TEXT)
            await join(made, other)
            outcome = await converge_everywhere(made, PATH)
            assert outcome is not None
            assert (outcome.result, outcome.embedded) == ("indexed", 1)
            assert (await held(made, live), await held(made, other)) == (1, 1)
            again = await made.indexer.converge(PATH, other)
            assert (again.result, again.embedded) == ("unchanged", 0)
            await leave(made)
            await made.lake_account.get_blob_client(made.settings.lake_container, PATH).delete_blob()
            await follow(made, PATH)
            assert (await held(made, live), await held(made, other)) == (0, 1)

    asyncio.run(scenario())


def test_a_generation_that_joins_before_any_answers_takes_up_changes(settings: Settings) -> None:
    """In a region whose first index is about to answer, a change is not lost between the last listing and the swap."""

    async def scenario() -> None:
        async with running(settings) as made:
            only = "documents-20990101000000"
            await made.generations.create(only)
            await put(made, PATH, TEXT)
            assert await converge_everywhere(made, PATH) is None
            await join(made, only)
            await follow(made, PATH)
            assert await held(made, only) == 1

    asyncio.run(scenario())


def test_a_generation_that_was_given_up_fails_no_event(settings: Settings) -> None:
    """Cancelling deletes a generation at any moment. While it has joined, what fails there is tried again with the
    event; once it has left, the event is done when the live generation has it.
    """

    async def scenario() -> None:
        async with running(settings) as made:
            live, other = await two_generations(made)
            await put(made, PATH, TEXT)
            await join(made, other)
            await made.generations.delete(other)
            with pytest.raises(ResourceNotFoundError):
                await follow(made, PATH)
            assert await held(made, live) == 1  # it is in the live one nevertheless
            await put(made, PATH, TEXT.replace("walnut", "hazel"))
            converge = made.indexer.converge

            async def left_meanwhile(path: str, generation: str, **options: bool) -> object:
                if generation == other:
                    await leave(made)
                return await converge(path, generation, **options)

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(made.indexer, "converge", left_meanwhile)
                await follow(made, PATH)
            (chunk,) = await made.indexer.chunks(live).of_document(made.indexer.document_id(PATH))
            assert "hazel" in chunk.content

    asyncio.run(scenario())


def test_readers_never_see_what_the_joined_generation_lacks(settings: Settings) -> None:
    """A change is written first to the generation that is about to answer: the swap may come between the two."""

    async def scenario() -> None:
        async with running(settings) as made:
            live, other = await two_generations(made)
            await put(made, PATH, TEXT)
            await join(made, other)
            converge, order = made.indexer.converge, []

            async def noted(path: str, generation: str, **options: bool) -> object:
                order.append(generation)
                return await converge(path, generation, **options)

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(made.indexer, "converge", noted)
                await follow(made, PATH)
            assert order == [other, live]

    asyncio.run(scenario())
