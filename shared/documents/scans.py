"""Scans to pages, by Azure AI Document Intelligence: what has no text of its own is recognised there.

https://learn.microsoft.com/azure/ai-services/document-intelligence/prebuilt/layout
"""

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import html_to_markdown
from azure.core.exceptions import HttpResponseError

from shared.documents.markdown import Page
from shared.errors import UnreadableDocument

if TYPE_CHECKING:
    from azure.ai.documentintelligence.aio import DocumentIntelligenceClient
    from azure.ai.documentintelligence.models import AnalyzeResult

MODEL = "prebuilt-layout"
TRANSIENT = 429  # and whatever is the service's own fault; the client has tried again before it raises

_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
_FIGURE = re.compile(r"</?figure>|</?figcaption>")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)  # page numbers, headers, footers and breaks


class Scans:
    """Recognises the text of scanned documents and images."""

    def __init__(self, client: "DocumentIntelligenceClient") -> None:
        self._client = client

    async def pages(self, content: bytes, numbers: Sequence[int] = ()) -> list[Page]:
        """Return the pages of a PDF or an image, with headings and tables; only those of `numbers`, if there are any.

        Raises UnreadableDocument (image_only) when nothing is recognised or the service cannot read it, and what the
        service raises when it is busy or out of order.
        """
        try:
            poller = await self._client.begin_analyze_document(
                MODEL,
                io.BytesIO(content),
                content_type="application/octet-stream",
                output_content_format="markdown",
                pages=",".join(map(str, numbers)) or None,
                string_index_type="unicodeCodePoint",  # as Python counts
            )
            result = await poller.result()
        except HttpResponseError as error:
            if error.status_code is None or error.status_code == TRANSIENT or error.status_code >= 500:
                raise
            told = error.error.message if error.error else error.message
            raise UnreadableDocument("image_only", f"Document Intelligence could not read it: {told}") from error
        made = list(_pages(result))
        if not any(page.markdown.strip() for page in made):
            raise UnreadableDocument("image_only", f"no text was recognised on its {len(made)} pages")
        return made


def _pages(result: "AnalyzeResult") -> list[Page]:
    return [
        Page(
            page.page_number,
            "".join(_plain(result.content[span.offset : span.offset + span.length]) for span in page.spans),
        )
        for page in result.pages
    ]


def _plain(markdown: str) -> str:
    """Return a page with its tables in Markdown instead of HTML, and without notes on its layout."""
    tables = _TABLE.sub(lambda match: f"\n\n{html_to_markdown.convert(match[0]).content or ''}\n\n", markdown)
    return _COMMENT.sub("", _FIGURE.sub("", tables)).strip()
