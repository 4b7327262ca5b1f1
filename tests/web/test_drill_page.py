"""The page of a drill in a real Chromium: from its file alone, light and dark, on a desk and on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from local.drill.page import page as drill_page
from tests.drill.test_report import record, report
from tests.web.conftest import PATIENCE_MS
from tests.web.test_axe import WIDTHS, faults

LOOKS = [("desk", "light"), ("phone", "dark")]
PAINTED = """(shapes) => shapes.every((one) => {
  const style = getComputedStyle(one), box = one.getBoundingClientRect(), none = ["none", "rgba(0, 0, 0, 0)"];
  return box.width > 0 && (!none.includes(style.fill) || !none.includes(style.stroke));
})"""
DARK = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((part) => Number(part) < 64)"


@pytest.fixture(params=LOOKS, ids=lambda look: "-".join(look))
def page(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The page of a drill, opened from its file; it asks for nothing else, and nothing goes wrong on it."""
    width, theme = request.param
    file = tmp_path / "drill.html"
    file.write_text(drill_page(report(passed=False)), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": WIDTHS[width], "height": 844}, color_scheme="dark" if theme == "dark" else "light"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    asked: list[str] = []
    context.on("weberror", lambda fault: wrong.append(str(fault.error)))
    context.on("console", lambda message: wrong.append(message.text))
    context.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    yield page
    assert page.evaluate(DARK) is (theme == "dark")
    context.close()
    assert (wrong, asked) == ([], [file.as_uri()])


def test_the_plot_is_drawn(page: Page) -> None:
    """Every kind of answer, both indexes, routing and phases are painted, and marks are lines with their names."""
    plot = page.get_by_role("img", name="Answers, completeness of the indexes")
    expect(plot).to_be_visible()
    kinds = {"a-right": 2, "a-refused": 1, "a-failed": 1, "a-false": 1, "r-degraded": 1, "p-whole": 2, "p-part": 1}
    for kind, count in kinds.items():
        expect(plot.locator(f"rect.{kind}")).to_have_count(count)
    expect(plot.locator("polyline")).to_have_count(2)
    expect(plot.locator("line.mark")).to_have_count(2)
    assert plot.locator("rect, polyline, circle").evaluate_all(PAINTED)
    expect(plot.get_by_text("region one is lost")).to_be_visible()


def test_everything_that_happened_is_listed(page: Page) -> None:
    """The timeline has a row for every event, in their order; checks and losses have theirs."""
    rows = page.locator("table", has=page.get_by_text("rebuild ended", exact=True)).get_by_role("row")
    expect(rows).to_have_count(len(record().events))
    expect(rows.first).to_contain_text("10.0 s")
    expect(rows.first).to_contain_text("8 <processes>")
    expect(page.get_by_text("4 <right>")).to_be_visible()
    expect(page.get_by_text("x.md edition 2")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("Drill: region-loss failed")


def test_nothing_runs_out_of_the_page(page: Page) -> None:
    """Only the plot's own frame scrolls sideways, however narrow the page is."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nothing_keeps_people_out(page: Page) -> None:
    """axe-core finds nothing."""
    assert faults(page) == []
