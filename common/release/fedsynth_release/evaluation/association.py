"""Measures how strongly two columns are associated, with one number for each pair of columns.

- For two numbers it is Pearson's r, from -1 to 1.
- For two categories it is Cramér's V = sqrt(chi^2 / (n (min(rows, columns) - 1))), from 0 to 1,
  without bias correction.
- For a number and a category it is the correlation ratio η = sqrt(between-level variance /
  variance), from 0 to 1.

Rows where one of the cells is missing are left out. A pair without information (a constant column,
or no row with both values) has association 0. The figure of a table is the mean over all pairs of
|synthetic - real|. For two numbers this is 2 (1 - `CorrelationSimilarity`) of SDMetrics.
"""

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array


def associations(cells: Float64Array, categorical: BoolArray) -> Float64Array:
    """Symmetric d x d table of `cells` (n x d, NaN = missing); the diagonal is 1."""
    width = cells.shape[1]
    table = np.eye(width)
    columns = np.asfortranarray(cells)
    for i in range(width):
        for j in range(i):
            table[i, j] = table[j, i] = association(
                columns[:, i], columns[:, j], bool(categorical[i]), bool(categorical[j])
            )
    return table


def association(
    first: Float64Array, second: Float64Array, levels: bool, other_levels: bool
) -> float:
    """The association of two columns; the two flags say which of them contain codes of levels.

    >>> association(np.array([0.0, 0, 1, 1]), np.array([5.0, 5, 7, 7]), True, False)
    1.0
    """
    both = ~(np.isnan(first) | np.isnan(second))
    x, y = first[both], second[both]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    if levels and other_levels:
        return cramers_v(x.astype(int), y.astype(int))
    if levels:
        return correlation_ratio(x.astype(int), y)
    if other_levels:
        return correlation_ratio(y.astype(int), x)
    return pearson(x, y)


def pearson(x: Float64Array, y: Float64Array) -> float:
    """Pearson's r of two columns, neither of which is constant."""
    a, b = x - x.mean(), y - y.mean()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip((a @ b) / spread, -1, 1)) if spread > 0 else 0.0


def cramers_v(x: np.ndarray, y: np.ndarray) -> float:
    """Cramér's V of two columns of codes, neither of which is constant."""
    x, y = np.unique(x, return_inverse=True)[1], np.unique(y, return_inverse=True)[1]
    rows, columns = int(x.max()) + 1, int(y.max()) + 1
    observed = np.bincount(x * columns + y, minlength=rows * columns).reshape(rows, columns)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / len(x)
    chi2 = float(((observed - expected) ** 2 / expected).sum())
    return float(min(np.sqrt(chi2 / (len(x) * (min(rows, columns) - 1))), 1.0))


def correlation_ratio(levels: np.ndarray, values: Float64Array) -> float:
    """The correlation ratio η of numbers grouped by levels, neither of which is constant."""
    counts = np.bincount(levels)
    sums = np.bincount(levels, weights=values - values.mean())
    between = float((sums[counts > 0] ** 2 / counts[counts > 0]).sum())
    total = float(((values - values.mean()) ** 2).sum())
    return float(np.sqrt(min(between / total, 1.0))) if total > 0 else 0.0
