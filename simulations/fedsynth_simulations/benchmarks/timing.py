"""A part and its yardstick, timed in turn: other work on the machine meets both."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

Step = Callable[[], object]


class Timing(NamedTuple):
    """Medians, in seconds.

    Attributes:
        part: What was timed.
        columns: Of the table; 0 where there is none.
        rows: Of the table; 0 where there is none.
        seconds: Of the part.
        yardstick: What it was timed beside.
        least: Seconds of that.
    """

    part: str
    columns: int
    rows: int
    seconds: float
    yardstick: str
    least: float

    @property
    def ratio(self) -> float:
        """The part over its yardstick."""
        return self.seconds / self.least


def beside(
    part: str, step: Step, yardstick: str, least: Step, repeats: int, size: tuple[int, int] = (0, 0)
) -> Timing:
    """Time a part and its yardstick in turn, after a run of each that warms up."""
    seconds = [(seconds_of(step), seconds_of(least)) for _ in range(repeats + 1)][1:]
    ours, theirs = (statistics.median(times) for times in zip(*seconds, strict=True))
    return Timing(part, *size, ours, yardstick, theirs)


def seconds_of(step: Step) -> float:
    """How long a step takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start
