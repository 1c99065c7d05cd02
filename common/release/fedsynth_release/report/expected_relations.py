"""How much of a column's relations a generator is likely to keep, as far as noisy pairs show it.

What is true of a pair of columns is taken as normal around what was measured
(`measured_associations`), and every figure is the mean over it.
"""

from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array
from fedsynth_release.measurements import MeasuredAssociations

SEEN, WEAK = 2.5, 0.07
"""Most pairs are hardly related. Where a pair is not seen beyond `SEEN` errors, its strength is less
likely by a factor of e for each `WEAK`."""
RELATED = 0.1
"""Associations below this value are not counted as relations."""
_POINTS, _ROOTS = np.polynomial.hermite_e.hermegauss(31)
_WEIGHTS = _ROOTS / _ROOTS.sum()
"""Points and weights of a standard normal distribution (Gauss-Hermite quadrature)."""


@dataclass(frozen=True)
class ExpectedRelations:
    """The relations of one column with all others.

    Attributes:
        count: expected number of relations of at least `RELATED`.
        none: probability that there is none.
        kept: expected share of their strength that the generator keeps.
        hidden: share of their expected strength that lies in pairs of which noise hides more than is
            seen.
        usual: expected share that is kept, or 1 where there is no relation, if the pairs that noise
            hides are as weakly related as most pairs are.
    """

    count: float
    none: float
    kept: float
    hidden: float
    usual: float


def expected_relations(
    index: int, found: MeasuredAssociations, signed: BoolArray
) -> ExpectedRelations:
    """How much of the relations of the column at `index` the generator is likely to keep.

    What is true of a pair is taken as normal around what was measured, and every figure is the mean over
    it. `signed` says which columns have values in an order, (columns,).
    """
    measured, error, made = (
        np.array(table[index])[:, None] for table in (found.measured, found.error, found.generator)
    )
    known = np.array(found.known[index])
    known[index] = False
    true = np.clip(measured + error * _POINTS, -1, 1)
    true = np.where((signed & signed[index])[:, None], true, np.abs(true))
    strength = np.abs(true) * (np.abs(true) >= RELATED)
    lost = np.minimum(np.abs(made - true), strength) * (strength > 0)
    flat = np.broadcast_to(_WEIGHTS, true.shape)
    likely, strengths, losses = _means(strength[known], lost[known], flat[known])
    whole = float(strengths.sum())
    if whole <= 0:
        return ExpectedRelations(0.0, 1.0, 1.0, 0.0, 1.0)
    unseen = (np.abs(measured) < error)[known, 0]
    weak = flat * np.exp(-np.abs(true) / WEAK * (np.abs(measured) < SEEN * error))
    weak = weak / weak.sum(axis=1, keepdims=True)
    return ExpectedRelations(
        count=float(likely.sum()),
        none=_none(likely),
        kept=1 - float(losses.sum()) / whole,
        hidden=float(strengths[unseen].sum()) / whole,
        usual=_whole(*_means(strength[known], lost[known], weak[known])),
    )


def _means(
    strength: Float64Array, lost: Float64Array, weights: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Of each pair: probability that it is a relation, expected strength, and what is lost of it."""
    parts = (strength > 0, strength, lost)
    likely, strengths, losses = (np.asarray((part * weights).sum(axis=1)) for part in parts)
    return likely, strengths, losses


def _none(likely: Float64Array) -> float:
    """The probability that no pair is a relation."""
    return float(np.prod(np.clip(1 - likely, 0.0, 1.0)))


def _whole(likely: Float64Array, strengths: Float64Array, losses: Float64Array) -> float:
    """The share that is kept, and 1 where there is no relation."""
    none = _none(likely)
    kept = 1 - float(losses.sum()) / max(float(strengths.sum()), 1e-12)
    return none + (1 - none) * kept
