"""Removes noise from measured three-way marginals.

A triple's table is that of a generator that was fitted to the pairs, plus the measured interaction
without most of its noise. As in `denoising.py` the prior of an interaction is normal with a separable
covariance t K_a (x) K_b (x) K_c: the covariances of the columns are those that the pairs have shown, and
the strength t is estimated from the triple itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_server.aggregation.denoising import LEAST_EIGENVALUE, ROUNDS, Eigen
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.aggregation.three_way import interaction


@dataclass(frozen=True)
class ThreeWay:
    """Three-way marginals that a generator is fitted to.

    Attributes:
        marginals: in groups of codes.
        groups: group of each code, by column.
        expected_loss: as of `Denoised`, over these cells.
    """

    marginals: list[MarginalEstimate]
    groups: list[Int64Array]
    expected_loss: float


def without_noise(
    measured: Sequence[MarginalEstimate],
    expected: Sequence[Float64Array],
    groups: Sequence[Int64Array],
    spread: Sequence[Float64Array],
) -> ThreeWay:
    """The expected tables, and the measured interactions beyond them without most of their noise.

    Args:
        measured: noisy triples in groups.
        expected: the same tables of a generator that was fitted to the pairs.
        groups: of the codes of every column.
        spread: K of every column.
    """
    bases = [_eigen_of_groups(k, of) for k, of in zip(spread, groups, strict=True)]
    marginals, left, cells = [], 0.0, 0
    for marginal, table in zip(measured, expected, strict=True):
        noise = marginal.variance**0.5
        seen = interaction(marginal.frequencies - table) / noise
        values, vectors = zip(*(bases[c] for c in marginal.columns), strict=True)
        rotated = _turned(seen, [v.T for v in vectors])
        shape = reduce(np.multiply.outer, values)
        kept = _kept(rotated, shape)
        signal = _turned(kept * rotated, vectors)
        marginals.append(replace(marginal, frequencies=table + noise * signal))
        left, cells = left + float(kept.sum()), cells + kept.size
    return ThreeWay(marginals, list(groups), left / max(1, cells))


def _eigen_of_groups(spread: Float64Array, groups: Int64Array) -> Eigen:
    """Eigenvalues, 1 on average, and eigenvectors of a covariance of sums over groups of codes."""
    member = np.zeros((int(groups.max()) + 1, len(groups)))
    member[groups, np.arange(len(groups))] = 1.0
    values, vectors = np.linalg.eigh(member @ spread @ member.T)
    values = np.maximum(values, LEAST_EIGENVALUE)
    return values / values.mean(), vectors


def _turned(cells: Float64Array, bases: Sequence[Float64Array]) -> Float64Array:
    """Each axis multiplied by a matrix from the left."""
    for axis, basis in enumerate(bases):
        cells = np.moveaxis(np.tensordot(basis, cells, axes=(1, axis)), 0, axis)
    return cells


def _kept(rotated: Float64Array, shape: Float64Array) -> Float64Array:
    """The part of each cell that is kept: s / (s + 1) with s = t x shape, t by maximum likelihood.

    Expectation and maximisation as in `denoising.improved`, with the covariances held.
    """
    strength = 1.0
    for _ in range(ROUNDS):
        kept = strength * shape / (strength * shape + 1.0)
        strength = float((((kept * rotated) ** 2 + kept) / shape).mean())
    return np.asarray(strength * shape / (strength * shape + 1.0))
