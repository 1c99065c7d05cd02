"""What noise hides at the two ends of a measured number: the share of its spread, and what it can do.

The mean and the standard deviation of a number with a long tail depend on few records far out. Noise
in the counts of far cells can hide such records, or make them up, and a law of tails then stands in
the place of a measurement.
"""

import math
from dataclasses import dataclass

import numpy as np

from fedsynth_release.histogram_noise import run_length, sum_noise
from fedsynth_release.report.expected import MeasuredShares

CLEAR = 3.0
"""A sum counts as measured if it is beyond so many standard deviations of its noise."""


@dataclass(frozen=True)
class Tails:
    """What noise hides at the two ends of a number.

    From either end, cells belong to the tail until their sum is `CLEAR` of its noise. What lies there
    follows a law and not a measurement.

    Attributes:
        share: of the number's variance, as far as it is known, that lies in tails; 0 to 1.
        mean: by how many standard deviations one standard deviation of noise can move the mean if it
            hides records where they matter most.
        spread: by which share such records can widen the standard deviation. Both are infinite if no
            spread was measured at all.
    """

    share: float
    mean: float
    spread: float


def tails_of(column: MeasuredShares) -> Tails:
    """What noise hides at the two ends of a number."""
    cells = column.in_order
    mass, x = column.mass[cells], column.values[cells]
    total = float(mass.sum())
    away = np.abs(x - float(mass @ x) / total) if total > 0 else np.zeros_like(x)
    variance = float(mass @ away**2) / max(total, 1e-9)
    if variance <= 0:
        return Tails(1.0, math.inf, math.inf) if len(cells) > 1 else Tails(0.0, 0.0, 0.0)
    noise = sum_noise(np.arange(1, len(mass) + 1), column.cell_error, run_length(column.domain))
    share = mean = wider = 0.0
    for direction in (1, -1):
        clear = np.flatnonzero(np.cumsum(mass[::direction]) >= CLEAR * noise)
        end = int(clear[0]) if len(clear) else len(mass)
        far = away[::direction][: end + 1]
        share += float((mass * away**2)[::direction][:end].sum()) / (total * variance)
        mean += float((noise[: len(far)] * far).max()) / math.sqrt(variance)
        wider += float((noise[: len(far)] * far**2).max()) / variance
    return Tails(min(1.0, share), mean, math.sqrt(1 + wider) - 1)
