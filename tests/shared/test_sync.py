"""Converging one path, against the real lake, search service and model: the resulting state and the work done."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.access import NOBODY
from shared.clients import Services
from shared.index.schema import IndexedChunk
from shared.settings import Settings
from shared.sync import Outcome, is_whole
from tests.conftest import new_generation, put, remove, running

SECTIONS = [f"## Part {n}\n\n" + f"Sentence about subject number {n}. " * 20 for n in range(4)]
TEXT = "# Title\n\n" + "\n\n".join(SECTIONS)


async def chunks_of(made: Services, path: str, generation: str) -> Sequence[IndexedChunk]:
    return await made.indexer.chunks(generation).of_document(made.indexer.document_id(path))


def test_new_document_is_indexed_whole(settings: Settings) -> None:
    """A new document's chunks carry its version, and every one of them was embedded once."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a/b.md", TEXT)
            outcome = await made.indexer.converge("a/b.md", generation)
            chunks = await chunks_of(made, "a/b.md", generation)
            document = await made.lake.head("a/b.md")
            assert document is not None
            assert is_whole(chunks, document.etag, made.pipeline)
            assert {chunk.version_id for chunk in chunks} == {document.version_id}
            assert all(chunk.title == "Title" for chunk in chunks)
            assert outcome == Outcome("a/b.md", "indexed", added=len(chunks), embedded=len(chunks))
            assert len(chunks) == 4

    asyncio.run(scenario())


def test_second_run_finds_nothing_to_do(settings: Settings) -> None:
    """A duplicate event does no work."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT)
            first = await made.indexer.converge("a.md", generation)
            assert await made.indexer.converge("a.md", generation) == Outcome("a.md", "unchanged", kept=first.added)

    asyncio.run(scenario())


def test_edit_embeds_only_the_changed_chunk(settings: Settings) -> None:
    """An edit of one section embeds one chunk, relabels the others, and leaves no stale chunk."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT)
            await made.indexer.converge("a.md", generation)
            await put(made, "a.md", TEXT.replace("number 2", "number two"))
            outcome = await made.indexer.converge("a.md", generation)
            chunks = await chunks_of(made, "a.md", generation)
            assert outcome == Outcome("a.md", "indexed", added=1, kept=3, removed=1, embedded=1)
            assert len(chunks) == 4
            assert len({chunk.etag for chunk in chunks}) == 1
            assert not [chunk for chunk in chunks if "number 2." in chunk.content]

    asyncio.run(scenario())


@pytest.mark.parametrize("change", ["metadata", "identical", "rename", "extension", "restore"])
def test_what_brings_no_new_text_embeds_nothing(settings: Settings, change: str) -> None:
    """New metadata, identical bytes, a rename, another extension of the same reader and a restored version embed
    nothing, and the index follows.
    """

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT)
            await made.indexer.converge("a.md", generation)
            path = "a.md"
            if change == "metadata":
                await put(made, path, TEXT, {"allowed_groups": "hr,legal"})
            elif change == "identical":
                await put(made, path, TEXT)
            elif change in ("rename", "extension"):
                path = "folder/new name.md" if change == "rename" else "a.markdown"
                await put(made, path, TEXT)
                await remove(made, "a.md")
                assert (await made.indexer.converge("a.md", generation)).result == "deleted"
            else:
                await put(made, path, "# Other\n\nText.")
                await made.indexer.converge(path, generation)
                await put(made, path, TEXT)
            outcome = await made.indexer.converge(path, generation)
            chunks = await chunks_of(made, path, generation)
            document = await made.lake.head(path)
            assert document is not None
            assert outcome.embedded == 0
            assert is_whole(chunks, document.etag, made.pipeline)
            assert chunks[0].allowed_groups == (("hr", "legal") if change == "metadata" else ())

    asyncio.run(scenario())


def test_late_created_event_does_not_resurrect(settings: Settings) -> None:
    """An event for a document that is gone removes its chunks, whatever the event claimed."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT)
            await made.indexer.converge("a.md", generation)
            await remove(made, "a.md")
            assert await made.indexer.converge("a.md", generation) == Outcome("a.md", "deleted", removed=4)
            assert await made.indexer.converge("a.md", generation) == Outcome("a.md", "absent")
            assert await chunks_of(made, "a.md", generation) == ()

    asyncio.run(scenario())


def test_half_written_set_is_completed(settings: Settings) -> None:
    """Chunks that a crash left incomplete are never taken for done; the missing one is written from the store."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT)
            await made.indexer.converge("a.md", generation)
            lost = (await chunks_of(made, "a.md", generation))[2]
            await made.indexer.chunks(generation).delete([lost.id])
            outcome = await made.indexer.converge("a.md", generation)
            assert outcome == Outcome("a.md", "indexed", added=1, kept=3)
            assert lost in await chunks_of(made, "a.md", generation)

    asyncio.run(scenario())


