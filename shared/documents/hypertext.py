"""HTML to Markdown: all of a page's text but what is there for machines and for getting around."""

import html
import re

import html_to_markdown
from html_to_markdown import ConversionOptions, PreprocessingOptions

from shared.documents.encoding import declared_by_page, decode
from shared.documents.limits import ReadLimits
from shared.documents.markdown import Page, document
from shared.documents.model import Document
from shared.errors import UnreadableDocument

_OPTIONS = ConversionOptions(
    extract_metadata=False,
    inline_data_media="alt_text_only",
    # Some frameworks put the whole page into one form, and many the title into a header: only navigation is left out.
    preprocessing=PreprocessingOptions(remove_forms=False, remove_navigation=False),
    exclude_selectors=["nav", "select"],
)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_NOSCRIPT = re.compile(r"</?noscript\b[^<>]*>", re.IGNORECASE)
# What may be nested without end where its closing tags were forgotten, and means nothing for the text.
_BLOCKS = re.compile(r"</?(?:div|section|article|main|center|blockquote|form|fieldset)\b[^<>]*>", re.IGNORECASE)
_INLINES = re.compile(r"</?(?:span|font|b|strong|i|em|u|s|small|big|tt|sub|sup|a)\b[^<>]*>", re.IGNORECASE)


def read_html(path: str, content: bytes, limits: ReadLimits) -> Document:
    """Read HTML without scripts, styles and navigation."""
    text = decode(content, declared_by_page(content))
    title = _TITLE.search(text)
    plain_title = " ".join(html.unescape(title[1]).split()) if title else ""
    return document(path, [Page(None, to_markdown(text))], plain_title)


def to_markdown(text: str) -> str:
    """Return HTML as Markdown.

    What `noscript` holds is for readers that run no scripts, as this one. Raises UnreadableDocument (too_large) when
    elements are nested so deeply that text would be lost.
    """
    text = _NOSCRIPT.sub("", text)
    made = html_to_markdown.convert(text, _OPTIONS)
    if _lost(made):
        made = html_to_markdown.convert(_INLINES.sub("", _BLOCKS.sub("<p>", text)), _OPTIONS)
    if _lost(made):
        raise UnreadableDocument("too_large", "its elements are nested too deeply to be read")
    return made.content or ""


def _lost(made: html_to_markdown.ConversionResult) -> bool:
    return any("depth" in str(warning.kind).lower() for warning in made.warnings)
