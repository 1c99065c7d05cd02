"""Draws the training curves of a report: one drawing per panel, one line per curve.

If a loss falls by orders of magnitude, its last values can be told apart only on a logarithmic
scale. A panel therefore uses one if all values are positive and the largest is more than `WIDE`
times the smallest. Lines differ by dashes and not by colour alone, so that they can be told apart
in print and by colour-blind readers. The names of the lines stand above them. The text for screen
readers says where each line begins, where it is lowest and where it ends.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fedsynth_release.report import svg
from fedsynth_release.report.history import Curve

HEIGHT, LEGEND = 140, 18
WIDE = 20.0
KINDS = 3
"""Number of different dashes and colours (`k0` to `k2`); a fourth line uses the first again."""
Place = Callable[[float], float]


@dataclass(frozen=True)
class Panel:
    """Curves that are drawn together.

    Attributes:
        title, unit, x: what all curves have in common; see `Curve`.
        curves: the curves, with few enough points to draw.
    """

    title: str
    unit: str
    x: str
    curves: tuple[Curve, ...]

    @property
    def values(self) -> list[float]:
        """The values of all curves."""
        return [value for curve in self.curves for value in curve.values]

    @property
    def logarithmic(self) -> bool:
        """Whether the vertical scale is logarithmic."""
        return min(self.values) > 0 and max(self.values) > WIDE * min(self.values)

    @property
    def words(self) -> str:
        """The drawing in words, for screen readers."""
        ways = (
            f"{curve.name} from {curve.values[0]:.3g} at {curve.x} {curve.steps[0]:g} to "
            f"{curve.values[-1]:.3g} at {curve.steps[-1]:g}, at the lowest {min(curve.values):.3g}"
            for curve in self.curves
        )
        unit = f" in {self.unit}" if self.unit else ""
        return f"{self.title}{unit}: {'; '.join(ways)}"

    @property
    def drawing(self) -> Markup:
        """The drawing as SVG."""
        steps = [step for curve in self.curves for step in (curve.steps[0], curve.steps[-1])]
        across = _across(min(steps), max(steps))
        low, high = self._range()
        up, ticks = (_log if self.logarithmic else _linear)(low, high)
        parts = [part for at in ticks for part in _level(up(at), at)]
        parts += _foot(min(steps), max(steps), across)
        for index, curve in enumerate(self.curves):
            parts += _line(curve, f"k{index % KINDS}", across, up)
        if len(self.curves) > 1:
            parts += _legend([curve.name for curve in self.curves])
        height = svg.TOP + LEGEND + HEIGHT + svg.BOTTOM
        return svg.drawing(self.words, svg.WIDTH, height, parts, "curves")

    def _range(self) -> tuple[float, float]:
        low, high = min(self.values), max(self.values)
        if self.logarithmic:
            return low, high
        low, high = min(0.0, low), max(0.0, high)
        return (low, high) if high > low else (low, low + 1.0)


def panels(curves: Sequence[Curve]) -> list[Panel]:
    """The panels of a history, in the order of their first curves."""
    by_title: dict[str, list[Curve]] = {}
    for curve in curves:
        by_title.setdefault(curve.title, []).append(curve.thinned())
    return [
        Panel(title, group[0].unit, group[0].x, tuple(group)) for title, group in by_title.items()
    ]


def _across(first: float, last: float) -> Place:
    room = svg.WIDTH - svg.LEFT - 8
    return lambda step: svg.LEFT + 4 + room * (step - first) / ((last - first) or 1.0)


def _linear(low: float, high: float) -> tuple[Place, list[float]]:
    return _upwards(low, high), svg.round_ticks(low, high)


def _log(low: float, high: float) -> tuple[Place, list[float]]:
    """Ticks at powers of ten; if these are few, also at two and five times them."""
    place = _upwards(math.log10(low), math.log10(high))
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    few = [10.0**power for power in powers if low <= 10.0**power <= high]
    more = [unit * 10.0**power for power in powers for unit in (1, 2, 5)]
    ticks = few if len(few) > 3 else [at for at in more if low <= at <= high]
    return lambda value: place(math.log10(value)), ticks


def _upwards(low: float, high: float) -> Place:
    bottom = svg.TOP + LEGEND + HEIGHT
    return lambda value: bottom - HEIGHT * (value - low) / (high - low)


def _level(y: float, value: float) -> list[Markup]:
    words = svg.text(svg.LEFT - 5, y + 4, f"{value:.3g}", "tick", "end")
    return [svg.line(svg.LEFT, y, svg.WIDTH, y, "grid"), words]


def _foot(first: float, last: float, across: Place) -> list[Markup]:
    """Labels at round steps below the drawing; if there is a single step, its label."""
    y = svg.TOP + LEGEND + HEIGHT
    ticks = svg.round_ticks(first, last) if last > first else [first]
    whole = [at for at in ticks if at == int(at)]
    return [svg.text(min(across(at), svg.WIDTH - 12), y + 16, f"{at:g}", "tick") for at in whole]


def _line(curve: Curve, kind: str, across: Place, up: Place) -> list[Markup]:
    points = [(across(x), up(y)) for x, y in zip(curve.steps, curve.values, strict=True)]
    way = " ".join(f"{svg.number(x)},{svg.number(y)}" for x, y in points)
    end = svg.dot(*points[-1], f"point {kind}", 3.0, f"{curve.name}: {curve.values[-1]:.3g}")
    return [Markup('<polyline class="curve {}" points="{}"/>').format(kind, way), end]


def _legend(names: Sequence[str]) -> list[Markup]:
    """A short stroke and the name of each line, above the drawing."""
    slot = (svg.WIDTH - svg.LEFT) / len(names)
    parts = []
    for index, name in enumerate(names):
        x = svg.LEFT + index * slot
        parts.append(svg.line(x, svg.TOP + 2, x + 26, svg.TOP + 2, f"curve k{index % KINDS}"))
        shown = svg.shortened(name, int((slot - 40) / 5.5))
        parts.append(svg.text(x + 32, svg.TOP + 6, shown, "label", "start"))
    return parts
