"""The page of benchmarks is made from their results: tables, marks and plots, and nothing else of it is touched."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bench import chat, drill, history, rebuild, search, side_by_side
from bench.publish import PAGE, SECTIONS, image, publish, replaced
from bench.report import Figures, Mark, Table, finish, marks_table
from bench.simulation import shown
from local.drill.report import write_json
from tests.bench.figures import FIGURES, blank_page, drilled, write
from tests.drill.test_report import report


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with a part for every benchmark."""
    file = tmp_path / "benchmarks.md"
    file.write_text(blank_page(), encoding="utf-8")
    return file


def part(page: Path, name: str) -> str:
    """Return a benchmark's part of the page."""
    text = page.read_text(encoding="utf-8").partition(f"<!-- bench {name}: begin -->\n")[2]
    return text.partition(f"\n<!-- bench {name}: end -->")[0]


def test_every_benchmark_has_its_place_on_the_page() -> None:
    """The real page has marks for each, once, and the results here are of each."""
    text = PAGE.read_text(encoding="utf-8")
    for name in SECTIONS:
        assert text.count(f"<!-- bench {name}: begin -->") == text.count(f"<!-- bench {name}: end -->") == 1
        assert replaced(text, name, "x") != text
    assert set(FIGURES) == set(SECTIONS)


def test_publishing_twice_gives_the_same_bytes(tmp_path: Path, page: Path) -> None:
    """All results are there: everything is published, plots are XML, and a second time changes nothing."""
    for name in SECTIONS:
        write(tmp_path, name)
    assert publish(tmp_path, page, tmp_path) == list(SECTIONS)
    files = [page, *sorted(tmp_path.glob("*.svg"))]
    first = {file.name: file.read_bytes() for file in files}
    assert set(first) - {page.name} == {image(name) for name, section in SECTIONS.items() if section.plot}
    for file in files[1:]:
        drawn = ElementTree.fromstring(file.read_text(encoding="utf-8"))
        assert len(list(drawn)) > 3
        assert f"](images/{file.name})" in first[page.name].decode()
    assert publish(tmp_path, page, tmp_path) == list(SECTIONS)
    assert {file.name: file.read_bytes() for file in files} == first
    assert b"as it was" not in first[page.name]
    for name in SECTIONS:
        assert f"Words before {name}." in first[page.name].decode()


def test_a_missing_result_leaves_its_part(tmp_path: Path, page: Path) -> None:
    """Only what was measured is made anew; a quick run does not count."""
    write(tmp_path, "rebuild")
    write(tmp_path, "history", quick=True)
    assert publish(tmp_path, page, tmp_path) == ["rebuild"]
    assert [name for name in SECTIONS if part(page, name) != "as it was"] == ["rebuild"]
    assert [file.name for file in tmp_path.glob("*.svg")] == ["rebuild.svg"]


def test_a_page_without_marks_is_left_alone(tmp_path: Path, page: Path) -> None:
    """Nothing is written when a part cannot be found."""
    write(tmp_path, "chat")
    write(tmp_path, "rebuild")
    text = page.read_text(encoding="utf-8").replace("<!-- bench chat: end -->", "")
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="bench chat: end"):
        publish(tmp_path, page, tmp_path)
    assert page.read_text(encoding="utf-8") == text
    assert not list(tmp_path.glob("*.svg"))


def test_a_missed_mark_is_printed_as_missed(tmp_path: Path, page: Path) -> None:
    """Both outcomes stand in the table, with what was measured and the mark."""
    write(tmp_path, "rebuild")
    publish(tmp_path, page, tmp_path)
    lines = part(page, "rebuild").splitlines()
    assert "| share | 0.91 | at least 0.85 | met |" in lines
    assert "| memory | 1.31 | at most 1.2 | MISSED |" in lines


def test_the_machine_and_the_versions_are_named(tmp_path: Path, page: Path) -> None:
    """A part begins with the command, the day, the machine and the packages; peers have theirs."""
    write(tmp_path, "side_by_side")
    publish(tmp_path, page, tmp_path)
    found = part(page, "side_by_side")
    head = "`make bench-peers`, 2026-11-26, 2 cores, 8.3 GB, Linux x86_64, Python 3.13.0, numpy 2.5.5."
    assert found.splitlines()[0] == head
    assert "| a plain script | 1000 200 | openai==3.54.0 |" in found


def test_the_better_peer_is_bold(tmp_path: Path, page: Path) -> None:
    """Whoever has the least of a column stands out, whoever it is."""
    write(tmp_path, "side_by_side")
    publish(tmp_path, page, tmp_path)
    rows = [line for line in part(page, "side_by_side").splitlines() if line.startswith("| Warmlake")]
    assert rows[0] == "| Warmlake | 2.5 | **10** | **3** | 0 | 0 | 0 | 0 |"
    assert part(page, "side_by_side").count("| a plain script | **1.5** |") == 5


