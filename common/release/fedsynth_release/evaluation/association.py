"""How strongly two columns go together, one number between 0 and 1 (Pearson: -1 and 1) per pair.

- two numbers: Pearson's r;
- two categories: Cramér's V = sqrt(chi^2 / (n (min(rows, columns) - 1))), without bias correction;
- a number and a category: the correlation ratio η = sqrt(between-level variance / variance).

Rows where either cell is missing are left out. A pair that says nothing (a constant column, no
common row) has association 0. The figure is the mean over all pairs of |synthetic - real|; for two
numbers it is 2 (1 - `CorrelationSimilarity`) of SDMetrics.
"""

import numpy as np

from fedsynth_release.evaluation.features import Floats
from fedsynth_release.evaluation.gower import Bools


def associations(cells: Floats, categorical: Bools) -> Floats:
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


def association(first: Floats, second: Floats, levels: bool, other_levels: bool) -> float:
    """Association of two columns; the flags say which hold level codes.

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


def pearson(x: Floats, y: Floats) -> float:
    """Pearson's r of two columns that both vary."""
    a, b = x - x.mean(), y - y.mean()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip((a @ b) / spread, -1, 1)) if spread > 0 else 0.0


def cramers_v(x: np.ndarray, y: np.ndarray) -> float:
    """Cramér's V of two columns of codes that both vary."""
    x, y = np.unique(x, return_inverse=True)[1], np.unique(y, return_inverse=True)[1]
    rows, columns = int(x.max()) + 1, int(y.max()) + 1
    seen = np.bincount(x * columns + y, minlength=rows * columns).reshape(rows, columns)
    expected = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / len(x)
    chi2 = float(((seen - expected) ** 2 / expected).sum())
    return float(min(np.sqrt(chi2 / (len(x) * (min(rows, columns) - 1))), 1.0))


def correlation_ratio(levels: np.ndarray, values: Floats) -> float:
    """η of numbers grouped by levels; both vary."""
    counts = np.bincount(levels)
    sums = np.bincount(levels, weights=values - values.mean())
    between = float((sums[counts > 0] ** 2 / counts[counts > 0]).sum())
    total = float(((values - values.mean()) ** 2).sum())
    return float(np.sqrt(min(between / total, 1.0))) if total > 0 else 0.0
