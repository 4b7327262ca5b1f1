"""Opening documents at a version: what a reader may keep of them, and for how long."""

import asyncio

import pytest

from shared import library
from shared.access import EVERYBODY
from shared.errors import NotFound
from shared.settings import Settings
from tests.conftest import new_generation, put, running


async def read(opened: library.OpenedVersion) -> bytes:
    return b"".join([part async for part in opened.content])


@pytest.mark.parametrize("group", ["", "hr"])
def test_what_is_current_is_asked_for_again_and_a_version_is_kept(settings: Settings, group: str) -> None:
    """A reader who has the current content is told that it still is; after an edit it comes anew. A version never
    changes. No shared cache keeps either.
    """

    async def scenario() -> None:
        groups = frozenset({group}) if group else EVERYBODY
        metadata = {"allowed_groups": group} if group else None
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", "The first text.", metadata)
            await made.indexer.converge("a.md", generation)
            key = made.indexer.document_id("a.md")
            current = await library.open_version(made, key, "current", groups)
            tag, version = current.headers["ETag"], current.headers["X-Version-Id"]
            assert (current.status, await read(current)) == (200, b"The first text.")
            assert current.headers["Cache-Control"] == "private, no-cache"
            for known in (tag, f"W/{tag}", f'"other", {tag}'):
                again = await library.open_version(made, key, "current", groups, known)
                assert (again.status, await read(again), again.headers["ETag"]) == (304, b"", tag)
            await put(made, "a.md", "The second text.", metadata)
            await made.indexer.converge("a.md", generation)
            edited = await library.open_version(made, key, "current", groups, tag)
            assert (edited.status, await read(edited)) == (200, b"The second text.")
            first = await library.open_version(made, key, version, groups)
            assert (first.status, await read(first), first.headers["ETag"]) == (200, b"The first text.", tag)
            assert first.headers["Cache-Control"] == "private, max-age=3600"

    asyncio.run(scenario())


def test_who_may_not_see_a_document_is_not_told_that_it_is_the_same(settings: Settings) -> None:
    """An ETag opens nothing: a reader who has lost the group gets 404 for what the browser has kept."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", "Secret.", {"allowed_groups": "hr"})
            await made.indexer.converge("a.md", generation)
            key = made.indexer.document_id("a.md")
            opened = await library.open_version(made, key, "current", frozenset({"hr"}))
            with pytest.raises(NotFound):
                await library.open_version(made, key, "current", frozenset({"it"}), opened.headers["ETag"])

    asyncio.run(scenario())


@pytest.mark.parametrize("version", ["yesterday", "2020-01-01T00:00:00.0000000Z", "../a", "%00"])
def test_a_version_that_never_was_is_not_found(settings: Settings, version: str) -> None:
    """Whatever stands in the place of a version id, it is a version or it is not found."""

    async def scenario() -> None:
        async with running(settings) as made:
            await put(made, "a.md", "A text.")
            await made.indexer.converge("a.md", await new_generation(made))
            with pytest.raises(NotFound, match="has no version"):
                await library.open_version(made, made.indexer.document_id("a.md"), version, EVERYBODY)

    asyncio.run(scenario())
