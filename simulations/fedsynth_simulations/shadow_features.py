"""Describes a synthetic table by the numbers that the attacker of `shadow_pairs` uses.

The attacker knows the target t and all other records, and knows that a generator learns from shares
of rows. Two rows are *equal in a set of columns* if their levels are equal and their numbers differ
by at most 2 % of the ranks. The description of a table consists of

- the distance of t to its nearest and fifth nearest row (rank-scaled Gower);
- for 60 random sets of 1 to 3 columns, the share of rows equal to t in them: the query features of
  extended TAPAS (Houssiau et al. 2022);
- over all single columns and over all pairs, the sum of these shares, and the sum of each share
  divided by its value among the other records (plus one record). If the noise is the same in every
  cell, as in measured marginals, the likelihood ratio depends on the plain sum. If the noise comes
  from drawing rows, the variance of a share is proportional to the share, and the ratio depends on
  the second sum.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from fedsynth_common.array_types import BoolArray, Float64Array
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.discretise import named_levels
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.gower import Gower

_QUERIES = 60
_NEAR_RANK = 0.02
_FIFTH = 4


def categorical(features: Features) -> BoolArray:
    """Columns whose cells are level codes."""
    return np.array([bool(named_levels(column)) for column in features.columns])


class Description:
    """Computes the descriptions of tables for one attacker.

    Args:
        schema: the public schema.
        base: all records except the target.
        target: the record of the target, one row.
        seed: the seed of the random sets of columns.
    """

    def __init__(self, schema: Schema, base: pd.DataFrame, target: pd.DataFrame, seed: int) -> None:
        self._features = Features.fit(schema, base)
        cells = self._features.cells(base)
        self._space = Gower.fit(cells, categorical(self._features), "rank")
        self._target = self._space.points(self._features.cells(target))
        rng = np.random.default_rng(seed)
        width = cells.shape[1]
        self._queries = [
            rng.choice(width, size=min(int(rng.integers(1, 4)), width), replace=False)
            for _ in range(_QUERIES)
        ]
        expected = _shares(self._equal(self._gaps(base)))
        self._expected = [share + 1 / len(base) for share in expected]

    def __call__(self, table: pd.DataFrame) -> Float64Array:
        """The description of a table: 2 distances, 60 shares and 4 sums."""
        gaps = self._gaps(table)
        equal = self._equal(gaps)
        nearest = np.sort(gaps.sum(axis=0))[[0, min(_FIFTH, gaps.shape[1] - 1)]]
        queries = [equal[query].all(axis=0).mean() for query in self._queries]
        sums = [
            total
            for share, usual in zip(_shares(equal), self._expected, strict=True)
            for total in (share.sum(), (share / usual).sum())
        ]
        return np.array([*nearest, *queries, *sums])

    def _gaps(self, table: pd.DataFrame) -> Float64Array:
        """The distance of each cell to the target's cell (d x n), from 0 to 1."""
        levels = self._space.categorical
        points = self._space.points(self._features.cells(table))
        gaps = np.minimum(np.abs(points - self._target), 1)
        gaps[levels] = points[levels] != self._target[levels]
        return np.asarray(gaps)

    def _equal(self, gaps: Float64Array) -> BoolArray:
        limits = np.where(self._space.categorical, 0, _NEAR_RANK)
        return np.asarray(gaps <= limits[:, None])


def _shares(equal: BoolArray) -> tuple[Float64Array, Float64Array]:
    """Share of rows equal to the target in each column, and in each pair of columns."""
    together = equal.astype(float) @ equal.T.astype(float) / equal.shape[1]
    pairs = list(combinations(range(len(equal)), 2))
    return np.diag(together), np.array([together[pair] for pair in pairs])
