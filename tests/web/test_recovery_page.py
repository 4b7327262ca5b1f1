"""The recovery page in a real Chromium: plan, start, watch, cancel, roll back; by keyboard, on a phone, with a key."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.web.conftest import PATIENCE_MS
from tests.web.recovery_server import BEFORE, RecoveryServer, Says, overview, plan, progress, report, short
from tests.web.test_access_and_looks import go_to
from tests.web.test_axe import WIDTHS, faults

ID = "20261123100000"
STARTED = {"id": ID, "status": "running", "url": f"/api/recovery/{ID}"}


@pytest.fixture(scope="module")
def server() -> Iterator[RecoveryServer]:
    """The scripted server."""
    with RecoveryServer() as running:
        yield running


@pytest.fixture
def says(server: RecoveryServer) -> Says:
    """What the app says: a region at rest, which accepts every act."""
    server.says = Says(overview=overview(), rebuilds={"20261123091500": report()}, acts={"rebuild": (202, STARTED)})
    return server.says


@pytest.fixture
def page(browser: Browser, server: RecoveryServer, says: Says) -> Iterator[Page]:
    """A page of its own context, not opened yet; no script error or policy violation may occur on it."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="UTC", base_url=server.origin
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.on("console", lambda message: _keep_fault(message.type, message.text, faults))
    yield page
    context.close()
    assert faults == []


def _keep_fault(kind: str, text: str, faults: list[str]) -> None:
    if kind == "error" and not text.startswith("Failed to load resource"):
        faults.append(text)


def section(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title)


def figure(place: Locator, label: str) -> Locator:
    return place.locator(".figures > div", has=place.page.get_by_text(label, exact=True)).locator("dd")


def runs(says: Says, **parts: Any) -> None:
    """From now on a rebuild runs."""
    says.rebuilds[ID] = progress(**parts)
    says.overview = overview(running=progress(**parts))


def ends(says: Says, **parts: Any) -> None:
    """From now on it has ended."""
    says.rebuilds[ID] = report(id=ID, **parts)
    says.overview = overview()


def test_an_index_of_another_pipeline_asks_for_its_rebuild(page: Page, says: Says) -> None:
    """What the overview says of it stands as an alarm, and goes when the index has been rebuilt."""
    says.overview = overview(rebuild_needed="rebuild needed: the index was built by another pipeline")
    page.goto("/recovery")
    alarm = page.get_by_role("alert")
    expect(alarm).to_contain_text("rebuild needed: the index was built by another pipeline")
    says.overview = overview()
    page.reload()
    expect(page.locator("#alarm")).to_be_hidden()


def test_plan_changes_nothing_and_says_what_it_would_take(page: Page, says: Says) -> None:
    """A plan of the copy shows documents, tokens, minutes and cost, and names what is newer than the copy."""
    newer = [{"path": "contracts/new.pdf", "version_id": "v", "at": "2026-11-23T10:21:00+00:00"}]
    moment = "2026-11-23T10:20:00+00:00"
    found = plan(source="secondary", last_sync_time=moment, newer_count=52, newer=newer)
    ends(says, status="planned", plan=found)
    page.goto("/recovery")
    page.get_by_label("its copy in the other region").check()
    page.get_by_role("button", name="Plan only").click()
    planned = page.locator("#planned")
    expect(planned.get_by_role("heading", name="Plan; nothing has been changed")).to_be_visible()
    expect(figure(planned, "To embed")).to_have_text("180,000 tokens")
    expect(figure(planned, "Indexing takes")).to_have_text("about 1 min")
    expect(figure(planned, "Reads")).to_have_text("the copy as of 23 Nov 2026, 10:20")
    expect(planned).to_contain_text("contracts/new.pdf")
    expect(planned).to_contain_text("and 51 more")
    assert says.asked == [("rebuild", {"source": "secondary", "reason": "", "dry_run": True})]


def test_rebuild_is_started_and_watched_to_its_end(page: Page, says: Says) -> None:
    """Starting needs a reason; progress, rate and time left are shown, announced, and then the outcome."""
    page.goto("/recovery")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_label("Why")).to_be_focused()  # the browser asks for the reason that is missing
    assert says.asked == []
    page.get_by_label("Why").fill("index lost")
    runs(says)
    page.get_by_role("button", name="Start", exact=True).click()
    now = section(page, "Now")
    expect(now.get_by_role("progressbar", name="Indexing")).to_have_attribute("value", "0.42")
    expect(figure(now, "Chunks")).to_have_text("42,000 of about 100,000")
    expect(figure(now, "Rate")).to_have_text("1,413 chunks/s")
    expect(figure(now, "Left in this phase")).to_have_text("about 41 s")
    expect(figure(now, "Waited for services")).to_have_text("3 s")
    expect(page.locator("#announcer")).to_have_text("Indexing: 42 percent.")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    runs(says, phase="verifying", pages_done=100)
    expect(page.locator("#announcer")).to_have_text("Verifying every document: 100 percent.")
    ends(says)
    expect(now).to_contain_text("Nothing is running.")
    expect(page.locator("#announcer")).to_have_text(f"Rebuild {ID}: verified and live.")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    assert says.asked == [("rebuild", {"source": "primary", "reason": "index lost"})]


