"""Removes noise from measured marginals before the generator is fitted to them.

A generator that is fitted to the raw noisy cells learns the noise: on Adult at ε=1 its loss fell to 0.7
of the loss that the true marginals would have. Three facts about the true marginals, which are known
without looking at data, remove most of the noise:

* every marginal of a column has the same one-way marginal, so it is averaged over all of them;
* where sites differ, their one-way marginals show a part of every pair's dependence, and some
  sites say more about the rest than others (`pairs_by_site.py`);
* what is left of a pair after subtracting that part and the product of its one-way marginals is
  dependence within sites. Of two numbers, one law explains much of it where they rise together,
  and so does another of a column and itself at a later event where it seldom changes
  (`ordered_pairs.py`); this part is subtracted first and added again at the end;
* for the rest, a column depends on all others through few directions of its codes, while the noise
  has full rank and a known size.

The dependence S of columns a and b, in units of its noise, is taken as normal with a separable
covariance, and what was measured is Y:

    S ~ N(0, t_ab K_a (x) K_b),   Y = S + N(0, 1) in every cell.

K_a is shared by all pairs of column a: it learns from all of them which directions matter; t_ab is
the strength of one pair. Both are estimated from the noisy pairs themselves by expectation and
maximisation (empirical Bayes: Efron & Morris 1972, "Empirical Bayes on vector observations"; the
covariance and its updates: Hoff 2011, "Separable covariance arrays via the Tucker product", section 3),
and the pair is replaced by its posterior mean: in the eigenbases of K_a and K_b cell (i, j) shrinks by
s / (s + 1), s = t_ab k_ai k_bj. `ROUNDS` is small on purpose: with more rounds the likelihood goes on
growing, but only because the prior then explains noise.

simulations/RESULTS.md compares this with the two methods that it replaced, truncated singular vectors
and singular values shrunk as in Gavish & Donoho 2017. The measure is how far the pairs of the fitted
generator are from the true ones (total variation distance, ε=1, 5 sites).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_server.aggregation.marginals import (
    MarginalEstimate,
    one_way_marginals,
    project_to_simplex,
)
from fedsynth_server.aggregation.ordered_pairs import Order, expected_dependence
from fedsynth_server.aggregation.pairs_by_site import BySite, single_site


def denoised_one_way(
    marginals: Sequence[MarginalEstimate], widths: Sequence[int]
) -> list[MarginalEstimate]:
    """One-way marginals from everything measured, by inverse-variance weights, on the simplex."""
    return [
        replace(marginal, frequencies=project_to_simplex(marginal.frequencies))
        for marginal in one_way_marginals(marginals, widths)
    ]


Pairs = Mapping[tuple[int, int], Float64Array]
"""Matrices (width of a, width of b) by columns (a, b)."""
Eigen = tuple[Float64Array, Float64Array]
"""Eigenvalues (width,) and eigenvectors (width, width)."""

ROUNDS = 10
LEAST_EIGENVALUE = 1e-8
"""The least eigenvalue that is used; the eigenvalues of a column are 1 on average."""


@dataclass(frozen=True)
class Prior:
    """What is known of the pairs' dependence.

    Attributes:
        strength: t_ab by columns (a, b).
        spread: K_a by column, (width, width), eigenvalues 1 on average.
    """

    strength: Mapping[tuple[int, int], float]
    spread: Sequence[Float64Array]

    def eigen(self) -> list[Eigen]:
        """Eigenvalues (width,) and eigenvectors (width, width) of each column's covariance."""
        pairs = [np.linalg.eigh(matrix) for matrix in self.spread]
        return [(np.maximum(values, LEAST_EIGENVALUE), vectors) for values, vectors in pairs]


def shrinkage(strength: float, left: Float64Array, right: Float64Array) -> Float64Array:
    """The part s / (s + 1) of each cell that is kept; it is also the variance that is left."""
    signal = strength * np.outer(left, right)
    kept: Float64Array = signal / (signal + 1.0)
    return kept


def posterior(
    matrix: Float64Array, strength: float, a: Eigen, b: Eigen
) -> tuple[Float64Array, Float64Array]:
    """Mean and variance of a pair's dependence given what was measured, in the columns' eigenbases."""
    (left, basis), (right, other) = a, b
    kept = shrinkage(strength, left, right)
    return kept * (basis.T @ matrix @ other), kept


def first_prior(pairs: Pairs, widths: Sequence[int], of: Sequence[int] = ()) -> Prior:
    """All pairs alike; each column's covariance is what its pairs show beyond the noise.

    `widths` are by covariance; `of` says which covariance each column has, by default its own.
    """
    of, spread = of or range(len(widths)), []
    for column, width in enumerate(widths):
        own = [matrix for (a, _), matrix in pairs.items() if of[a] == column]
        own += [matrix.T for (_, b), matrix in pairs.items() if of[b] == column]
        beside = np.concatenate(own, axis=1) if own else np.zeros((width, 1))
        values, vectors = np.linalg.eigh(beside @ beside.T / beside.shape[1])
        spread.append((vectors * np.maximum(values - 1.0, 1e-2)) @ vectors.T)
    return Prior(dict.fromkeys(pairs, 1.0), spread)


