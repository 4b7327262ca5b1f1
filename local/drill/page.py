"""The report of a drill as a page that needs no other file, light or dark as its reader likes. Pure."""

from collections.abc import Iterable, Sequence
from html import escape

from local.drill.judge import FALSE, Verdict
from local.drill.plot import svg
from local.drill.record import Event
from local.drill.report import Report

STYLE = """
:root { color-scheme: light dark; --page: #fbfaf7; --card: #ffffff; --ink: #1d2126; --soft: #5d6570; --line: #e2e0da;
  --grid: #edebe5; --right: #2f6fb5; --refused: #e0a526; --failed: #c8553d; --false: #7b2d8b;
  --one: #6b7280; --two: #1d8a6b; --online: #cfe6d8; --degraded: #f3d3c8; --disabled: #dcdad4; --good: #1d7a55;
  --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --card: #1c2024; --ink: #e8e6e1; --soft: #a3abb5;
  --line: #32373d; --grid: #272c31; --right: #6ea8e5; --refused: #e9bd5a; --failed: #e58468; --false: #cf8be0;
  --one: #a3abb8; --two: #5cc9a7; --online: #234536; --degraded: #54302a; --disabled: #35393e;
  --good: #66cf9f; --bad: #f2938c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 0.2rem; } h2 { font-size: 1.05rem; margin: 2rem 0 0.6rem; }
p { margin: 0; color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.75rem; margin: 1.25rem 0; }
.tile, figure, table { background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem; }
.tile { padding: 0.7rem 0.9rem; } .tile b { display: block; font-size: 1.5rem; line-height: 1.2; font-weight: 600; }
.tile span { color: var(--soft); font-size: 0.85rem; }
figure { margin: 0; padding: 1rem; overflow-x: auto; } svg { width: 100%; min-width: 40rem; display: block; }
figcaption { display: flex; flex-wrap: wrap; gap: 0.3rem 1.1rem; color: var(--soft); font-size: 0.85rem;
  margin-top: 0.5rem; }
.key::before { content: ""; display: inline-block; width: 0.7rem; height: 0.7rem; margin-right: 0.35rem;
  border-radius: 2px; background: var(--colour); }
table { width: 100%; border-collapse: separate; border-spacing: 0; overflow: hidden; }
td, th { padding: 0.4rem 0.8rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }
tr:first-child > * { border-top: 0; } td.at { white-space: nowrap; font-variant-numeric: tabular-nums; }
td:first-child { width: 5.5rem; } td:nth-child(2) { width: 17rem; } table.lost td { width: auto; }
.ok { color: var(--good); font-weight: 600; } .no { color: var(--bad); font-weight: 600; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } svg .lane { fill: var(--ink); font-weight: 600; }
svg .mark { fill: var(--ink); } svg line.mark { stroke: var(--ink); stroke-dasharray: 3 3; }
svg .grid { stroke: var(--grid); } svg .base { stroke: var(--line); } svg .inside { fill: var(--ink); font-size: 11px; }
svg polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
.a-right { fill: var(--right); } .a-refused { fill: var(--refused); } .a-failed { fill: var(--failed); }
.a-false { fill: var(--false); } .s-one { stroke: var(--one); } .s-two { stroke: var(--two); }
.r-online { fill: var(--online); } .r-degraded { fill: var(--degraded); } .r-disabled { fill: var(--disabled); }
.r-checkingendpoint { fill: var(--grid); } .p-whole { fill: var(--right); } .p-part { fill: var(--two); }
"""
KEYS = (
    ("right", "--right"),
    ("refused (503, 429)", "--refused"),
    ("no reply", "--failed"),
    ("wrong, mixed or missing", "--false"),
    ("index of region one", "--one"),
    ("index of region two", "--two"),
)


def page(report: Report) -> str:
    """Return the page."""
    options, record = report.options, report.record
    title = f"Drill: {options.scenario}"
    outcome = '<span class="ok">passed</span>' if report.passed else '<span class="no">failed</span>'
    asked = f"{options.documents} documents, replica {options.lag:g} s behind, seed {options.seed}"
    if options.sabotage:
        asked += f", sabotaged: {options.sabotage}"
    keys = "".join(f'<span class="key" style="--colour: var({name})">{escape(text)}</span>' for text, name in KEYS)
    checks = (
        (f'<td class="{"ok" if one.passed else "no"}">{"ok" if one.passed else "failed"}</td>', one.name, one.says)
        for one in report.checks
    )
    events = ((f'<td class="at">{one.at:.1f} s</td>', one.name, one.detail) for one in _in_order(report))
    parts = [
        f"<h1>{escape(title)} {outcome}</h1>",
        f"<p>{escape(asked)}</p>",
        f'<div class="tiles">{"".join(_tile(value, name) for value, name in _tiles(report))}</div>',
        f'<figure tabindex="0">{svg(record)}<figcaption>{keys}</figcaption></figure>',  # scrolls on a phone
        f"<h2>What was to be shown</h2>{_table(checks)}",
        f"<h2>What happened</h2>{_table(events)}",
    ]
    lost: Sequence[str] = record.figures.get("lost_writes", ())
    if lost:
        parts.append(f"<h2>Lost: newer than Last Sync Time</h2>{_list(lost)}")
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _in_order(report: Report) -> Sequence[Event]:
    return sorted(report.record.events, key=lambda event: event.at)


def _tiles(report: Report) -> Iterable[tuple[str, str]]:
    """Return the figures that matter first, as (value, name)."""
    record, figures = report.record, report.record.figures
    counts = record.verdicts()
    if "rto_seconds" in figures:
        yield f"{figures['rto_seconds']:.0f} s", "RTO: from the loss to the first right answer"
        yield f"{figures['rpo_seconds']:.1f} s", f"RPO; {len(figures['lost_writes'])} writes lost, all named"
    yield f"{sum(counts[verdict] for verdict in FALSE)}", "false answers"
    yield f"{counts[Verdict.RIGHT]}", f"right answers; {counts[Verdict.REFUSED] + counts[Verdict.FAILED]} without one"
    if "tokens_embedded" in figures:
        yield f"{figures['tokens_embedded']:,}", "tokens embedded in recovery"
    if "documents_verified" in figures:
        yield f"{figures['documents_verified']:,}", f"documents verified; {figures['chunks_verified']:,} chunks"


def _tile(value: str, name: str) -> str:
    return f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'


def _list(names: Iterable[str]) -> str:
    """Return a table of one column."""
    return f'<table class="lost">{"".join(f"<tr><td>{escape(name)}</td></tr>" for name in names)}</table>'


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    """Return a table of three columns; the first cell of each row is markup already."""
    made = "".join(f"<tr>{first}<td>{escape(name)}</td><td>{escape(text)}</td></tr>" for first, name, text in rows)
    return f"<table>{made}</table>"