def test_unreadable_version_keeps_the_known_good_one(settings: Settings) -> None:
    """An unreadable version is quarantined with its reason; what was indexed stays, and a good version clears it."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.pdf", "%PDF-1.7 not really")
            outcome = await made.indexer.converge("a.pdf", generation)
            assert (outcome.result, outcome.reason) == ("quarantined", "corrupt")
            await put(made, "a.md", TEXT)
            await made.indexer.converge("a.md", generation)
            before = await chunks_of(made, "a.md", generation)
            await put(made, "a.md", "   \n")
            assert (await made.indexer.converge("a.md", generation)).reason == "empty"
            said = tuple(replace(chunk, newer_unreadable="empty") for chunk in before)
            assert await chunks_of(made, "a.md", generation) == said
            assert [problem.path for problem in await made.indexer.problems.list()] == ["a.md", "a.pdf"]
            await put(made, "a.md", TEXT)
            assert (await made.indexer.converge("a.md", generation)).embedded == 0
            assert {chunk.newer_unreadable for chunk in await chunks_of(made, "a.md", generation)} == {""}
            assert [problem.path for problem in await made.indexer.problems.list()] == ["a.pdf"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("readable", "unreadable", "left"),
    [
        ("", "board", ("board",)),
        ("board", "", ("board",)),
        ("board,hr", "hr,it", ("hr",)),
        ("board", "hr", NOBODY),
        (",", "hr", NOBODY),
        ("", "", ()),
    ],
)
def test_unreadable_version_lets_in_only_who_may_see_both(
    settings: Settings, readable: str, unreadable: str, left: tuple[str, ...]
) -> None:
    """An earlier version stays answerable for those whom neither it nor the newer, unreadable one shuts out; looking
    again changes nothing.
    """

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT, {"allowed_groups": readable} if readable else None)
            await made.indexer.converge("a.md", generation)
            await put(made, "a.md", " ", {"allowed_groups": unreadable} if unreadable else None)
            for retry in (False, False, True):
                outcome = await made.indexer.converge("a.md", generation, retry_problems=retry)
                assert outcome == Outcome("a.md", "quarantined", kept=4, reason="empty")
                assert {chunk.allowed_groups for chunk in await chunks_of(made, "a.md", generation)} == {left}

    asyncio.run(scenario())


@pytest.mark.parametrize("seen", ["every version", "the last one"])
def test_who_may_see_an_earlier_version_follows_from_the_lake_alone(settings: Settings, seen: str) -> None:
    """Groups that are tightened and loosened by versions that cannot be read leave what the readable one and the newest
    say, whichever of those between the app has seen; a readable version then counts alone.
    """

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT, {"allowed_groups": "board,hr"})
            await made.indexer.converge("a.md", generation)
            steps = {"hr": ("hr",), "it": NOBODY, "hr,it": ("hr",), "": ("board", "hr")}
            for number, (groups, left) in enumerate(steps.items(), start=1):
                await put(made, "a.md", " ", {"allowed_groups": groups} if groups else None)
                if seen == "every version" or number == len(steps):
                    await made.indexer.converge("a.md", generation)
                    assert {chunk.allowed_groups for chunk in await chunks_of(made, "a.md", generation)} == {left}
            await put(made, "a.md", TEXT)
            assert (await made.indexer.converge("a.md", generation)).result == "indexed"
            assert {chunk.allowed_groups for chunk in await chunks_of(made, "a.md", generation)} == {()}

    asyncio.run(scenario())


def test_a_version_that_the_lake_has_lost_is_never_opened_wider(settings: Settings) -> None:
    """Where nobody can say any more what an earlier version named, what the index says of it goes on holding."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT, {"allowed_groups": "board,hr"})
            await made.indexer.converge("a.md", generation)
            first = (await chunks_of(made, "a.md", generation))[0].version_id
            for groups, left in (("hr", ("hr",)), ("board,hr", ("hr",))):
                await put(made, "a.md", " ", {"allowed_groups": groups})
                if groups == "hr":
                    container = made.lake_account.get_container_client(settings.lake_container)
                    await container.get_blob_client("a.md").delete_blob(version_id=first)
                await made.indexer.converge("a.md", generation)
                assert {chunk.allowed_groups for chunk in await chunks_of(made, "a.md", generation)} == {left}

    asyncio.run(scenario())


def test_two_workers_on_one_path_do_not_interleave(settings: Settings) -> None:
    """Several workers at once on one changing document end in one whole version."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT)

            async def edit() -> None:
                for n in range(3):
                    await put(made, "a.md", TEXT.replace("number 1", f"number 1{n}"))

            workers = [made.indexer.converge("a.md", generation) for _ in range(4)]
            await asyncio.gather(edit(), *workers)
            await made.indexer.converge("a.md", generation)
            document = await made.lake.head("a.md")
            assert document is not None
            assert is_whole(await chunks_of(made, "a.md", generation), document.etag, made.pipeline)

    asyncio.run(scenario())


def test_missing_container_is_not_an_absent_document(settings: Settings) -> None:
    """A lake that is gone raises; it does not empty the index."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "a.md", TEXT)
            await made.indexer.converge("a.md", generation)
            await made.lake_account.delete_container(settings.lake_container)
            with pytest.raises(Exception, match="ContainerNotFound"):
                await made.indexer.converge("a.md", generation)
            assert len(await chunks_of(made, "a.md", generation)) == 4

    asyncio.run(scenario())


def test_dot_files_are_no_documents(settings: Settings) -> None:
    """A dot-file is ignored without a look at the lake."""

    async def scenario() -> None:
        async with running(settings) as made:
            assert (await made.indexer.converge("a/.hidden/b.md", "index-none")).result == "ignored"

    asyncio.run(scenario())
