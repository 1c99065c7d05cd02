"""Removes noise from measured marginals before the generator is fitted to them.

Fitting the raw noisy cells makes the generator learn the noise: on Adult at ε=1 its loss fell to 0.7
of what the truth itself scores. Facts about the truth, known without looking at data, remove most:

* one-way margins are shared by every marginal of a column, so they are averaged over all of them;
* where sites differ, their own margins show a part of every pair's dependence, and some sites say more
  about the rest than others (`sites.py`);
* what is left of a pair after subtracting the product of its margins and that part is dependence within
  sites. A column depends on all others through few directions of its codes, while the noise has full
  rank and a known size.

The dependence S of columns a and b, in units of its noise, is taken as normal with a separable
covariance, and what was measured is Y:

    S ~ N(0, t_ab K_a (x) K_b),   Y = S + N(0, 1) in every cell.

K_a is shared by all pairs of column a: it learns from all of them which directions matter; t_ab is
the strength of one pair. Both are estimated from the noisy pairs themselves by expectation and
maximisation (empirical Bayes: Efron & Morris 1972, "Empirical Bayes on vector observations"; the
covariance and its updates: Hoff 2011, "Separable covariance arrays via the Tucker product", section 3),
and the pair is replaced by its posterior mean: in the eigenbases of K_a and K_b cell (i, j) shrinks by
s / (s + 1), s = t_ab k_ai k_bj. `ROUNDS` is small on purpose: the likelihood goes on growing by
explaining noise.

Mean total variation of all pairs of the fitted generator from the truth at ε=1 with 5 sites, against
truncated singular vectors and singular values shrunk as in Gavish & Donoho 2017, which this replaced:
simulations/RESULTS.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedsynth_server.aggregation.marginals import Floats, Marginal, averaged, project_to_simplex
from fedsynth_server.aggregation.pairs_by_site import Sites, one_site


def margins(marginals: Sequence[Marginal], widths: Sequence[int]) -> list[Marginal]:
    """One-way marginals from everything measured, by inverse-variance weights, on the simplex."""
    return [
        replace(margin, frequencies=project_to_simplex(margin.frequencies))
        for margin in averaged(marginals, widths)
    ]


Pairs = Mapping[tuple[int, int], Floats]
"""Matrices (width of a, width of b) by columns (a, b)."""
Eigen = tuple[Floats, Floats]
"""Eigenvalues (width,) and eigenvectors (width, width)."""

ROUNDS = 10
LEAST = 1e-8
"""Eigenvalues below this count as this; a column's are 1 on average."""


@dataclass(frozen=True)
class Prior:
    """What is known of the pairs' dependence.

    Attributes:
        strength: t_ab by columns (a, b).
        spread: K_a by column, (width, width), eigenvalues 1 on average.
    """

    strength: Mapping[tuple[int, int], float]
    spread: Sequence[Floats]

    def eigen(self) -> list[Eigen]:
        """Eigenvalues (width,) and eigenvectors (width, width) of each column's covariance."""
        found = [np.linalg.eigh(matrix) for matrix in self.spread]
        return [(np.maximum(values, LEAST), vectors) for values, vectors in found]


def shrinkage(strength: float, left: Floats, right: Floats) -> Floats:
    """The part s / (s + 1) of each cell that is kept; it is also the variance that is left."""
    signal = strength * np.outer(left, right)
    kept: Floats = signal / (signal + 1.0)
    return kept


def posterior(matrix: Floats, strength: float, a: Eigen, b: Eigen) -> tuple[Floats, Floats]:
    """Mean and variance of a pair's dependence given what was measured, in the columns' eigenbases."""
    (left, basis), (right, other) = a, b
    kept = shrinkage(strength, left, right)
    return kept * (basis.T @ matrix @ other), kept


def first_prior(pairs: Pairs, widths: Sequence[int]) -> Prior:
    """All pairs alike; each column's covariance is what its pairs show beyond the noise."""
    spread = []
    for column, width in enumerate(widths):
        seen = [matrix for (a, _), matrix in pairs.items() if a == column]
        seen += [matrix.T for (_, b), matrix in pairs.items() if b == column]
        beside = np.concatenate(seen, axis=1) if seen else np.zeros((width, 1))
        values, vectors = np.linalg.eigh(beside @ beside.T / beside.shape[1])
        spread.append((vectors * np.maximum(values - 1.0, 1e-2)) @ vectors.T)
    return Prior(dict.fromkeys(pairs, 1.0), spread)