def test_a_plan_is_not_the_last_rebuild(page: Page, says: Says) -> None:
    """What is said of the last rebuild passes over plans that were made since."""
    reports = [short(report(id=ID, status="planned")), short(report())]
    says.overview = overview(reports=reports)
    page.goto("/recovery")
    expect(section(page, "Now")).to_contain_text("The last rebuild, 20261123091500: verified and live.")
    expect(section(page, "Reports").get_by_role("listitem")).to_have_count(2)


def test_guard_shows_its_numbers_before_it_can_be_overridden(page: Page, says: Says) -> None:
    """There is no force until the guard has refused; then it is one button below the numbers."""
    ends(says, status="refused", error="the lake lists 12 documents but the live index has 2000")
    page.goto("/recovery")
    expect(page.get_by_role("button", name=re.compile("all the same"))).to_have_count(0)
    page.get_by_label("Why").fill("moved")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="12 documents")).to_be_visible()
    page.get_by_role("button", name="The listing is true: start all the same").click()
    expect(page.get_by_role("alert").filter(has_text="12 documents")).to_be_visible()
    assert [body.get("force", False) for _, body in says.asked] == [False, True]


def test_conflict_is_shown_as_the_app_says_it(page: Page, says: Says) -> None:
    """A second rebuild is refused with the app's own sentence."""
    says.acts["rebuild"] = (409, {"detail": "rebuild 1 is running; there is one at a time"})
    page.goto("/recovery")
    page.get_by_label("Why").fill("again")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#alarm")).to_contain_text("rebuild 1 is running; there is one at a time")


def test_interrupted_rebuild_can_be_gone_on_with_or_given_up(page: Page, says: Says) -> None:
    """What was cut off is named; one button resumes it with its source, another one cancels it with a reason."""
    cut = {"id": "1", "generation": "documents-1", "resumes_left": 0, "source": "secondary", "reason": "drill"}
    says.overview = overview(interrupted=cut)
    says.acts["cancel"] = (200, report(status="cancelled"))
    page.goto("/recovery")
    expect(section(page, "Now")).to_contain_text("Generation documents-1 is unfinished.")
    page.get_by_role("button", name="Give it up").click()
    page.get_by_role("dialog").get_by_label("Why").fill("not needed")
    page.get_by_role("dialog").get_by_role("button", name="Cancel the rebuild").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    with page.expect_response("**/api/recovery/rebuild"):
        page.get_by_role("button", name="Go on with it").click()
    expect(page.get_by_role("button", name="Go on with it")).to_be_visible()
    assert says.asked == [
        ("cancel", {"reason": "not needed"}),
        ("rebuild", {"source": "secondary", "reason": "drill", "resume": True}),
    ]


def test_rollback_by_keyboard_alone(page: Page, says: Says) -> None:
    """From the button through the dialog by keys only; Escape leaves everything as it is and gives the focus back."""
    says.acts["rollback"] = (200, {"generation": BEFORE, "previous": "x"})
    page.goto("/recovery")
    button = page.get_by_role("button", name=f"Let it answer (roll back to {BEFORE})")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Why")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(button).to_be_focused()
    assert says.asked == []
    page.keyboard.press("Enter")
    page.keyboard.type("wrong answers")
    with page.expect_response("**/api/recovery/rollback"):
        page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#alarm")).to_be_hidden()
    assert says.asked == [("rollback", {"generation": BEFORE, "reason": "wrong answers"})]


