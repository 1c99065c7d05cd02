"""The drawings of a report: shares in two tables, heat maps, intervals and shares of a whole.

Each drawing is small and shows only what the table behind it says too. It has a fixed size in its
own coordinates, and the page scales it. `svg.py` explains why no plotting library is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fedsynth_release.report import svg

HEIGHT = 120
SHADES = 9
"""Number of shades of a heat map: classes `h0` (the value 0) to `h9` (the top of the scale)."""


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """The bars of one column in two tables.

    Attributes:
        labels: the labels of the n bars.
        reference: the share of each bar in the reference, which is real or measured.
        generator: the share of each bar in the generator's records.
        error: standard deviation of the noise on a reference share; 0 if the shares are exact.
        ordered: whether neighbouring bars are neighbouring values; the bars then touch.
    """

    labels: Sequence[str]
    reference: Sequence[float]
    generator: Sequence[float]
    error: float = 0.0
    ordered: bool = False


def overlay(column: str, shown: Overlay) -> Markup:
    """Draw the reference as bars with whiskers of two deviations, the generator as strokes."""
    count = max(1, len(shown.labels))
    slot = (svg.WIDTH - svg.LEFT) / count
    top = max([*shown.reference, *shown.generator, 1e-9])
    inset = 0.0 if shown.ordered and slot < 8 else min(slot * 0.12, 6.0)
    parts = svg.axis(HEIGHT, top, "")
    for index in range(len(shown.labels)):
        x, wide = svg.LEFT + index * slot + inset, slot - 2 * inset
        parts += _cell(shown, index, x, wide, top)
    parts += _labels(shown, slot)
    height = svg.TOP + HEIGHT + svg.BOTTOM
    title = f"{column}: shares in the reference (bars) and in the generator (strokes)"
    return svg.drawing(title, svg.WIDTH, height, parts, "overlay")


def _cell(shown: Overlay, index: int, x: float, wide: float, top: float) -> list[Markup]:
    real, synthetic = shown.reference[index], shown.generator[index]

    def level(share: float) -> float:
        return svg.TOP + HEIGHT * (1 - min(max(share, 0.0), top) / top)

    title = f"{shown.labels[index]}: reference {real:.4f}, generator {synthetic:.4f}"
    y = level(real)
    parts = [svg.box(x, y, wide, svg.TOP + HEIGHT - y, "reference", title)]
    middle = x + wide / 2
    if shown.error > 0:
        ends = level(real - 2 * shown.error), level(real + 2 * shown.error)
        parts.append(svg.line(middle, ends[0], middle, ends[1], "whisker"))
    parts.append(svg.line(x, level(synthetic), x + wide, level(synthetic), "generator"))
    if wide > 8:
        parts.append(svg.dot(middle, level(synthetic), "generator-dot", 2.5, title))
    return parts


def _labels(shown: Overlay, slot: float) -> list[Markup]:
    count = len(shown.labels)
    room = svg.spread(count, 8 if count > 8 else max(1, count))
    letters = max(3, int(slot * (1 if count <= 8 else -(-count // 8)) / 6.2))
    y = svg.TOP + HEIGHT + 16
    parts = []
    for index in room:
        words = svg.shortened(shown.labels[index], letters)
        x, half = svg.LEFT + (index + 0.5) * slot, 3 * len(words)
        fits = x + half <= svg.WIDTH
        parts.append(
            svg.text(x if fits else svg.WIDTH, y, words, "tick", "middle" if fits else "end")
        )
    return parts


def heat_map(
    title: str, names: Sequence[str], values: Sequence[Sequence[float]], top: float
) -> Markup:
    """Draw the lower triangle of a symmetric matrix; `top` is the value of the darkest shade."""
    count = len(names)
    side = max(6.0, min(26.0, 560 / max(1, count)))
    left, above, size = 110.0, 40.0, side * count
    parts: list[Markup] = []
    for i in range(count):
        y = above + i * side
        parts.append(
            svg.text(left - 5, y + side * 0.72, svg.shortened(names[i], 17), "tick", "end")
        )
        for j in range(i):
            value = abs(values[i][j])
            shade = min(SHADES, int(SHADES * value / top + 0.5)) if top > 0 else 0
            words = f"{names[i]} × {names[j]}: {values[i][j]:.3f}"
            parts.append(svg.box(left + j * side, y, side - 0.5, side - 0.5, f"h{shade}", words))
        corner = Markup('<text class="tick" transform="translate({} {}) rotate(-45)">{}</text>')
        place = svg.number(left + i * side + side * 0.6), svg.number(y + side * 0.6)
        parts.append(corner.format(*place, svg.shortened(names[i], 14)))
    beside = left + (size * 0.55 if size > 300 else size + 30)
    parts += _scale(beside, top)
    wide = max(left + size + 70, beside + 14 * (SHADES + 1) + 30)
    return svg.drawing(title, int(wide), int(above + size + 6), parts, "heat")


def _scale(x: float, top: float) -> list[Markup]:
    return [
        *(svg.box(x + shade * 14, 6, 14, 12, f"h{shade}") for shade in range(SHADES + 1)),
        svg.text(x, 32, "0", "tick"),
        svg.text(x + 14 * (SHADES + 1), 32, f"{top:.2g}", "tick"),
    ]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """One line of a drawing of intervals.

    Attributes:
        label: the label of the line.
        value: the figure.
        low, high: the confidence interval of the figure, if it has one.
        floor, ceiling: the floor and the ceiling of the figure, if it has them.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    ceiling: float | None = None


