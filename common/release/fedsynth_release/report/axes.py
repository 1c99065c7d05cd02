"""Where the values of a number lie in a drawing: a straight axis, or a logarithmic one for long tails.

On a straight axis, a tail that reaches far beyond the middle half of the records leaves no room for
them. Then the axis is logarithmic on both sides of 0: log(1 + |x| / unit), where the unit is about the
smallest value that can be told from 0.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fedsynth_release.report import svg

LONG = 20.0
"""An axis is logarithmic if its whole length is more than so many times that of the middle half."""
MOST_TICKS = 7


@dataclass(frozen=True)
class Axis:
    """An axis of values.

    Attributes:
        low, high: its ends, as values.
        unit: of a logarithmic axis; 0 if the axis is straight.
    """

    low: float
    high: float
    unit: float = 0.0

    @classmethod
    def of(cls, ends: Sequence[tuple[float, float]], shares: Sequence[float]) -> "Axis":
        """The axis for bars from `ends` that hold `shares` of the records; both in ascending order."""
        low, high = ends[0][0], max(end for _, end in ends)
        if high <= low:
            return cls(low - 0.5, high + 0.5)
        middle = [_quantile(ends, shares, q) for q in (0.25, 0.75)]
        half = middle[1] - middle[0]
        wide = half <= 0 or (high - low) > LONG * half
        unit = max(abs(middle[0]), abs(middle[1]), (high - low) / 1e4) / 10
        return cls(low, high, unit if wide and unit > 0 else 0.0)

    @property
    def logarithmic(self) -> bool:
        """Whether the axis is logarithmic."""
        return self.unit > 0

    def _place(self, value: float) -> float:
        if not self.unit:
            return value
        return math.copysign(math.log1p(abs(value) / self.unit), value)

    def at(self, value: float) -> float:
        """The place of a value, from 0 at the low end to 1 at the high end."""
        first, last = self._place(self.low), self._place(self.high)
        return (self._place(min(max(value, self.low), self.high)) - first) / (last - first)

    def ticks(self) -> list[float]:
        """Round values on the axis."""
        if not self.unit:
            return svg.round_ticks(self.low, self.high)
        top = max(abs(self.low), abs(self.high))
        powers = [10.0**k for k in range(math.floor(math.log10(self.unit)), 1 + _ceil10(top))]
        values = sorted({0.0, *powers, *(-power for power in powers)})
        inside = [value for value in values if self.low <= value <= self.high]
        return [inside[k] for k in svg.spread(len(inside), MOST_TICKS)]


def _ceil10(value: float) -> int:
    return math.ceil(math.log10(value)) if value > 0 else 0


def _quantile(ends: Sequence[tuple[float, float]], shares: Sequence[float], q: float) -> float:
    """The value below which a share q lies, with straight lines inside the bars."""
    left = q * sum(shares)
    for (low, high), share in zip(ends, shares, strict=True):
        if left <= share:
            return low + (high - low) * (left / share if share > 0 else 0.0)
        left -= share
    return ends[-1][1]


Words = Callable[[float], str]
"""A value as a text for people."""
