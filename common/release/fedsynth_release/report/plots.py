"""The drawings of a report: shares in two tables, heat maps, intervals and shares of a whole.

Each drawing is small and shows only what the table behind it says too. It has a fixed size in its
own coordinates, and the page scales it. `svg.py` explains why no plotting library is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fedsynth_release.report import svg
from fedsynth_release.report.axes import Axis, Words

HEIGHT, LEFT = 120, 8
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
        ends: of a number, where each bar begins and ends, in ascending order; a single value begins
            where it ends. The bars after these, such as *missing*, have no place among the values.
        words: how a value on the axis is written.
    """

    labels: Sequence[str]
    reference: Sequence[float]
    generator: Sequence[float]
    error: float = 0.0
    ends: Sequence[tuple[float, float]] = ()
    words: Words = "{:.4g}".format

    @property
    def ordered(self) -> bool:
        """Whether the bars have places among values."""
        return bool(self.ends)


def overlay(column: str, shown: Overlay) -> Markup:
    """Draw one column: a density with true widths for a number, one bar a line for categories."""
    if shown.ordered:
        return _density(column, shown)
    return _lines(column, shown)


def _density(column: str, shown: Overlay) -> Markup:
    """Bars whose area is their share, on an axis of values; single values are needles."""
    count = len(shown.ends)
    axis = Axis.of(shown.ends, shown.reference[:count])
    needles = [k for k in range(count) if shown.ends[k][0] == shown.ends[k][1]]
    parts = [*_ticks(axis, shown), *_bars(axis, shown), *_needles(axis, shown, needles)]
    notes = ["logarithmic axis"] if axis.logarithmic else []
    if needles:
        tallest = 100 * max(shown.reference[k] for k in needles)
        notes.append(f"needles: single values, the most frequent is {tallest:.1f} %")
    for k in range(count, len(shown.labels)):
        real, made = 100 * shown.reference[k], 100 * shown.generator[k]
        notes.append(f"{shown.labels[k]}: {real:.1f} %, generator {made:.1f} %")
    for place, note in enumerate(notes):
        y = svg.TOP + HEIGHT + 34 + 15 * place
        parts.append(svg.text(LEFT, y, note, "tick", "start"))
    title = f"{column}: shares in the reference (bars) and in the generator (strokes)"
    height = svg.TOP + HEIGHT + 24 + 15 * len(notes)
    return svg.drawing(title, svg.WIDTH, height, parts, "overlay")


_ACROSS = svg.WIDTH - LEFT - 8
"""Width of a density."""


def _ticks(axis: Axis, shown: Overlay) -> list[Markup]:
    """Lines and texts at round values."""
    parts = []
    for tick in axis.ticks():
        along = _ACROSS * axis.at(tick)
        inside = 30 < along < _ACROSS - 30
        anchor = "middle" if inside else "start" if along < _ACROSS / 2 else "end"
        x = LEFT + along
        parts.append(svg.line(x, svg.TOP, x, svg.TOP + HEIGHT, "grid"))
        parts.append(svg.text(x, svg.TOP + HEIGHT + 16, shown.words(tick), "tick", anchor))
    return parts


def _bars(axis: Axis, shown: Overlay) -> list[Markup]:
    """The bars of ranges of values: their area is their share."""
    spans = {
        k: (axis.at(low), max(axis.at(high) - axis.at(low), 1e-9))
        for k, (low, high) in enumerate(shown.ends)
        if low < high
    }
    sides = shown.reference, shown.generator
    top = (
        max((side[k] / wide for side in sides for k, (_, wide) in spans.items()), default=1.0) or 1
    )
    bottom, parts = svg.TOP + HEIGHT, []
    for k, (start, wide) in spans.items():
        x, across = LEFT + _ACROSS * start, _ACROSS * wide
        real, made, error = (
            HEIGHT * share / wide / top
            for share in (shown.reference[k], shown.generator[k], 2 * shown.error)
        )
        box = x, bottom - real, max(across - 0.4, 0.6), real
        parts.append(svg.box(*box, "reference", _words(shown, k)))
        if error > 0 and across > 5:
            low, high = max(0.0, real - error), min(HEIGHT, real + error)
            middle = x + across / 2
            parts.append(svg.line(middle, bottom - low, middle, bottom - high, "whisker"))
        level = bottom - made
        parts.append(svg.line(x, level, x + max(across, 1.5), level, "generator"))
    return parts


