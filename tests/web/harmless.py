"""What must not be on the chat page, whatever a model or a document says."""

from playwright.sync_api import Page


def assert_harmless(page: Page, text: str) -> None:
    """Assert that answer and panel hold no element and no attribute that could act; `text` names the case."""
    bad = "script, img, svg:not(.icon), iframe, object, embed, form, input, style, link, base, meta, video, audio"
    for place in ("#turns", "#panel"):
        assert page.locator(place).locator(bad).count() == 0, text
    links = page.locator("#turns a, #panel a").evaluate_all("links => links.map((link) => link.href)")
    assert all(link.startswith(page.url) for link in links), text
    handlers = page.locator("#turns *, #panel *").evaluate_all(
        """nodes => nodes.flatMap((node) => node.getAttributeNames())
            .filter((name) => name.startsWith('on') || name === 'style')"""
    )
    assert handlers == [], text
    assert page.evaluate("window.hacked") is None, text