def test_a_rebuild_is_extrapolated_with_its_formula(tmp_path: Path, page: Path) -> None:
    """1M and 10M chunks at several rates, beside the hours that embedding under quota takes."""
    write(tmp_path, "rebuild")
    publish(tmp_path, page, tmp_path)
    found = part(page, "rebuild")
    assert "Hours for larger lakes = chunks / (chunks/s that the service takes x 0.91)" in found
    assert "19.0 h or 6.7 h for 1,000,000 chunks" in found
    assert "| 10,000,000 | 1,000 | 3.05 | 190 | 66.7 |" in found
    assert "| recovery | 700 | 5 |" in found


def test_a_drill_is_a_row(tmp_path: Path, page: Path) -> None:
    """RTO with its parts, RPO in seconds and versions, wrong answers, tokens; what failed is named."""
    write(tmp_path, "soak")
    publish(tmp_path, page, tmp_path)
    found = part(page, "soak")
    assert "| 1 | 41 | 18 | 0 | 14 | 2 | 7 | 8.9 | 8.4 | 1 | 0 | 131 | 0 | 58 | 14 of 14 |" in found
    assert "| 2 | 41 | 18 | 0 | 14 | 2 | 7 | 8.9 | 8.4 | 1 | 1 | 131 | 0 | 58 | 13 of 14 |" in found
    assert r"| 2 | no false answer: 1 mixed \| torn |" in found
    soaked = {"drills": [drilled(1), drilled(2, wrong=1)]}
    assert [mark.met for mark in drill.marks(soaked)] == [False, False]
    assert [mark.met for mark in drill.marks({"drills": [drilled(1)]})] == [True, True]


def test_a_drill_that_broke_off_has_a_row_too() -> None:
    """What it did not come to is none, and its failed check is kept."""
    report = {
        "options": {"seed": 7},
        "passed": False,
        "checks": [{"name": "the scenario runs to its end", "passed": False, "says": "no answer"}],
        "figures": {},
        "answers": {},
        "false_answers": [],
    }
    found = drill.row(report)
    assert (found["rto_seconds"], found["lost_versions"], found["right_answers"]) == (None, None, 0)
    assert found["failed_checks"] == ["the scenario runs to its end: no answer"]
    options = {"scenario": "region-loss", "documents": 60, "lag": 8.0}
    first = next(drill.tables({"options": options, "drills": [found]}))
    assert "| 7 | - |" in first.markdown()


def test_a_result_has_its_marks_and_its_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed is what is written; one missed mark makes the exit code 1."""
    monkeypatch.setattr("bench.report.RESULTS", tmp_path)
    monkeypatch.setattr("bench.report.ROOT", tmp_path)
    rows = [("a", 1.5, None), ("bb", 200.4, 3)]
    good, bad = Mark("fast", 2.0, "at least 1", True), Mark("small", 9, "at most 3", False)
    assert finish("trial", {"chunks": 5}, [Table("T", ("", "x", "y"), rows, "Said.")], ["numpy"], [good]) == 0
    assert finish("trial", {"chunks": 5}, [], ["numpy"], [good, bad]) == 1
    found = json.loads((tmp_path / "trial.json").read_text(encoding="utf-8"))
    assert found["machine"]["cores"] and found["machine"]["memory_gb"] and found["versions"]["numpy"]
    assert found["marks"]["small"] == {"measured": 9, "mark": "at most 3", "met": False}
    printed = capsys.readouterr().out
    assert "  bb  200  3\n  Said.\n" in printed
    assert "MISSED" in marks_table(found["marks"]).text() and "MISSED" in printed


@pytest.mark.parametrize(
    ("name", "marks", "missed"),
    [
        ("search", search.marks, 5),
        ("history", history.marks, 0),
        ("rebuild", rebuild.marks, 1),
        ("side_by_side", side_by_side.marks, 1),
        ("simulation", shown.marks, 0),
        ("chat", chat.marks, 1),
    ],
)
def test_marks_follow_from_the_figures(name: str, marks: Callable[[Figures], Iterator[Mark]], missed: int) -> None:
    """Each has a name of its own, and is met or missed by what was measured."""
    found = list(marks(FIGURES[name]))
    assert len({mark.what for mark in found}) == len(found) > 0
    assert sum(not mark.met for mark in found) == missed


def test_the_drills_own_report_is_what_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Several drills are a soak, one is a drill; arguments go to the drill, and its whole report where it is wanted."""
    monkeypatch.setattr("bench.report.RESULTS", tmp_path)
    monkeypatch.setattr("bench.report.ROOT", tmp_path)
    kept = tmp_path / "kept.json"
    asked: list[list[str]] = []

    def drilling(command: list[str], **_: object) -> CompletedProcess[str]:
        asked.append(command[2:])
        write_json([report()] * (2 if "--soak" in command else 1), Path(command[-1]))
        return CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", drilling)
    for arguments, name in ((["--json", str(kept), "--soak", "2"], "soak"), (["--seed", "4"], "drill")):
        monkeypatch.setattr(sys, "argv", ["bench.drill", *arguments])
        assert drill.main() == 1  # the report has a wrong answer
        found = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        assert {one["rto_seconds"] for one in found["drills"]} == {6.0}
        assert found["marks"]["wrong answers"]["measured"] == len(found["drills"])
    assert asked[0] == ["local", "drill", "--soak", "2", "--json", str(kept)]
    assert len(json.loads(kept.read_text(encoding="utf-8"))) == 2
