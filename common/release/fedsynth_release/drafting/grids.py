"""Finds the grid of a column of numbers: tens of thousands, quarters, prices that end in .99.

A grid is proposed where nearly all cells lie on it, the most frequent value aside: a column of zeros
with a few other amounts has no grid because of its zeros.
"""

import math
from collections.abc import Iterator

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.schema.columns import MAX_GRID

NEARLY_ALL_CELLS = 0.99
NEARLY_ALL_VALUES = 0.9  # of the distinct ones
LEAST_CELLS, LEAST_VALUES = 100, 8


def grid(ticks: Int64Array, counts: Float64Array) -> tuple[int, int] | None:
    """The widest step on whose grid nearly all cells lie, and the remainder; None for no grid.

    Args:
        ticks: the values of cells, (values,).
        counts: how many cells have each, (values,).

    >>> grid(np.arange(10, 200, 10), np.full(19, 50.0))
    (10, 0)
    >>> grid(np.arange(99, 4000, 100), np.full(40, 50.0))
    (100, 99)
    >>> grid(np.arange(300), np.full(300, 50.0)) is None
    True
    """
    values, index = np.unique(ticks, return_inverse=True)
    sums = np.bincount(index, weights=counts)
    others = np.arange(len(values)) != int(sums.argmax())
    values, sums = values[others], sums[others]
    if sums.sum() < LEAST_CELLS or len(values) < LEAST_VALUES:
        return None
    for step in sorted(set(_steps(values, sums)), reverse=True):
        remainders, where = np.unique(values % step, return_inverse=True)
        cells = np.bincount(where, weights=sums)
        best = int(cells.argmax())
        enough = cells[best] >= NEARLY_ALL_CELLS * sums.sum()
        if enough and np.mean(where == best) >= NEARLY_ALL_VALUES:
            return step, int(remainders[best])
    return None


def _steps(values: Int64Array, sums: Float64Array) -> Iterator[int]:
    """Steps to try: round ones, and the one that the most frequent values have in common."""
    span = int(values[-1] - values[0])
    order = np.argsort(-sums, kind="stable")
    most = int(np.searchsorted(np.cumsum(sums[order]), NEARLY_ALL_CELLS * sums.sum())) + 1
    frequent = values[order[:most]]
    tried = [math.gcd(*(frequent - frequent[0]).tolist())]
    power = 1
    while power <= span:
        tried += [power, 2 * power, 5 * power, 25 * power]
        power *= 10
    return (step for step in tried if 1 < step <= span // LEAST_VALUES and span // step < MAX_GRID)


def on_grid(low: int, high: int, step: int, remainder: int) -> tuple[int, int]:
    """Bounds moved outwards onto the grid, but not below zero.

    >>> on_grid(0, 1000, 100, 99)
    (99, 1099)
    """
    first = remainder + (low - remainder) // step * step
    if low >= 0 > first:
        first += step
    return first, remainder - (remainder - high) // step * step
