"""The report of a drill: text, JSON, page, plot, and the table of a soak."""

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from local.drill.checks import Check, at_most
from local.drill.drill import Options
from local.drill.judge import Verdict
from local.drill.page import page
from local.drill.plot import svg
from local.drill.record import Answer, Flaw, Record, Sample
from local.drill.report import Report, text, write_json
from local.drill.soak import soak, table

SVG = "{http://www.w3.org/2000/svg}"


def record() -> Record:
    """Return a record with something of everything."""
    said: list[str] = []
    made = Record(said.append)
    made.mark("region one is lost", "8 <processes>", 10.0)
    made.event("rebuild ended", at=14.0)
    made.mark("users are served by region two", at=16.0)
    for at, verdict in ((5.0, Verdict.RIGHT), (11.0, Verdict.FAILED), (12.0, Verdict.REFUSED), (17.0, Verdict.RIGHT)):
        made.answers.append(Answer(at, 0.2, "one", "a.md", verdict))
    made.answers.append(Answer(18.0, 0.2, "two", "b & c.md", Verdict.MIXED, "editions 1 & 2"))
    made.answers.append(Answer(19.0, 0.2, "two", "d.md", Verdict.RIGHT, user=False))
    made.phase("detect", 10.0, 12.0)
    made.phase("rebuild", 12.0, 14.0)
    made.phase("rebuild: verifying", 13.0, 14.0)
    made.flaws.append(Flaw(3.0, "one", "a.md", "torn"))
    for at, status in ((4.0, "Online"), (12.0, "Degraded"), (20.0, "Disabled")):
        made.samples.append(Sample(at, {"one": 1.0, "two": 0.5}, {"one": status}))
    made.figures.update(
        rto_seconds=6.0, rpo_seconds=8.5, rto_phases={"detect": 2.0}, lost_writes=["x.md edition 2"], tokens_embedded=0
    )
    return made


def report(passed: bool = True) -> Report:
    return Report(Options(), record(), (Check("no false answer", passed, "4 <right>"),))


def test_every_check_has_to_hold() -> None:
    """One failed check fails the drill, and so does a drill without any."""
    good, bad = Check("a", True, ""), Check("b", False, "")
    assert Report(Options(), record(), (good,)).passed
    assert not Report(Options(), record(), (good, bad)).passed
    assert not Report(Options(), record(), ()).passed


def test_text_says_what_failed() -> None:
    """Each check is a line; the last line is the outcome."""
    said = text(report(passed=False)).splitlines()
    assert "  FAIL  no false answer: 4 <right>" in said
    assert "RPO 8.5 s, 1 writes lost" in said
    assert (said[-1], text(report()).splitlines()[-1]) == ("FAILED", "passed")


def test_json_has_everything(tmp_path: Path) -> None:
    """One report is an object, several are a list; false answers are listed with their reasons."""
    write_json([report()], tmp_path / "new" / "one.json")
    found = json.loads((tmp_path / "new" / "one.json").read_text())
    assert (found["passed"], found["scenario"], found["figures"]["rpo_seconds"]) == (True, "region-loss", 8.5)
    assert [one["why"] for one in found["false_answers"]] == ["editions 1 & 2"]
    assert [one["at"] for one in found["events"]] == [10.0, 14.0, 16.0]
    assert (len(found["every_answer"]), len(found["samples"]), len(found["flaws"])) == (6, 3, 1)
    write_json([report(), report()], tmp_path / "two.json")
    assert len(json.loads((tmp_path / "two.json").read_text())) == 2


def test_plot_is_xml_with_a_bar_for_every_kind() -> None:
    """Right, refused, failed and false answers are told apart; the drill's own questions are left out."""
    drawn = ElementTree.fromstring(svg(record()))
    titles = [title.text or "" for title in drawn.iter(f"{SVG}title")]
    counted = {kind: sum(f"1 {kind}" in title for title in titles) for kind in ("right", "refused", "failed", "false")}
    assert counted == {"right": 2, "refused": 1, "failed": 1, "false": 1}
    texts = {text.text for text in drawn.iter(f"{SVG}text")}
    assert {"region one is lost", "detect", "verifying", "answers", "index", "routing", "phases"} <= texts
    assert any("one: Degraded" in title for title in titles)


def test_plot_of_nothing_is_a_plot() -> None:
    """A drill that failed before it had begun has a page too."""
    ElementTree.fromstring(svg(Record(lambda said: None)))


def test_page_needs_no_other_file() -> None:
    """Everything is inside, all texts are escaped, and both colour schemes are there."""
    made = page(report(passed=False))
    assert not re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(?!#)\S+""", made)
    assert "<script" not in made
    assert "&lt;right&gt;" in made
    assert "<right>" not in made
    assert "8 &lt;processes&gt;" in made
    assert "prefers-color-scheme: dark" in made
    assert "x.md edition 2" in made


def test_soak_goes_on_after_a_failure(tmp_path: Path) -> None:
    """Each seed has its drill and its folder; the table counts those that passed and says what did not hold."""
    seen: list[Options] = []

    def perform(options: Options) -> Report:
        seen.append(options)
        return Report(options, record(), (Check("no false answer", options.seed != 6, "two wrong"),))

    found = soak(Options(seed=5, folder=tmp_path), 3, perform)
    assert [one.seed for one in seen] == [5, 6, 7]
    assert len({one.folder for one in seen}) == 3
    said = table(found)
    assert "2 of 3 passed" in said
    assert said.count("no false answer: two wrong") == 1


def test_long_lists_are_cut_short() -> None:
    """A line names a few and counts the others."""
    assert at_most(["a", "b", "c"], 2) == "a; b; and 1 more"
    assert at_most([]) == ""
