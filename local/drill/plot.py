"""The plot of a drill as one SVG: answers, completeness of the indexes, routing and phases over the same time. Pure.

Colours are classes, so that the page can have them light or dark. Lengths are in the plot's own units.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from local.drill.judge import FALSE, Verdict
from local.drill.record import Phase, Record, Sample

WIDTH, LEFT, RIGHT = 1_000.0, 92.0, 16.0
MOST_BINS = 100
BEFORE = 2.0  # seconds shown before the first question
BINS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds
TICKS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
MOST_TICKS = 14
GAP = 34.0  # between two lanes
ANSWERS_HEIGHT, SHARE_HEIGHT, BAR_HEIGHT, BAR_GAP = 130.0, 90.0, 16.0, 4.0
LABEL_WIDTH = 6.4  # of a character, at most
MARK_ROWS, MARK_HEIGHT = 3, 14.0
SHORTEST = 0.05  # seconds of a phase that is shown

KINDS = ("right", "refused", "failed", "false")  # how answers are stacked, from below
REGIONS = ("one", "two")


class _Scale:
    """From seconds to horizontal places. The time before the load begins is left out."""

    def __init__(self, start: float, end: float) -> None:
        self.start = start
        self.seconds = max(end - start, 1.0)

    def x(self, at: float) -> float:
        share = min(max(at - self.start, 0.0), self.seconds) / self.seconds
        return LEFT + (WIDTH - LEFT - RIGHT) * share


def svg(record: Record) -> str:
    """Return the plot."""
    asked = [answer.at for answer in record.answers]
    ends = asked + [event.at for event in record.events]
    scale = _Scale(math.floor(max(0.0, min(asked, default=BEFORE) - BEFORE)), math.ceil(max(ends, default=1.0)))
    parts: list[str] = []
    top = MARK_ROWS * MARK_HEIGHT + 8
    phases = [phase for phase in record.phases if phase.seconds >= SHORTEST or ":" not in phase.name]
    for title, height, drawn in (
        ("answers", ANSWERS_HEIGHT, _answers(record, scale, top)),
        ("index", SHARE_HEIGHT, _shares(record.samples, scale, top + ANSWERS_HEIGHT + GAP)),
    ):
        parts += [_lane(title, top), *drawn]
        top += height + GAP
    routing = list(_routing(record.samples, scale, top))
    parts += [_lane("routing", top), *routing]
    top += len(REGIONS) * (BAR_HEIGHT + BAR_GAP) + GAP - BAR_GAP
    parts += [_lane("phases", top), *_phases(phases, scale, top)]
    bottom = top + max(1, len(phases)) * (BAR_HEIGHT + BAR_GAP)
    marks = list(_marks(record, scale, bottom))
    parts = [*_axis(scale, bottom), *marks, *parts]
    label = "Answers, completeness of the indexes, routing and phases of the drill over time"
    body = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {bottom + 30:g}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg">\n{body}\n</svg>'
    )


def _lane(title: str, top: float) -> str:
    return f'<text class="lane" x="0" y="{top + 11:g}">{escape(title)}</text>'


# ---- answers -------------------------------------------------------------------------------------------------------


def _answers(record: Record, scale: _Scale, top: float) -> Iterator[str]:
    """Stack the answers of each bin by when they came: right ones at the bottom, those that must not be on top."""
    size = next((one for one in BINS if scale.seconds / one <= MOST_BINS), BINS[-1])
    bins: dict[int, Counter[str]] = {}
    for answer in filter(lambda answer: answer.user, record.answers):
        bins.setdefault(int((answer.at + answer.seconds) // size), Counter())[_kind(answer.verdict)] += 1
    most = max((sum(counts.values()) for counts in bins.values()), default=1)
    base = top + ANSWERS_HEIGHT
    yield f'<line class="base" x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{base:g}" y2="{base:g}"/>'
    yield f'<text class="tick" x="{LEFT - 8:g}" y="{top + 9:g}" text-anchor="end">{most}</text>'
    yield f'<text class="tick" x="{LEFT - 8:g}" y="{base:g}" text-anchor="end">0</text>'
    yield f'<text class="unit" x="0" y="{top + 26:g}">in {size:g} s</text>'
    for number, counts in sorted(bins.items()):
        left, right = scale.x(number * size), scale.x((number + 1) * size)
        y = base
        for kind in KINDS:
            if counts[kind]:
                height = ANSWERS_HEIGHT * counts[kind] / most
                y -= height
                said = f"{number * size:g} s: {counts[kind]} {kind}"
                yield _bar(f"a-{kind}", left, y, max(1.0, right - left - 1.5), height - 0.8, said)


def _kind(verdict: Verdict) -> str:
    return "false" if verdict in FALSE else str(verdict)


# ---- completeness --------------------------------------------------------------------------------------------------


def _shares(samples: Sequence[Sample], scale: _Scale, top: float) -> Iterator[str]:
    base = top + SHARE_HEIGHT
    for share in (0.0, 0.5, 1.0):
        y = base - SHARE_HEIGHT * share
        yield f'<line class="grid" x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y:g}" y2="{y:g}"/>'
        yield f'<text class="tick" x="{LEFT - 8:g}" y="{y + 4:g}" text-anchor="end">{share:.0%}</text>'
    for region in REGIONS:
        points = [
            f"{scale.x(sample.at):.1f},{base - SHARE_HEIGHT * sample.complete.get(region, 0.0):.1f}"
            for sample in samples
        ]
        if points:
            yield f'<polyline class="s-{region}" points="{" ".join(points)}"><title>region {region}</title></polyline>'


# ---- routing and phases --------------------------------------------------------------------------------------------


def _routing(samples: Sequence[Sample], scale: _Scale, top: float) -> Iterator[str]:
    """One bar a region, coloured by its state in Traffic Manager."""
    for place, region in enumerate(REGIONS):
        y = top + place * (BAR_HEIGHT + BAR_GAP)
        yield f'<text class="tick" x="{LEFT - 8:g}" y="{y + 12:g}" text-anchor="end">{region}</text>'
        states = [(sample.at, sample.endpoints.get(region, "")) for sample in samples]
        runs = [(state, [at for at, _ in run]) for state, run in groupby(states, key=lambda one: one[1])]
        for number, (state, moments) in enumerate(runs):
            end = runs[number + 1][1][0] if number + 1 < len(runs) else moments[-1]
            if state:
                left, right = scale.x(moments[0]), scale.x(end)
                yield _bar(f"r-{state.lower()}", left, y, max(1.0, right - left), BAR_HEIGHT, f"{region}: {state}")
                yield _inside(state, left, right, y)


def _phases(phases: Sequence[Phase], scale: _Scale, top: float) -> Iterator[str]:
    """One row a phase, with its name before it and its seconds behind."""
    for place, phase in enumerate(phases):
        y = top + place * (BAR_HEIGHT + BAR_GAP)
        left, right = scale.x(phase.start), scale.x(phase.end)
        part = ":" in phase.name
        name = phase.name.removeprefix("rebuild: ")
        yield _bar("p-part" if part else "p-whole", left, y, max(2.0, right - left), BAR_HEIGHT, phase.name)
        yield f'<text class="tick" x="{left - 6:.1f}" y="{y + 12:.1f}" text-anchor="end">{escape(name)}</text>'
        yield f'<text class="tick" x="{max(right, left + 2) + 6:.1f}" y="{y + 12:.1f}">{phase.seconds:.1f} s</text>'


def _bar(kind: str, x: float, y: float, width: float, height: float, title: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(0.5, height):.1f}" rx="1.5">'
        f"<title>{escape(title)}</title></rect>"
    )


def _inside(text: str, left: float, right: float, y: float) -> str:
    """Label a bar that has room for it."""
    if right - left < LABEL_WIDTH * len(text) + 6:
        return ""
    return (
        f'<text class="inside" x="{(left + right) / 2:.1f}" y="{y + 12:.1f}" text-anchor="middle">{escape(text)}</text>'
    )


# ---- axis ----------------------------------------------------------------------------------------------------------


def _axis(scale: _Scale, bottom: float) -> Iterator[str]:
    step = next((one for one in TICKS if scale.seconds / one <= MOST_TICKS), TICKS[-1])
    for number in range(math.ceil(scale.start / step), int((scale.start + scale.seconds) // step) + 1):
        x = scale.x(number * step)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{MARK_ROWS * MARK_HEIGHT:g}" y2="{bottom:g}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{bottom + 18:g}" text-anchor="middle">{number * step:g} s</text>'


def _marks(record: Record, scale: _Scale, bottom: float) -> Iterator[str]:
    """Draw a line at each moment that matters; a name that would run into the one before stands a row lower."""
    ends = [0.0] * MARK_ROWS
    for name, at in record.marks:
        x = scale.x(at)
        width = LABEL_WIDTH * len(name)
        left = x + 4 if x + 4 + width < WIDTH else x - 4 - width
        row = next((number for number, end in enumerate(ends) if end < left), 0)
        ends[row] = left + width
        y = 12 + row * MARK_HEIGHT
        yield f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8:g}" y2="{bottom:g}"/>'
        yield f'<text class="mark" x="{left:.1f}" y="{y:g}">{escape(name)}</text>'
