"""How noisy a sum of neighbouring cells of a measured histogram is.

The histogram of a number with many cells is measured at two levels: every cell, and `COARSE` runs of
cells. The coordinator chooses bins by this noise; the report judges by it what is inside a bin.
"""

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.schema import FineDomain

COARSE = 16
"""Number of equal runs of leaves of a number whose totals are measured too."""


def sum_noise(size: Int64Array, sigma: float, run: float) -> Float64Array:
    """Standard deviation of the sum of `size` neighbouring cells.

    Cells alone give variance `size`. With totals of runs of `run` cells measured too, a sum is made
    of whole runs, each of variance below one, and of half a run of single cells at its two ends.
    """
    return np.asarray(sigma * np.sqrt(np.minimum(size, size / run + run / 2)))


def run_length(domain: FineDomain) -> float:
    """Number of cells in a run whose total is measured too; 1 where only the cells are."""
    return domain.leaves / COARSE if domain.leaves > 2 * COARSE else 1.0
