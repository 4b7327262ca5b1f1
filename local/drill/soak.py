"""Several drills in a row with other seeds, and the table that they leave."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from local.drill.drill import Options
from local.drill.judge import Verdict
from local.drill.report import Report

HEAD = f"{'seed':>6}  {'':6}  {'RTO s':>7}  {'RPO s':>6}  {'lost':>4}  {'right':>5}  {'false':>5}  {'embedded':>8}"


def soak(options: Options, count: int, perform: Callable[[Options], Report]) -> list[Report]:
    """Run `count` drills, the first with the seed given; one that fails does not keep the others from running."""
    return [
        perform(replace(options, seed=seed, folder=options.folder / f"seed-{seed}"))
        for seed in range(options.seed, options.seed + count)
    ]


def table(reports: Sequence[Report]) -> str:
    """Return a line for each drill, and what did not hold."""
    lines = [HEAD]
    for report in reports:
        lines.append(_line(report))
        lines += [f"        {check.name}: {check.says}" for check in report.checks if not check.passed]
    passed = sum(report.passed for report in reports)
    return "\n".join([*lines, f"{passed} of {len(reports)} passed"])


def _line(report: Report) -> str:
    figures, record = report.record.figures, report.record
    cells = (
        f"{report.options.seed:>6}",
        f"{'ok' if report.passed else 'FAILED':6}",
        f"{_figure(figures.get('rto_seconds')):>7}",
        f"{_figure(figures.get('rpo_seconds')):>6}",
        f"{len(figures.get('lost_writes', ())):>4}",
        f"{record.verdicts()[Verdict.RIGHT]:>5}",
        f"{len(record.false_answers()):>5}",
        f"{figures.get('tokens_embedded', '-'):>8}",
    )
    return "  ".join(cells)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
