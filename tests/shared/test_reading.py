"""Reading on around a citation: parts of the indexed version, in order, of what the caller may see."""

import asyncio
from collections.abc import Mapping

import pytest

from shared.chat.answer import Chat
from shared.chat.protocol import ChatRequest, Message
from shared.errors import BadRequest, NotFound
from shared.reading import MOST_PARTS, PARTS, Span, parse_span, read_text
from shared.settings import Settings
from tests.conftest import new_generation, put, running

EVERYBODY: frozenset[str] = frozenset()
SECTIONS = "\n\n".join(
    f"## Section {number}\n\n" + f"The price of item {number} is {number} EUR. " * 12 for number in range(30)
)


@pytest.mark.parametrize(
    ("query", "span"),
    [
        ({}, Span(0, PARTS)),
        ({"from": "7", "count": "3"}, Span(7, 3)),
        ({"count": str(MOST_PARTS)}, Span(0, MOST_PARTS)),
    ],
)
def test_parses_a_span(query: Mapping[str, str], span: Span) -> None:
    """What is left out has its default."""
    assert parse_span(query) == span


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"from": "-1"}, "from must be a number from 0 to 10000000, not '-1'"),
        ({"from": "x"}, "from must be"),
        ({"from": "²"}, "from must be"),
        ({"from": "9" * 5000}, "from must be"),
        ({"count": "0"}, "count must be a number from 1 to 50, not '0'"),
        ({"count": ""}, "count must be"),
        ({"size": "3"}, r"unknown fields \['size'\]"),
    ],
)
def test_a_wrong_span_is_named(query: Mapping[str, str], message: str) -> None:
    """The value and the way out are named."""
    with pytest.raises(BadRequest, match=message):
        parse_span(query)


def test_the_parts_of_a_document_are_its_text(settings: Settings) -> None:
    """Span by span the whole document is read, once and in order, and a citation says where in it its passage is."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "prices.md", f"# Prices\n\n{SECTIONS}")
            await made.indexer.converge("prices.md", generation)
            asked = ChatRequest((Message("user", "What is the price of item 17?"),))
            citation = (await Chat(made).answer(asked, EVERYBODY))["context"]["citations"][0]
            where = citation["document_id"], citation["version_id"]
            first = await read_text(made, *where, Span(), EVERYBODY)
            assert (first["path"], first["title"], len(first["parts"])) == ("prices.md", "Prices", PARTS)
            rest = await read_text(made, *where, Span(PARTS, MOST_PARTS), EVERYBODY)
            parts = first["parts"] + rest["parts"]
            assert [part["ordinal"] for part in parts] == list(range(first["count"]))
            whole = "\n\n".join(part["text"] for part in parts)
            assert all(f"item {number} is {number} EUR" in whole for number in range(30))
            begin, end = citation["ordinals"]
            assert citation["passage"] == "\n\n".join(part["text"] for part in parts[begin : end + 1])
            with pytest.raises(NotFound, match="has no part 1000"):
                await read_text(made, *where, Span(1000), EVERYBODY)

    asyncio.run(scenario())


def test_only_the_indexed_version_and_only_who_may_see_it(settings: Settings) -> None:
    """Another version, another caller and a hostile id read nothing, and cannot be told from each other."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            await put(made, "secret.md", "# Plan\n\nThe plan is teal.", {"allowed_groups": "board"})
            outcome = await made.indexer.converge("secret.md", generation)
            (found,) = [item async for item in await made.search_client(generation).search("plan", top=1)]
            where = found["document_id"], outcome.version_id or ""
            board = frozenset({"board"})
            read = await read_text(made, *where, Span(), board)
            assert "teal" in read["parts"][0]["text"]
            for document, version, groups in (
                (*where, EVERYBODY),
                (*where, frozenset({"staff"})),
                (where[0], "other", board),
                ("' or ordinal ge 0 or document_id eq '", where[1], EVERYBODY),
                (where[0], "' or ordinal ge 0 or version_id eq '", EVERYBODY),
            ):
                with pytest.raises(NotFound):
                    await read_text(made, document, version, Span(), groups)

    asyncio.run(scenario())