def test_plan_start_and_rollback_without_a_mouse(page: Page, says: Says) -> None:
    """From the top of the page by keys alone: the copy is chosen and planned, a rebuild started and seen through, and
    an earlier generation put back; the focus is never lost on the way.
    """
    says.acts["rollback"] = (200, {"generation": BEFORE, "previous": "x"})
    page.clock.install()
    page.goto("/recovery")
    expect(section(page, "Generations")).to_contain_text(BEFORE)
    now = page.get_by_role("heading", name="Now", exact=True)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the state of the index")).to_be_focused()
    page.keyboard.press("Enter")
    expect(now).to_be_focused()
    go_to(page, page.get_by_label("its account"), "Tab")
    page.keyboard.press("ArrowDown")
    go_to(page, page.get_by_role("button", name="Plan only"), "Tab")
    runs(says, phase="planning")
    page.keyboard.press("Enter")
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(now).to_be_focused()  # the button is disabled meanwhile
    ends(says, status="planned", plan=plan(source="secondary"))
    page.clock.fast_forward(1_000)
    expect(page.get_by_role("heading", name="Plan; nothing has been changed")).to_be_visible()
    expect(now).to_be_focused()
    go_to(page, page.get_by_label("Why"), "Tab")
    page.keyboard.type("index lost")
    runs(says)
    page.keyboard.press("Enter")
    expect(page.get_by_role("progressbar", name="Indexing")).to_be_visible()
    expect(now).to_be_focused()
    ends(says)
    page.clock.fast_forward(1_000)
    expect(section(page, "Now")).to_contain_text("Nothing is running.")
    go_to(page, page.get_by_role("button", name=f"Let it answer (roll back to {BEFORE})"), "Tab")
    page.keyboard.press("Enter")
    page.keyboard.type("wrong answers")
    go_to(page, page.get_by_role("button", name="Roll back", exact=True), "Tab")
    says.overview = overview(generations=[{"name": BEFORE, "live": True, "verified": True, "since": None}])
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Let it answer")).to_have_count(0)
    expect(page.get_by_role("heading", name="Generations")).to_be_focused()
    assert [act for act, _ in says.asked] == ["rebuild", "rebuild", "rollback"]
    assert [body["source"] for act, body in says.asked if act == "rebuild"] == ["secondary", "secondary"]


def test_closing_of_one_dialog_does_not_answer_the_next(page: Page) -> None:
    """A dialog that is opened again before its closing was told stays open, and its answer counts."""
    page.goto("/recovery")
    answers = page.evaluate(
        """async () => {
            const { confirmAct } = await import("/web/recovery-ask.js");
            const dialog = document.getElementById("confirm");
            const words = { title: "Sure?", text: "", button: "Yes" };
            const closed = confirmAct(dialog, words);
            dialog.close();
            const asked = confirmAct(dialog, words); // in the same task: the first closing is not told yet
            await new Promise((told) => dialog.addEventListener("close", told, { once: true }));
            dialog.querySelector("input").value = "wrong answers";
            dialog.querySelector("form").requestSubmit();
            return [await closed, await asked];
        }"""
    )
    assert answers == [None, "wrong answers"]


def test_key_is_asked_for_and_kept_for_the_tab_only(page: Page, browser: Browser, says: Says) -> None:
    """Without the key nothing is shown; a wrong one is asked for again; a reload keeps it, another tab does not."""
    says.key = "right"
    page.goto("/recovery")
    dialog = page.get_by_role("dialog", name="Operators only")
    dialog.get_by_label("Function key").fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("The key was not accepted.")
    dialog.get_by_label("Function key").fill("right")
    page.keyboard.press("Enter")
    expect(section(page, "Generations")).to_contain_text(BEFORE)
    page.reload()
    expect(section(page, "Generations")).to_contain_text(BEFORE)
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 1, ""]
    other = page.context.new_page()
    other.goto("/recovery")
    expect(other.get_by_role("dialog", name="Operators only")).to_be_visible()


def test_report_opens_with_what_went_wrong(page: Page, says: Says) -> None:
    """A row of the history opens to the whole report: counts, and the documents that failed, by name."""
    wrong = {"missing": {"count": 2, "paths": ["a.md", "b.md"]}, "stale": {"count": 0, "paths": []}}
    says.rebuilds["20261123091500"] = report(
        status="verification_failed", error="2 documents differ", verification=wrong
    )
    page.goto("/recovery")
    row = section(page, "Reports").get_by_role("listitem").first
    row.get_by_text("20261123091500").click()
    expect(row.get_by_role("heading", name="Verification: missing (2)")).to_be_visible()
    expect(row).to_contain_text("a.md")
    expect(row).to_contain_text("old/scan.pdf (corrupt)")
    expect(row).to_contain_text("2 documents differ")


