"""Measures how similar a single column is in two tables, and computes bars to draw both.

- For numbers it is the KS complement, 1 - sup |F_real - F_synthetic| of the empirical distribution
  functions, without missing cells.
- For categories it is the TV complement, 1 - 1/2 sum |p_real - p_synthetic| over the levels,
  without missing cells.

Both are defined as in SDMetrics (`KSComplement`, `TVComplement`; their mean over the columns is its
*Column Shapes*), and 1 is best. They differ from the TVD of `fidelity`, which cuts numbers at the
real deciles and counts missing cells as a level. A column that is empty in one of the tables scores
0; a column that is empty in both scores 1.

The bars of a number span all values of both tables. Their edges are quantiles of the real values, so
that bars are narrow where records are dense, and tails have bars of their own. A number with few whole
values has a bar for each.
"""

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_common.schema import DateColumn, DatetimeColumn, ModelledColumn, NumericColumn
from fedsynth_release.decoding.values import text_of
from fedsynth_release.evaluation.discretise import named_levels
from fedsynth_release.evaluation.results import Histogram

BARS = 20
QUANTILES = (0.005, 0.02, *np.linspace(0.05, 0.95, 19), 0.98, 0.995)
"""Quantiles of the real values at which bars end."""


def ks_complement(real: Float64Array, synthetic: Float64Array) -> float:
    """1 - Kolmogorov-Smirnov distance of two samples; NaN = missing.

    >>> ks_complement(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, np.nan]))
    0.5
    """
    first, second = (np.sort(side[~np.isnan(side)]) for side in (real, synthetic))
    if not len(first) or not len(second):
        return float(len(first) == len(second))
    steps = np.concatenate([first, second])
    below = [np.searchsorted(side, steps, side="right") / len(side) for side in (first, second)]
    return 1 - float(np.abs(below[0] - below[1]).max())


def tv_complement(real: Float64Array, synthetic: Float64Array) -> float:
    """1 - total variation distance of two samples of level codes; NaN = missing.

    >>> tv_complement(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]))
    0.75
    """
    first, second = (side[~np.isnan(side)].astype(int) for side in (real, synthetic))
    if not len(first) or not len(second):
        return float(len(first) == len(second))
    width = 1 + max(int(first.max()), int(second.max()))
    shares = [np.bincount(side, minlength=width) / len(side) for side in (first, second)]
    return 1 - 0.5 * float(np.abs(shares[0] - shares[1]).sum())


def shape(real: Float64Array, synthetic: Float64Array, column: ModelledColumn) -> float:
    """The complement that fits the kind of column."""
    return (tv_complement if named_levels(column) else ks_complement)(real, synthetic)


def histogram(real: Float64Array, synthetic: Float64Array, column: ModelledColumn) -> Histogram:
    """The share of all rows in each bar, for both tables; missing cells are in no bar."""
    levels = named_levels(column)
    if levels:
        shares = [
            np.bincount(side[~np.isnan(side)].astype(int), minlength=len(levels)) / len(side)
            for side in (real, synthetic)
        ]
        present = [j for j in range(len(levels)) if shares[0][j] or shares[1][j]]
        labels = tuple(levels[j] for j in present)
        pair = tuple(tuple(side[present].tolist()) for side in shares)
        return Histogram(labels=labels, real=pair[0], synthetic=pair[1])
    edges = _edges(real, synthetic, not isinstance(column, NumericColumn))
    bars = tuple(tuple(_bars(side, edges).tolist()) for side in (real, synthetic))
    written: tuple[str, ...] = ()
    if isinstance(column, DateColumn | DatetimeColumn):
        written = tuple(text_of(int(np.ceil(edge)), column) for edge in edges.tolist())
    return Histogram(edges=tuple(edges.tolist()), labels=written, real=bars[0], synthetic=bars[1])


def _edges(real: Float64Array, synthetic: Float64Array, whole: bool) -> Float64Array:
    present = real[~np.isnan(real)]
    if not len(present):
        return np.array([0.0, 1.0])
    both = np.concatenate([present, synthetic[~np.isnan(synthetic)]])
    low, high = float(both.min()), float(both.max())
    if whole and high - low < 2 * BARS:
        return np.asarray(np.arange(low, high + 1.5) - 0.5)
    edges = np.concatenate([[low], np.quantile(present, QUANTILES), [high]])
    if whole:  # an edge lies between two whole numbers
        edges = np.concatenate([np.floor(edges) - 0.5, [np.floor(high) + 0.5]])
    edges = np.unique(edges)
    return edges if len(edges) > 1 else np.array([low, low + 1.0])


def _bars(side: Float64Array, edges: Float64Array) -> Float64Array:
    present = side[~np.isnan(side)]
    place = np.clip(np.searchsorted(edges, present, side="right") - 1, 0, len(edges) - 2)
    return np.bincount(place, minlength=len(edges) - 1) / max(len(side), 1)
