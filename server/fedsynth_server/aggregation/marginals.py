"""Noisy marginals as the coordinator uses them: pooled over sites, as frequencies with a variance.

A site answers with noisy integer counts; sums over sites add their noise variances. Everything in
this file is post-processing of differentially private numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Marginal:
    """Noisy frequencies of the codes of one or two columns.

    Attributes:
        columns: positions of the columns.
        frequencies: one axis per column, noisy counts divided by the noisy number of records.
        variance: noise variance of one frequency.
    """

    columns: tuple[int, ...]
    frequencies: Floats
    variance: float


def averaged(marginals: Sequence[Marginal], widths: Sequence[int]) -> list[Marginal]:
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
        Marginal(columns=(j,), frequencies=s / p, variance=1.0 / p)
        for j, (s, p) in enumerate(zip(sums, precision, strict=True))
    ]


def project_to_simplex(frequencies: Floats) -> Floats:
    """The closest (Euclidean) non-negative frequencies that sum to one.

    Held, Wolfe & Crowder 1974. Removes the noise's negative counts without biasing large cells.

    >>> project_to_simplex(np.array([0.7, 0.5, -0.1])).round(3).tolist()
    [0.6, 0.4, 0.0]
    """
    flat = np.sort(frequencies.reshape(-1))[::-1]
    excess = (np.cumsum(flat) - 1.0) / np.arange(1, flat.size + 1)
    threshold = excess[np.nonzero(flat > excess)[0][-1]]
    projected: Floats = np.maximum(frequencies - threshold, 0.0)
    return projected


def pooled_total(histograms: Sequence[Floats], variances: Sequence[float]) -> float:
    """Estimate of the number of records from noisy histograms of all columns.

    Each histogram's sum estimates it with variance (cells x noise variance); the estimates are
    averaged with inverse-variance weights. At least 1.

    >>> pooled_total([np.array([60.0, 40.0]), np.array([103.0])], [1.0, 1.0])
    102.0
    """
    weights = np.array([1.0 / (h.size * v) for h, v in zip(histograms, variances, strict=True)])
    totals = np.array([h.sum() for h in histograms])
    return max(1.0, float((weights * totals).sum() / weights.sum()))