def test_lost_connection_is_said_and_passes(page: Page, says: Says) -> None:
    """While the app does not answer the page says so and goes on asking; the progress comes back by itself."""
    runs(says)
    page.goto("/recovery")
    expect(page.get_by_role("progressbar")).to_be_visible()
    says.down = True
    expect(page.locator("#alarm")).to_contain_text("The app does not answer")
    says.down = False
    runs(says, pages_done=90)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "0.9")
    expect(page.locator("#alarm")).to_be_hidden()


def test_cancel_keeps_the_focus_while_progress_changes(page: Page, says: Says) -> None:
    """The button that has the focus keeps it when the figures around it are drawn anew."""
    runs(says)
    page.goto("/recovery")
    button = page.get_by_role("button", name="Cancel this rebuild")
    button.focus()
    runs(says, pages_done=50)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "0.5")
    expect(button).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone(page: Page, says: Says, scheme: str) -> None:
    """At 390 px nothing is wider than the screen, whatever the theme; dialogs fit as well."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    says.overview = overview(acts=[{"act": "rebuild", "who": "w" * 120, "reason": "r" * 200, "at": "2026-11-23"}])
    page.goto("/recovery")
    expect(section(page, "Who did what")).to_contain_text("r" * 200)
    page.get_by_role("button", name="Let it answer").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    field, button = (
        page.get_by_role("dialog").get_by_label("Why"),
        page.get_by_role("button", name="Roll back", exact=True),
    )
    low, high = field.bounding_box(), button.bounding_box()
    assert low is not None
    assert high is not None
    assert high["y"] - low["y"] - low["height"] >= 8  # they do not touch
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def planned(page: Page, says: Says) -> None:
    """A plan of the copy, with what is newer than it."""
    newer = [{"path": "contracts/new.pdf", "version_id": "v", "at": "2026-11-23T10:21:00+00:00"}]
    ends(says, status="planned", plan=plan(source="secondary", newer_count=1, newer=newer))
    page.goto("/recovery")
    page.get_by_role("button", name="Plan only").click()
    expect(page.locator("#planned")).to_contain_text("contracts/new.pdf")


def running(page: Page, says: Says) -> None:
    """A rebuild under way."""
    runs(says)
    page.goto("/recovery")
    expect(page.get_by_role("progressbar", name="Indexing")).to_be_visible()


def reported(page: Page, says: Says) -> None:
    """A rebuild that has ended, another before it that failed, and both reports open."""
    failed = report(id="1", status="failed", error="the lake does not answer")
    says.rebuilds["1"] = failed
    says.overview = overview(reports=[short(report()), short(failed)])
    page.goto("/recovery")
    for row, text in enumerate(("corrupt", "does not answer")):
        page.locator("#reports summary").nth(row).click()
        expect(page.locator("#reports details > div").nth(row)).to_contain_text(text)


def refused(page: Page, says: Says) -> None:
    """A start that the guard stopped, and an alarm above."""
    says.overview = overview(rebuild_needed="rebuild needed: the index was built by another pipeline")
    says.rebuilds[ID] = report(id=ID, status="refused", error="the lake lists 12 documents, the live index has 2000")
    page.goto("/recovery")
    page.get_by_label("Why").fill("moved")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("button", name="The listing is true: start all the same")).to_be_visible()
    expect(page.locator("#alarm")).to_be_visible()


def interrupted(page: Page, says: Says) -> None:
    """A rebuild that was cut off, in a region without an index."""
    cut = {"id": "1", "generation": "documents-1", "resumes_left": 0, "source": "primary", "reason": "drill"}
    says.overview = overview(interrupted=cut, generations=[], reports=[], acts=[])
    page.goto("/recovery")
    expect(page.get_by_role("button", name="Go on with it")).to_be_visible()


def asked(page: Page, says: Says) -> None:
    """The dialog before an earlier generation is put back."""
    page.goto("/recovery")
    page.get_by_role("button", name="Let it answer").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def locked(page: Page, says: Says) -> None:
    """The dialog that asks for the operator's key."""
    says.key = "right"
    page.goto("/recovery")
    expect(page.get_by_role("dialog", name="Operators only")).to_be_visible()


STATES: list[Callable[[Page, Says], None]] = [planned, running, reported, refused, interrupted, asked, locked]


# As on the chat page: two of the four together see every colour and every layout.
@pytest.mark.parametrize(("width", "theme"), [("desk", "light"), ("phone", "dark")])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_axe_core_finds_nothing(
    page: Page, says: Says, state: Callable[[Page, Says], None], width: str, theme: str
) -> None:
    """In every state of the page, on a desk and on a phone, in light and dark, axe-core finds nothing."""
    page.set_viewport_size({"width": WIDTHS[width], "height": 844})
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    state(page, says)
    assert faults(page) == []
