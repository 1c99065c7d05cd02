"""The figures that people calculate with: mean, spread, quantiles and zeros of a column of numbers.

Frequencies of codes can be right while a mean is wrong, because few records far out decide it. These
figures are therefore stated beside the distances of distributions.
"""

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_release.evaluation.result_parts import Finite, Part

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


class Amounts(Part):
    """Figures of the cells that hold a number.

    Attributes:
        mean, sd: mean and standard deviation.
        quantiles: of 1, 25, 50, 75 and 99 %.
        zeros: share of the numbers that are 0.
    """

    mean: Finite
    sd: Finite
    quantiles: tuple[Finite, Finite, Finite, Finite, Finite]
    zeros: Finite


class ComparedAmounts(Part):
    """The figures of a column in the real training rows and in the synthetic table."""

    real: Amounts
    synthetic: Amounts

    @property
    def mean_off(self) -> float:
        """How far the mean is off, in real standard deviations; 0 where the column has none."""
        gap = abs(self.synthetic.mean - self.real.mean)
        return gap / self.real.sd if self.real.sd else 0.0

    @property
    def spread_off(self) -> float:
        """How far the standard deviation is off, as a share of the real one."""
        return abs(self.synthetic.sd / self.real.sd - 1) if self.real.sd else 0.0


def compared_amounts(real: Float64Array, synthetic: Float64Array) -> ComparedAmounts | None:
    """Compare two columns of numbers, NaN where missing; None where a table has no number."""
    tables = [cells[~np.isnan(cells)] for cells in (real, synthetic)]
    if not all(map(len, tables)):
        return None
    ours, theirs = map(_amounts, tables)
    return ComparedAmounts(real=ours, synthetic=theirs)


def _amounts(cells: Float64Array) -> Amounts:
    low, lower, middle, upper, high = np.quantile(cells, QUANTILES).tolist()
    return Amounts(
        mean=float(cells.mean()),
        sd=float(cells.std()),
        quantiles=(low, lower, middle, upper, high),
        zeros=float((cells == 0).mean()),
    )