def intervals(title: str, lines: Sequence[Interval], zero: bool = False) -> Markup:
    """Draw a line per figure: a dot for it, ticks for floor and ceiling, a bar for the interval."""
    left, row = 210.0, 22.0
    shown = [v for item in lines for v in _values(item)] + ([0.0] if zero else [])
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    margin = 0.05 * (high - low) or 0.05
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return left + (svg.WIDTH - left - 24) * (value - low) / (high - low)

    bottom = row * len(lines) + 6
    parts: list[Markup] = []
    for at in svg.round_ticks(low, high):
        parts.append(svg.line(place(at), 0, place(at), bottom, "grid"))
        parts.append(svg.text(place(at), bottom + 14, f"{at:.3g}", "tick"))
    if zero:
        parts.append(svg.line(place(0.0), 0, place(0.0), bottom, "zero"))
    for index, item in enumerate(lines):
        y = row * index + row / 2 + 3
        parts.append(svg.text(left - 8, y + 4, svg.shortened(item.label, 31), "label", "end"))
        if item.floor is not None and item.ceiling is not None:
            parts.append(svg.line(place(item.floor), y, place(item.ceiling), y, "span"))
        for value, kind in ((item.floor, "floor"), (item.ceiling, "ceiling")):
            if value is not None:
                parts.append(svg.line(place(value), y - 7, place(value), y + 7, kind))
        if item.low is not None and item.high is not None:
            parts.append(svg.line(place(item.low), y, place(item.high), y, "interval"))
        words = f"{item.label}: {item.value:.3f}"
        parts.append(svg.dot(place(item.value), y, "generator-dot", 4.5, words))
    return svg.drawing(title, svg.WIDTH, int(bottom + 22), parts, "intervals")


def _values(item: Interval) -> list[float]:
    every = (item.value, item.low, item.high, item.floor, item.ceiling)
    return [value for value in every if value is not None]


def stacked(title: str, shares: Sequence[tuple[str, float]]) -> Markup:
    """Draw shares of a whole as parts of one bar."""
    parts: list[Markup] = []
    x = 0.0
    for index, (label, share) in enumerate(shares):
        wide = share * svg.WIDTH
        words = f"{label}: {100 * share:.1f} %"
        parts.append(svg.box(x, 0, max(0.5, wide - 1), 30, f"share s{index % 4}", words))
        if wide > 60:
            shown = svg.shortened(words, int(wide / 6.5))
            parts.append(svg.text(x + wide / 2, 20, shown, f"inside i{index % 4}"))
        x += wide
    return svg.drawing(title, svg.WIDTH, 34, parts, "stack")
