"""What a pair of numbers would look like if one law said how they depend on each other.

Two months' bills lie on a diagonal. A diagonal has as many directions as the columns have codes, so
what `denoising` learns of few directions explains it badly, while one law with two parameters does:
two normal variables of correlation ρ, cut into the columns' codes (a Gaussian copula with the measured
margins), in a share c of the records, and independence in the others:

    P_ab - p_a p_bᵀ = c (Q(ρ) - p_a p_bᵀ).

(ρ, c) is the least-squares fit to the noisy dependence of the pair. It is used where it explains more
than `GAIN` of what the noise alone could make it explain; elsewhere nothing is expected. What a pair
really is beyond the law is left to the denoising, which looks at the rest. Post-processing of private
numbers, and public facts: costs nothing.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_release.copula.bivariate import dependence
from fedsynth_server.aggregation.marginals import MarginalEstimate

GAIN = 30.0
"""Least squared length of the law that is used, in units of the noise variance of a cell.

Noise alone hardly gives more than 20. Many pairs are looked at, and a law that is just visible
explains little: with 9 the pairs of support2 became worse, with 25 and 40 those of no table did.
"""
_STRENGTHS = np.tanh(np.linspace(0.1, 3.0, 24))
CORRELATIONS = np.concatenate([-_STRENGTHS[::-1], _STRENGTHS])
LEAST_SHARE = 1e-9

Order = Int64Array | None
"""The codes of a column from the lowest to the highest (`ordered_codes`); None without an order."""


def expected_dependence(
    pairs: Mapping[tuple[int, int], Float64Array],
    noise: Mapping[tuple[int, int], float],
    one_way: Sequence[MarginalEstimate],
    orders: Sequence[Order],
) -> dict[tuple[int, int], Float64Array]:
    """The part of each pair's dependence that the law explains, zero where it explains nothing.

    Args:
        pairs: noisy dependence by columns, in units of its noise, (width of a, width of b).
        noise: its noise variance as a frequency.
        one_way: one-way marginals without most of their noise, by column.
        orders: by column.
    """
    return {
        (a, b): _explained(
            measured, noise[a, b] ** 0.5, (one_way[a], one_way[b]), orders[a], orders[b]
        )
        for (a, b), measured in pairs.items()
    }


def _explained(
    measured: Float64Array,
    unit: float,
    one_way: tuple[MarginalEstimate, MarginalEstimate],
    rows: Order,
    columns: Order,
) -> Float64Array:
    expected = np.zeros_like(measured)
    if rows is None or columns is None or min(len(rows), len(columns)) < 2:
        return expected
    p, q = (
        np.maximum(marginal.frequencies[order], LEAST_SHARE)
        for marginal, order in zip(one_way, (rows, columns), strict=True)
    )
    laws = dependence(p / p.sum(), q / q.sum(), CORRELATIONS) * (p.sum() * q.sum() / unit)
    block = np.ix_(rows, columns)
    along = np.einsum("krc,rc->k", laws, measured[block])
    length = np.maximum(np.square(laws).sum(axis=(1, 2)), 1e-12)
    share = np.clip(along / length, 0.0, 1.0)
    gain = share * (2 * along - share * length)
    best = int(np.argmax(gain))
    if gain[best] > GAIN:
        expected[block] = share[best] * laws[best]
    return expected
