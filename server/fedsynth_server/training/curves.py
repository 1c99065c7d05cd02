"""Writes down how the training goes, for `history.json` and the report: the curves of a study.

The trainers hand over numbers that they have computed anyway; nothing here is read back, draws a random
number or touches a weight, so a study with and without it ends with the same bytes. All of it follows
from released messages (noisy marginals, discriminators trained with DP-SGD) and from the coordinator's
own synthetic rows: post-processing, free of privacy cost. A study that is resumed trains again from its
journal, so its curves are whole.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from fedsynth_release.report.history import Curve


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a curve shows; see `Curve` for the fields."""

    panel: str
    name: str
    unit: str = ""
    x: str
    note: str


NOISE = "variances of their noise"
FIT = Line(
    panel="Fit to the measured marginals",
    name="fit",
    unit=NOISE,
    x="step",
    note="mean squared distance of the generator's cells from the measured ones, cleaned of noise; "
    "at 1 they differ by as much as the noise",
)
IN_ROUNDS = Line(
    panel="Marginals in the rounds and afterwards",
    name="rounds",
    unit=NOISE,
    x="generator step",
    note="the same distance while the generator learns from the discriminators. Below the distance "
    "at which a fit ends, what is left is noise: the curve does not go below it",
)
REFIT = Line(
    panel=IN_ROUNDS.panel,
    name="refit",
    unit=NOISE,
    x=IN_ROUNDS.x,
    note="the same distance of the rounds' moving average, while the generator is fitted to the "
    "measured marginals again",
)
ADVERSARIAL = Line(
    panel="Generator against the discriminators",
    name="adversarial loss",
    unit="nats",
    x="generator step",
    note="minus the mean over its rows of the discriminators' log ratios, summed over columns. The "
    "lower it is, the more real the rows look; if nothing tells them from records it is 0, apart from "
    "noise",
)
OUTPUT = Line(
    panel="Discriminators on synthetic rows",
    name="probability of being real",
    x="message",
    note="mean over 1,000 of the generator's rows of the sigmoid of the log ratios, summed over "
    "columns; it is 0.5 if nothing tells them from records",
)
ACCURACY = Line(
    panel=OUTPUT.panel,
    name="share recognised as synthetic",
    x=OUTPUT.x,
    note="share of these rows with a sum below 0; on records it is not measured, which would cost "
    "budget",
)
LINES = (FIT, IN_ROUNDS, REFIT, ADVERSARIAL, OUTPUT, ACCURACY)


class Losses(NamedTuple):
    """Of one generator step, before it: the marginal loss, and the adversarial one if there is one."""

    marginal: float
    adversarial: float | None


class Recorder:
    """Points of a study's curves, in the order in which they come.

    A value that is not finite is left out: it says nothing, and a report could not draw it.
    """

    def __init__(self) -> None:
        self._points: dict[Line, list[tuple[int, float]]] = {line: [] for line in LINES}

    def add(self, line: Line, step: int, value: float) -> None:
        """Note the value of a line at a step that comes after the last one of that line."""
        if math.isfinite(value):
            self._points[line].append((step, value))

    def curves(self) -> tuple[Curve, ...]:
        """The lines that have points, thinned, to six digits."""
        return tuple(_curve(line, points) for line, points in self._points.items() if points)


def _curve(line: Line, points: list[tuple[int, float]]) -> Curve:
    steps, values = zip(*points, strict=True)
    return Curve(
        name=line.name,
        panel=line.panel,
        unit=line.unit,
        x=line.x,
        note=line.note,
        steps=steps,
        values=tuple(float(f"{value:.6g}") for value in values),
    ).thinned()
