"""What a pair of numbers would look like if one law said how they depend on each other.

Two months' bills lie on a diagonal. A diagonal has as many directions as the columns have codes, so
what `denoising` learns of few directions explains it badly, while one law with two parameters does:
two normal variables of correlation ρ, cut into the columns' codes (a Gaussian copula with the measured
margins), in a share c of the records, and independence in the others:

    P_ab - p_a p_bᵀ = c (Q(ρ) - p_a p_bᵀ).

A column of histories and itself at a later event lie on a diagonal for another reason: for many persons
nothing changes. There a second law has a share d of its own, that the code stays as it was, with or
without an order of the codes (the "movers and stayers" of Blumen, Kogan & McCarthy 1955):

    P_ab - p_a p_bᵀ = c (Q(ρ) - p_a p_bᵀ) + d (diag(g) - g gᵀ),   g proportional to sqrt(p_a p_b).

(ρ, c, d) is the least-squares fit to the noisy dependence of the pair. It is used where it explains
more than `GAIN` of what the noise alone could make it explain; elsewhere nothing is expected. But where
a column and itself at some distance of events hide in noise, and at another distance do not, a share of
that other dependence is expected: the one number that fits best. What a pair really is beyond the law
is left to the denoising, which looks at the rest. Post-processing of private numbers, and public facts:
costs nothing.
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
    of: Sequence[int] = (),
) -> dict[tuple[int, int], Float64Array]:
    """The part of each pair's dependence that the laws explain, zero where they explain nothing.

    Args:
        pairs: noisy dependence by columns, in units of its noise, (width of a, width of b).
        noise: its noise variance as a frequency.
        one_way: one-way marginals without most of their noise, by column.
        orders: by column.
        of: by column a number that is the same for a column of histories at two events; by default no
            two columns are the same.
    """
    of = of or range(len(one_way))
    found = {
        (a, b): _explained(
            measured,
            noise[a, b] ** 0.5,
            (one_way[a], one_way[b]),
            (orders[a], orders[b]),
            of[a] == of[b],
        )
        for (a, b), measured in pairs.items()
    }
    expected = {pair: law for pair, (law, _) in found.items()}
    for pair, measured in pairs.items():
        others = [p for p in found if p != pair and {of[c] for c in p} == {of[c] for c in pair}]
        if of[pair[0]] == of[pair[1]] and others and found[pair][1] <= GAIN:
            clear = max(others, key=lambda other: found[other][1])
            scale = (noise[clear] / noise[pair]) ** 0.5
            expected[pair] = _share_of(found[clear][0] * scale, measured)
    return expected


def _share_of(clear: Float64Array, measured: Float64Array) -> Float64Array:
    """The share of a clear dependence, from 0 to 1, that is closest to what was measured."""
    share = float((clear * measured).sum()) / max(float(np.square(clear).sum()), 1e-12)
    return clear * min(max(share, 0.0), 1.0)


def _explained(
    measured: Float64Array,
    unit: float,
    one_way: tuple[MarginalEstimate, MarginalEstimate],
    orders: tuple[Order, Order],
    itself: bool,
) -> tuple[Float64Array, float]:
    """What the laws expect of a pair, zero where they explain too little, and how much they explain."""
    expected = np.zeros_like(measured)
    ordered = orders[0] is not None and orders[1] is not None
    rows, columns = (
        np.arange(size) if order is None else order
        for order, size in zip(orders, measured.shape, strict=True)
    )
    if not (ordered or itself) or min(len(rows), len(columns)) < 2:
        return expected, 0.0
    p, q = (
        np.maximum(marginal.frequencies[codes], LEAST_SHARE)
        for marginal, codes in zip(one_way, (rows, columns), strict=True)
    )
    block = np.ix_(rows, columns)
    scale = p.sum() * q.sum() / unit
    laws = np.zeros((1, len(rows), len(columns)))
    if ordered:
        laws = dependence(p / p.sum(), q / q.sum(), CORRELATIONS) * scale
    stays = np.zeros_like(laws[0])
    if itself:
        g = np.sqrt(p * q) / np.sqrt(p * q).sum()
        stays = (np.diag(g) - np.outer(g, g)) * scale
    fitted, gain = _best(measured[block], laws, stays)
    if gain > GAIN:
        expected[block] = fitted
    return expected, gain


def _best(
    measured: Float64Array, laws: Float64Array, stays: Float64Array
) -> tuple[Float64Array, float]:
    """The shares c and d of at least 0, at most 1 together, of the law that explains most.

    Args:
        measured: (rows, columns).
        laws: for each correlation (correlations, rows, columns).
        stays: that the code stays as it was; zero where this is no law.

    Returns:
        What is expected, and by how much it lowers the sum of squares.
    """
    along, beside = np.einsum("krc,rc->k", laws, measured), float((stays * measured).sum())
    length, own = np.maximum(np.square(laws).sum(axis=(1, 2)), 1e-12), float((stays**2).sum())
    both = np.einsum("krc,rc->k", laws, stays)
    own = max(own, 1e-12)
    inside = np.maximum(length * own - both**2, 1e-9 * length * own)
    joint = (along * own - beside * both) / inside, (beside * length - along * both) / inside
    inner = (joint[0] > 0) & (joint[1] > 0)
    alone = along / length, np.full(len(laws), beside / own)
    first = np.where(inner, joint[0], np.maximum(alone[0], 0.0))
    second = np.where(inner, joint[1], 0.0)
    shares = [(first, second), (np.zeros(len(laws)), np.maximum(alone[1], 0.0))]
    best, found = np.zeros_like(measured), 0.0
    for c, d in shares:
        most = np.maximum(c + d, 1.0)
        c, d = c / most, d / most
        gain = 2 * (c * along + d * beside) - c * c * length - 2 * c * d * both - d * d * own
        k = int(np.argmax(gain))
        if gain[k] > found:
            best, found = c[k] * laws[k] + d[k] * stays, float(gain[k])
    return best, found
