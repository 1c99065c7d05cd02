"""Estimates from noisy tables of counts: marginals as frequencies, and the number of records.

A site answers with noisy integer counts; sums over sites add their noise variances. Everything in
this file is post-processing of differentially private numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import Float64Array

VARIANCE_FLOOR = 1e-4**2
"""Frequencies are not fitted to better than this: a sample of 10,000 rows would not show it."""


@dataclass(frozen=True, kw_only=True)
class MarginalEstimate:
    """Estimated frequencies of the codes of one or two columns.

    Attributes:
        columns: positions of the columns.
        frequencies: one axis per column, noisy counts divided by the noisy number of records.
        variance: noise variance of one frequency.
        unknown: of a pair without most of its noise, the variance of what is still unknown of each
            frequency, in the shape of `frequencies`; None where nothing was removed.
    """

    columns: tuple[int, ...]
    frequencies: Float64Array
    variance: float
    unknown: Float64Array | None = None


@dataclass(frozen=True)
class SizeEstimate:
    """A number of records as noisy tables estimate it, and that estimate's variance."""

    records: float
    variance: float


def estimated_size(tables: Sequence[Float64Array], variance: float) -> SizeEstimate:
    """The number of records of a site, or of all sites together, from noisy tables of their records.

    Every table counts each record once, so the sum of a table of c cells estimates the number of
    records with variance c times that of a cell. The sums are averaged with inverse-variance weights.

    Args:
        tables: noisy counts.
        variance: noise variance of one cell.

    >>> estimated_size([np.array([60.0, 40.0]), np.array([103.0])], 1.0)
    SizeEstimate(records=102.0, variance=0.6666666666666666)
    """
    sums = np.array([table.sum() for table in tables])
    precision = np.array([1.0 / (table.size * variance) for table in tables])
    records = float((sums * precision).sum() / precision.sum())
    return SizeEstimate(records, float(1.0 / precision.sum()))


def one_way_marginals(
    marginals: Sequence[MarginalEstimate], widths: Sequence[int]
) -> list[MarginalEstimate]:
    """Every column's one-way marginal from all marginals that hold it, by inverse variance.

    Still noisy: cells may be negative. A column in none of the marginals raises `ZeroDivisionError`.
    """
    sums = [np.zeros(width) for width in widths]
    precision = [0.0] * len(widths)
    for marginal in marginals:
        for axis, column in enumerate(marginal.columns):
            others = tuple(i for i in range(len(marginal.columns)) if i != axis)
            spread = marginal.frequencies.size / widths[column]
            weight = 1.0 / (marginal.variance * spread)
            sums[column] += weight * marginal.frequencies.sum(axis=others)
            precision[column] += weight
    return [
        MarginalEstimate(columns=(j,), frequencies=s / p, variance=1.0 / p)
        for j, (s, p) in enumerate(zip(sums, precision, strict=True))
    ]


def project_to_simplex(frequencies: Float64Array) -> Float64Array:
    """The closest (Euclidean) non-negative frequencies that sum to one.

    Held, Wolfe & Crowder 1974. It removes the negative counts that noise causes and does not bias large
    cells.

    >>> project_to_simplex(np.array([0.7, 0.5, -0.1])).round(3).tolist()
    [0.6, 0.4, 0.0]
    """
    flat = np.sort(frequencies.reshape(-1))[::-1]
    excess = (np.cumsum(flat) - 1.0) / np.arange(1, flat.size + 1)
    threshold = excess[np.nonzero(flat > excess)[0][-1]]
    projected: Float64Array = np.maximum(frequencies - threshold, 0.0)
    return projected
