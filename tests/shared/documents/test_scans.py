"""Scans, through the official SDK against a stand-in that speaks the service's protocol."""

import asyncio
from dataclasses import replace

import pytest
from azure.core.exceptions import HttpResponseError

from shared.clients import Services
from shared.documents import Extracted
from shared.errors import UnreadableDocument
from shared.settings import Settings
from tests.conftest import new_generation, put, running
from tests.shared.documents.files import Line, Picture, pdf
from tests.shared.documents.recogniser import Recogniser, recogniser

SCAN = pdf([[], []])
TABLE = "<table>\n<tr>\n<th>item</th>\n<th>EUR</th>\n</tr>\n<tr>\n<td>box</td>\n<td>12</td>\n</tr>\n</table>"
PAGES = ("# Delivery note\n\nNummer 7 ü", f'<!-- PageHeader="x" -->\n## Prices\n\n{TABLE}')


def with_service(settings: Settings, service: Recogniser) -> Settings:
    return replace(settings, document_intelligence_endpoint=service.url, document_intelligence_key="local")


async def extract(settings: Settings, path: str, content: bytes) -> Extracted:
    made = Services(settings)
    try:
        return await made._extract(path, content)
    finally:
        await made.close()


def test_a_scan_is_recognised_with_its_pages(settings: Settings) -> None:
    """A PDF without text goes to the service; headings, tables and page numbers come back, notes on layout do not."""
    with recogniser(*PAGES) as service:
        made = asyncio.run(extract(with_service(settings, service), "note.pdf", SCAN))
    assert service.asked == [SCAN]
    assert service.queries[0]["outputContentFormat"] == "markdown"
    assert service.queries[0]["stringIndexType"] == "unicodeCodePoint"
    assert made.title == "Delivery note"
    text = "\n".join(chunk.text for chunk in made.chunks)
    assert "Nummer 7 ü" in text
    assert "| box | 12 |" in text.replace("  ", " ")
    assert "PageHeader" not in text
    assert {chunk.page for chunk in made.chunks} <= {1, 2}


def test_what_has_text_costs_nothing(settings: Settings) -> None:
    """Only scans and images go to the service."""
    with recogniser(*PAGES) as service:
        asyncio.run(extract(with_service(settings, service), "a.md", b"words"))
        asyncio.run(extract(with_service(settings, service), "a.png", b"\x89PNG\r\n\x1a\nand so on"))
    assert len(service.asked) == 1


MIXED = pdf([[Line("Written words", 700)], [Picture()], [Line("More words", 700)], [Picture()]])


def test_only_the_scanned_pages_of_a_document_are_sent(settings: Settings) -> None:
    """Pages that are pictures among pages with text are recognised, and each is in its place."""
    with recogniser("", "# Stamp", "", "Signed") as service:
        made = asyncio.run(extract(with_service(settings, service), "note.pdf", MIXED))
    assert [query["pages"] for query in service.queries] == ["2,4"]
    assert [(chunk.page, chunk.text) for chunk in made.chunks] == [
        (1, "Written words"),
        (2, "# Stamp"),
        (3, "More words"),
        (4, "Signed"),
    ]
    assert made.pictures == ()


@pytest.mark.parametrize("refusals", [[], [400]])
def test_pages_without_recognised_text_are_named_in_the_log(
    settings: Settings, refusals: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """Without a service, or where it reads nothing, the rest of the document is read, and the log says what is not."""
    for service_settings in (settings, None):
        with recogniser(refusals=refusals) as service:
            made = asyncio.run(extract(service_settings or with_service(settings, service), "note.pdf", MIXED))
        assert [chunk.page for chunk in made.chunks] == [1, 3]
    messages = [record.getMessage() for record in caplog.records if "pages_without_text" in record.getMessage()]
    assert messages == ["extraction document=note.pdf pages_without_text=2,4"] * 2


def test_without_the_service_a_scan_says_what_it_is(settings: Settings) -> None:
    """Where no service is set, a scan is quarantined as image_only."""
    with pytest.raises(UnreadableDocument) as caught:
        asyncio.run(extract(settings, "note.pdf", SCAN))
    assert caught.value.reason == "image_only"


@pytest.mark.parametrize(("pages", "refusals", "words"), [((), [400], "is corrupted"), (("",), [], "no text")])
def test_what_the_service_cannot_read_is_quarantined(
    settings: Settings, pages: tuple[str, ...], refusals: list[int], words: str
) -> None:
    """A refusal for good, and a scan of a blank page, are reasons and no faults."""
    with recogniser(*pages, refusals=refusals) as service, pytest.raises(UnreadableDocument, match=words) as caught:
        asyncio.run(extract(with_service(settings, service), "note.pdf", SCAN))
    assert caught.value.reason == "image_only"


def test_a_busy_service_is_asked_again(settings: Settings) -> None:
    """Being busy is no property of a document: the SDK tries again, and in the end the fault goes to the trigger."""
    with recogniser(*PAGES, refusals=[429, 503]) as service:
        made = asyncio.run(extract(with_service(settings, service), "note.pdf", SCAN))
        assert made.chunks
        service.refusals = [503] * 20
        with pytest.raises(HttpResponseError):
            asyncio.run(extract(with_service(settings, service), "note.pdf", SCAN))


def test_a_scan_becomes_an_answerable_document(settings: Settings) -> None:
    """Quarantined without the service, the same version is indexed by a retry once there is one."""

    async def scenario() -> None:
        async with running(settings) as made:
            generation = await new_generation(made)
            container = made.lake_account.get_container_client(settings.lake_container)
            await container.upload_blob("note.pdf", SCAN)
            assert (await made.indexer.converge("note.pdf", generation)).reason == "image_only"
            await put(made, "other.md", "words")
        with recogniser(*PAGES) as service:
            async with running(with_service(settings, service), make=False) as made:
                outcome = await made.indexer.converge("note.pdf", generation, retry_problems=True)
                assert outcome.result == "indexed"
                assert await made.indexer.problems.list() == []

    asyncio.run(scenario())