def improved(prior: Prior, pairs: Pairs, widths: Sequence[int], of: Sequence[int] = ()) -> Prior:
    """One round of expectation and maximisation; `widths` and `of` as in `first_prior`.

    A change of a pair's scale can be put into its strength or into the covariance of either column. If
    all three take it in full, the round's step is three times as long. Where noise dominates, this makes
    ten rounds enough; where there is almost no noise, the estimates would swing ever wider. So the
    part of the covariances is weighted by the share of the pair that is noise.
    """
    eigen, of = prior.eigen(), of or range(len(widths))
    sums, counts = [np.zeros((w, w)) for w in widths], np.zeros(len(widths))
    strength, noise = {}, {}
    for pair, matrix in pairs.items():
        a, b = of[pair[0]], of[pair[1]]
        (left, basis), (right, other), t = eigen[a], eigen[b], prior.strength[pair]
        left_unit, right_unit = np.sqrt(left)[:, None], np.sqrt(right)[None, :]
        mean, kept = posterior(matrix, t, eigen[a], eigen[b])
        sums[a] += basis @ _second_moment(mean / right_unit, kept / right) @ basis.T / t
        sums[b] += other @ _second_moment((mean / left_unit).T, kept.T / left) @ other.T / t
        counts[a] += widths[b]
        counts[b] += widths[a]
        strength[pair] = float(((mean**2 + kept) / np.outer(left, right)).mean())
        noise[pair] = 1.0 - float(kept.mean())
    units = [
        float(np.trace(s) / (n * len(s))) if n else 0.0 for s, n in zip(sums, counts, strict=True)
    ]
    return Prior(
        {
            (a, b): max(t * (units[of[a]] * units[of[b]]) ** noise[a, b], LEAST_EIGENVALUE)
            for (a, b), t in strength.items()
        },
        [s / (n * u) if u > 0 else s for s, n, u in zip(sums, counts, units, strict=True)],
    )


def _second_moment(mean: Float64Array, variance: Float64Array) -> Float64Array:
    """E[S Sᵀ] of a matrix with independent cells, (rows, rows)."""
    moment: Float64Array = mean @ mean.T + np.diag(variance.sum(axis=1))
    return moment


@dataclass(frozen=True)
class Denoised:
    """Marginals without most of their noise.

    Attributes:
        marginals: one one-way marginal per column, in order, then the pairs. Variances are those of
            the noise before its removal: they are weights from here on.
        expected_loss: the posterior variance of a pair's cell, in units of its noise, averaged over all
            cells: about the marginal loss that the true distribution has. 0 without pairs.
        spread: K of each covariance, (width, width): the directions in which a column depends on others.
    """

    marginals: list[MarginalEstimate]
    expected_loss: float
    spread: list[Float64Array]


def denoise(
    marginals: Sequence[MarginalEstimate],
    widths: Sequence[int],
    by_site: BySite | None = None,
    of: Sequence[int] = (),
    orders: Sequence[Order] = (),
) -> Denoised:
    """One-way marginals and pairs without most of their noise.

    Args:
        marginals: one-way and two-way, pooled over the sites.
        widths: number of codes per column.
        by_site: the same pairs by site; default: they are not known.
        of: for each column the number of the covariance that it has in common with others of the
            same codes (a column of events, read at two places); by default each has its own.
        orders: for each column its codes in order, or None; by default no column has an order.
    """
    one_way = denoised_one_way(marginals, widths)
    measured = [marginal for marginal in marginals if len(marginal.columns) == 2]
    by_site = by_site or single_site(measured, widths)
    pairs, noise = {}, {}
    for pair in measured:
        a, b = pair.columns
        dependence, noise[a, b] = by_site.within(pair, one_way)
        pairs[a, b] = dependence / np.sqrt(noise[a, b])
    of = of or range(len(widths))
    law = expected_dependence(pairs, noise, one_way, orders or [None] * len(widths), of)
    pairs = {pair: matrix - law[pair] for pair, matrix in pairs.items()}
    spreads = [
        next(w for w, k in zip(widths, of, strict=True) if k == g) for g in range(max(of) + 1)
    ]
    prior = first_prior(pairs, spreads, of)
    for _ in range(ROUNDS):
        prior = improved(prior, pairs, spreads, of)
    eigen = prior.eigen()
    cleaned, expected, cells = [], 0.0, 0
    for a, b in pairs:
        left, right = eigen[of[a]], eigen[of[b]]
        mean, variance = posterior(pairs[a, b], prior.strength[a, b], left, right)
        mean = left[1] @ mean @ right[1].T + law[a, b]
        product = np.outer(one_way[a].frequencies, one_way[b].frequencies)
        frequencies = product + by_site.between(a, b) + np.sqrt(noise[a, b]) * mean
        unknown = noise[a, b] * (left[1] ** 2 @ variance @ (right[1] ** 2).T)
        cleaned.append(
            MarginalEstimate(
                columns=(a, b), frequencies=frequencies, variance=noise[a, b], unknown=unknown
            )
        )
        expected, cells = expected + float(variance.sum()), cells + variance.size
    return Denoised([*one_way, *cleaned], expected / max(1, cells), list(prior.spread))