def _needles(axis: Axis, shown: Overlay, needles: Sequence[int]) -> list[Markup]:
    """Single values, which have no width: their height is their share."""
    sides = shown.reference, shown.generator
    tallest = max((side[k] for side in sides for k in needles), default=0.0) or 1.0
    bottom, parts = svg.TOP + HEIGHT, []
    for k in needles:
        x, words = LEFT + _ACROSS * axis.at(shown.ends[k][0]), _words(shown, k)
        real, made = (HEIGHT * side[k] / tallest for side in sides)
        parts.append(svg.box(x - 2, bottom - real, 4, real, "reference", words))
        parts.append(svg.line(x - 5, bottom - made, x + 5, bottom - made, "generator"))
        parts.append(svg.dot(x, bottom - made, "generator-dot", 2.5, words))
    return parts


def _words(shown: Overlay, index: int) -> str:
    return (
        f"{shown.labels[index]}: reference {shown.reference[index]:.4f}, "
        f"generator {shown.generator[index]:.4f}"
    )


def _lines(column: str, shown: Overlay) -> Markup:
    """A line for each category: its name, a bar for the reference, a stroke for the generator."""
    left, row = 230.0, 18.0
    top = max([*shown.reference, *shown.generator, 1e-9])
    width = svg.WIDTH - left - 60
    parts: list[Markup] = []
    for k, label in enumerate(shown.labels):
        y = row * k + 2
        real, made = (
            width * min(max(v, 0.0), top) / top for v in (shown.reference[k], shown.generator[k])
        )
        words = _words(shown, k)
        parts.append(svg.text(left - 8, y + 12, svg.shortened(label, 34), "label", "end"))
        parts.append(svg.box(left, y + 2, max(real, 0.5), row - 6, "reference", words))
        if shown.error > 0:
            error = width * 2 * shown.error / top
            low, high = max(0.0, real - error), min(width, real + error)
            parts.append(svg.line(left + low, y + row / 2, left + high, y + row / 2, "whisker"))
        parts.append(svg.line(left + made, y, left + made, y + row - 3, "generator"))
        parts.append(svg.dot(left + made, y + row / 2 - 1, "generator-dot", 2.5, words))
        parts.append(
            svg.text(svg.WIDTH, y + 12, f"{100 * shown.reference[k]:.1f} %", "tick", "end")
        )
    title = f"{column}: shares in the reference (bars) and in the generator (strokes)"
    return svg.drawing(title, svg.WIDTH, int(row * max(1, len(shown.labels)) + 6), parts, "overlay")


def heat_map(
    title: str, names: Sequence[str], values: Sequence[Sequence[float]], top: float
) -> Markup:
    """Draw the lower triangle of a symmetric matrix; `top` is the value of the darkest shade.

    Negative values have a colour of their own.
    """
    count = len(names)
    side = max(6.0, min(26.0, 560 / max(1, count)))
    left, above, size = 110.0, 62.0, side * count
    parts: list[Markup] = []
    for i in range(count):
        y = above + i * side
        parts.append(
            svg.text(left - 5, y + side * 0.72, svg.shortened(names[i], 17), "tick", "end")
        )
        for j in range(i):
            value = abs(values[i][j])
            shade = min(SHADES, int(SHADES * value / top + 0.5)) if top > 0 else 0
            kind = f"n{shade}" if values[i][j] < 0 and shade else f"h{shade}"
            words = f"{names[i]} × {names[j]}: {values[i][j]:.3f}"
            parts.append(svg.box(left + j * side, y, side - 0.5, side - 0.5, kind, words))
        place = left + i * side + side * 0.6, y + side * 0.6
        parts.append(svg.slanted(*place, svg.shortened(names[i], 14)))
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
