"""`make publish`: write what the benchmarks measured into docs/benchmarks.md, as tables and plots.

Each benchmark has its part of that page between two marks. The part of one whose bench/results/NAME.json is there is
made anew; the others, and the words around them, stay as they are.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import chat, drill, history, index, rebuild, search, side_by_side
from bench.report import RESULTS, ROOT, Figures, Table, marks_table
from bench.simulation import shown

PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = PAGE.parent / "images"


@dataclass(frozen=True, slots=True)
class Section:
    """How a benchmark is run, and how its figures are shown."""

    command: str
    tables: Callable[[Figures], Iterator[Table]]
    plot: Callable[[Figures], str] | None = None
    says: str = ""  # what its plot shows


SECTIONS: Mapping[str, Section] = {
    "search": Section("make bench-search", search.tables),
    "history": Section("make bench-history", history.tables, history.plot, "Re-embedded over changed, by mean chunk"),
    "index": Section("make bench-index", index.tables),
    "rebuild": Section("make bench-rebuild", rebuild.tables, rebuild.plot, "Phases, and hours for larger lakes"),
    "side_by_side": Section(
        "make bench-peers", side_by_side.tables, side_by_side.plot, "Embedded tokens by work and pipeline"
    ),
    "drill": Section("make bench-drill", drill.tables, drill.plot, "Parts of the recovery time"),
    "soak": Section("make drill-soak", drill.tables),
    "simulation": Section("make bench-simulation", shown.tables, shown.plot, "Hours to rebuild by size of the lake"),
    "chat": Section("make bench-chat", chat.tables),
}


def part(name: str, found: Figures) -> str:
    """Return a benchmark's part of the page."""
    section, machine = SECTIONS[name], found["machine"]
    versions = ", ".join(f"{package} {version}" for package, version in found["versions"].items())
    head = (
        f"`{section.command}`, {found['at'][:10]}, {machine['cores']} cores, {machine['memory_gb']:g} GB, "
        f"{machine['system']} {machine['processor']}, Python {found['python']}, {versions}."
    )
    parts = [head]
    if section.plot:
        parts.append(f"![{section.says}](images/{image(name)})")
    tables = [*section.tables(found), *([marks_table(found["marks"])] if found["marks"] else [])]
    return "\n\n".join([*parts, *(one.markdown() for one in tables)])


def image(name: str) -> str:
    """Return the file name of a benchmark's plot."""
    return f"{name.replace('_', '-')}.svg"


def replaced(page: str, name: str, text: str) -> str:
    """Return the page with one part made anew. Raises ValueError when its marks are not there."""
    begin, end = f"<!-- bench {name}: begin -->", f"<!-- bench {name}: end -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page does not have the marks {begin} and {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def publish(results: Path, page: Path, images: Path) -> list[str]:
    """Publish what is there; returns the names. Raises ValueError when the page lacks marks, and changes nothing."""
    text, plots = page.read_text(encoding="utf-8"), dict[str, str]()
    published = []
    for name, section in SECTIONS.items():
        file = results / f"{name}.json"
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"quick": True}
        if found.get("quick"):  # a quick run is for trying, not for the page
            continue
        text = replaced(text, name, part(name, found))
        if section.plot:
            plots[image(name)] = section.plot(found)
        published.append(name)
    page.write_text(text, encoding="utf-8")
    for file_name, svg in plots.items():
        (images / file_name).write_text(svg, encoding="utf-8")
    return published


def main() -> int:
    """Publish; returns the exit code."""
    try:
        published = publish(RESULTS, PAGE, IMAGES)
    except ValueError as fault:
        print(f"bench.publish: {fault}", file=sys.stderr)
        return 1
    for name, section in SECTIONS.items():
        done = "published" if name in published else f"left as it is: {section.command} has no whole result here"
        print(f"  {name:13} {done}")
    return 0 if published else 2


if __name__ == "__main__":
    sys.exit(main())
