"""The correlations of columns of numbers, of which only the probabilities of pairs of codes are known.

Two columns are taken for two normal variables that were cut into codes (the polychoric model: Pearson
1900; Olsson 1979, Psychometrika 44(4)). Their correlation is the one under which the mean product of
the codes' normal scores is that of the pair. A generator gives this mean product in closed form: given
z its columns are independent, so that it is the mean over z of a product of two sums.
"""

from collections.abc import Sequence

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_release.copula.bivariate import MOST, dependence, scores

HALVINGS = 12
"""Of the range of a correlation: it is found up to 0.0005."""
LEAST_EIGENVALUE = 0.004
"""Pairs are looked at one by one; together they must be correlations of some normal distribution."""


def correlations(
    soft: Sequence[Float64Array], orders: Sequence[Int64Array], least: float
) -> Float64Array:
    """The correlation matrix, (columns, columns), positive definite.

    Args:
        soft: for each column the probabilities of its codes given each latent, (latents, codes).
        orders: for each its codes from the lowest to the highest, without the missing one.
        least: mean products of scores below it, in absolute value, are taken for 0.
    """
    present, shares, means = [], [], []
    for table, order in zip(soft, orders, strict=True):
        held = table[:, order]
        overall = held.mean(axis=0)
        shares.append(overall / max(float(overall.sum()), 1e-300))
        present.append(held.sum(axis=1))
        means.append(held @ scores(shares[-1]))
    seen, sums = np.stack(present, axis=1), np.stack(means, axis=1)
    products = (sums.T @ sums) / np.maximum(seen.T @ seen, 1e-300)
    found = np.eye(len(soft))
    for a in range(len(soft)):
        for b in range(a):
            if abs(products[a, b]) >= least:
                found[a, b] = found[b, a] = matching(shares[a], shares[b], products[a, b])
    return positive_definite(found)


def matching(rows: Float64Array, columns: Float64Array, product: float) -> float:
    """The correlation under which the codes' scores have this mean product; the nearest there is.

    >>> shares = np.array([0.25, 0.25, 0.25, 0.25])
    >>> law = dependence(shares, shares, np.array([0.6]))[0]
    >>> round(matching(shares, shares, float(scores(shares) @ law @ scores(shares))), 2)
    0.6
    """
    first, second = scores(rows), scores(columns)
    low, high = -MOST, MOST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        law = dependence(rows, columns, np.array([middle]))[0]
        if first @ law @ second < product:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def positive_definite(matrix: Float64Array) -> Float64Array:
    """The matrix with its small eigenvalues raised, and ones on the diagonal again."""
    values, vectors = np.linalg.eigh(matrix)
    raised = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    spread = np.sqrt(np.diag(raised))
    return np.asarray(raised / np.outer(spread, spread))