def improved(prior: Prior, pairs: Pairs, widths: Sequence[int]) -> Prior:
    """One round of expectation and maximisation.

    A change of scale shows in a pair's strength and in both covariances. Counted in all three it is a
    step three times as long, which is what makes ten rounds enough where noise dominates and would swing
    ever wider where there is next to none: so the covariances' part counts as far as a pair is noise.
    """
    eigen = prior.eigen()
    sums, counts = [np.zeros((w, w)) for w in widths], np.zeros(len(widths))
    strength, noise = {}, {}
    for (a, b), matrix in pairs.items():
        (left, basis), (right, other), t = eigen[a], eigen[b], prior.strength[a, b]
        left_unit, right_unit = np.sqrt(left)[:, None], np.sqrt(right)[None, :]
        mean, kept = posterior(matrix, t, eigen[a], eigen[b])
        sums[a] += basis @ _second_moment(mean / right_unit, kept / right) @ basis.T / t
        sums[b] += other @ _second_moment((mean / left_unit).T, kept.T / left) @ other.T / t
        counts[a], counts[b] = counts[a] + widths[b], counts[b] + widths[a]
        strength[a, b] = float(((mean**2 + kept) / np.outer(left, right)).mean())
        noise[a, b] = 1.0 - float(kept.mean())
    units = [
        float(np.trace(s) / (n * len(s))) if n else 0.0 for s, n in zip(sums, counts, strict=True)
    ]
    return Prior(
        {
            (a, b): max(t * (units[a] * units[b]) ** noise[a, b], LEAST)
            for (a, b), t in strength.items()
        },
        [s / (n * u) if u > 0 else s for s, n, u in zip(sums, counts, units, strict=True)],
    )


def _second_moment(mean: Floats, variance: Floats) -> Floats:
    """E[S Sᵀ] of a matrix with independent cells, (rows, rows)."""
    moment: Floats = mean @ mean.T + np.diag(variance.sum(axis=1))
    return moment


@dataclass(frozen=True)
class Denoised:
    """Marginals without most of their noise.

    Attributes:
        marginals: one one-way marginal per column, in order, then the pairs. Variances are those of
            the noise before its removal: they are weights from here on.
        doubt: the posterior variance of a pair's cell, in units of its noise, averaged over all cells:
            about the loss that the truth itself has. 0 without pairs.
    """

    marginals: list[Marginal]
    doubt: float


def denoise(
    marginals: Sequence[Marginal], widths: Sequence[int], sites: Sites | None = None
) -> Denoised:
    """Margins and pairs without most of their noise.

    Args:
        marginals: one-way and two-way, pooled over the sites.
        widths: number of codes per column.
        sites: the same pairs by site; default: they are not known.
    """
    first = margins(marginals, widths)
    measured = [marginal for marginal in marginals if len(marginal.columns) == 2]
    sites = sites or one_site(measured, widths)
    pairs, noise = {}, {}
    for pair in measured:
        a, b = pair.columns
        dependence, noise[a, b] = sites.within(pair, first)
        pairs[a, b] = dependence / np.sqrt(noise[a, b])
    prior = first_prior(pairs, widths)
    for _ in range(ROUNDS):
        prior = improved(prior, pairs, widths)
    eigen = prior.eigen()
    cleaned, doubt, cells = [], 0.0, 0
    for a, b in pairs:
        mean, variance = posterior(pairs[a, b], prior.strength[a, b], eigen[a], eigen[b])
        mean = eigen[a][1] @ mean @ eigen[b][1].T
        product = np.outer(first[a].frequencies, first[b].frequencies)
        frequencies = product + sites.between(a, b) + np.sqrt(noise[a, b]) * mean
        cleaned.append(Marginal(columns=(a, b), frequencies=frequencies, variance=noise[a, b]))
        doubt, cells = doubt + float(variance.sum()), cells + variance.size
    return Denoised([*first, *cleaned], doubt / max(1, cells))
