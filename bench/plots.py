"""Plots of benchmarks as SVG, light or dark as the reader has it: bars in groups, and curves. Lengths in pixels."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape

WIDTH = 860
ROW, LABEL, BAR, HEAD, GAP = 22, 250, 520, 34, 18  # of bars
LEFT, RIGHT, TOP, HEIGHT = 60, 270, 16, 300  # of curves; their names stand to the right
COLOURS = ("#0b6e6e", "#c8553d", "#2f6fb5", "#b07d12", "#7b2d8b", "#5d6570")
DARK = ("#4fc3b8", "#e58468", "#6ea8e5", "#e9bd5a", "#cf8be0", "#a3abb5")
MOST_TICKS = 6

Points = Sequence[tuple[float, float]]


def bars(label: str, groups: Mapping[str, Mapping[str, float]], ours: Collection[str]) -> str:
    """Return groups of bars, each group on a scale of its own; those named in `ours` stand out."""
    parts: list[str] = []
    top = 0
    for title, group in groups.items():
        parts.append(f'<text x="0" y="{top + 20}" font-weight="600">{escape(title)}</text>')
        most = max(group.values()) or 1
        for number, (name, value) in enumerate(group.items()):
            y, width = top + HEAD + number * ROW, max(1, round(BAR * value / most))
            kind = "own" if name in ours else "other"
            parts += [
                f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
                f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{width}" height="{ROW - 6}" rx="2"/>',
                f'<text x="{LABEL + width + 6}" y="{y + 13}">{_figure(value)}</text>',
            ]
        top += HEAD + GAP + ROW * len(group)
    return _svg(label, top, parts)


def lines(label: str, series: Mapping[str, Points], across: str, up: str, logarithmic: bool = False) -> str:
    """Return curves over one pair of axes; a series of a single point is a dot."""
    points = [point for one in series.values() for point in one]
    x = _Axis([at for at, _ in points], LEFT, WIDTH - RIGHT, logarithmic)
    y = _Axis([value for _, value in points], TOP + HEIGHT, TOP, logarithmic)
    parts = [
        f'<text x="{LEFT}" y="{TOP - 3}">{escape(up)}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{TOP + HEIGHT + 36}" text-anchor="end">{escape(across)}</text>',
    ]
    for tick in y.ticks():
        at = y.place(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{_figure(tick)}</text>')
    for tick in x.ticks():
        at = x.place(tick)
        parts.append(f'<text x="{at:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{_figure(tick)}</text>')
    for number, (name, one) in enumerate(series.items()):
        kind, row = f"c{number % len(COLOURS)}", TOP + 12 + number * ROW
        places = [(x.place(at), y.place(value)) for at, value in one]
        path = " ".join(f"{at:.1f},{value:.1f}" for at, value in places)
        parts.append(f'<polyline class="{kind}" points="{path}"/>')
        parts += [f'<circle class="{kind}" cx="{at:.1f}" cy="{value:.1f}" r="3.5"/>' for at, value in places]
        parts.append(f'<circle class="{kind}" cx="{WIDTH - RIGHT + 20}" cy="{row - 4}" r="5"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 32}" y="{row}">{escape(name)}</text>')
    return _svg(label, TOP + HEIGHT + 46, parts)


class _Axis:
    """From figures to places between two ends, by their size or by its logarithm."""

    def __init__(self, values: Sequence[float], start: float, end: float, logarithmic: bool) -> None:
        self._logarithmic = logarithmic
        if logarithmic:
            values = [math.log10(value) for value in values if value > 0]
            self._step = 1.0
        else:
            spread = (max(values) - min(values)) or 1.0
            power = 10 ** math.floor(math.log10(spread / MOST_TICKS))
            self._step = next(power * by for by in (1, 2, 5, 10) if spread / (power * by) <= MOST_TICKS)
        self._low = math.floor(min(values) / self._step)
        self._high = max(self._low + 1, math.ceil(max(values) / self._step))
        self._start, self._end = start, end

    def ticks(self) -> Iterator[float]:
        """Yield round figures from end to end."""
        for number in range(self._low, self._high + 1):
            yield 10.0**number if self._logarithmic else number * self._step

    def place(self, value: float) -> float:
        """Return where a figure stands; what is 0 has no logarithm, and stands at the low end."""
        if self._logarithmic:
            value = math.log10(value) if value > 0 else float(self._low)
        share = (value / self._step - self._low) / (self._high - self._low)
        return self._start + (self._end - self._start) * min(max(share, 0.0), 1.0)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _svg(label: str, height: int, parts: Sequence[str]) -> str:
    light = "".join(f".c{number}{{--c:{colour}}}" for number, colour in enumerate(COLOURS))
    dark = "".join(f".c{number}{{--c:{colour}}}" for number, colour in enumerate(DARK))
    style = (
        f"text{{fill:#222}}.own{{fill:#0b6e6e}}.other{{fill:#b9b9b9}}.grid{{stroke:#d8d8d8}}{light}"
        "circle{fill:var(--c)}polyline{fill:none;stroke:var(--c);stroke-width:2}"
        "@media(prefers-color-scheme:dark){text{fill:#ddd}.own{fill:#4fc3b8}.other{fill:#666}"
        f".grid{{stroke:#444}}{dark}}}"
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(label)}" font-family="system-ui, sans-serif" font-size="13">'
    )
    return "\n".join([head, f"<style>{style}</style>", *parts, "</svg>", ""])
