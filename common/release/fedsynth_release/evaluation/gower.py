"""Computes distances between records with numbers and categories, and finds nearest records.

The distance is that of Gower (1971), as in Anonymeter. It is the sum over the columns of |x - y|
for numbers scaled to [0, 1], and of [x != y] for categories. Two missing cells have distance 0; a
missing and a present cell have distance 1. Numbers can be scaled in two ways:

- `range` is linear between the extremes of the table given to `fit`; values beyond them are
  clipped. Anonymeter uses this scale.
- `rank` is the empirical distribution function of that table. In a skewed column (a cost, an
  income) it tells small values apart as well as large ones, which makes attacks on membership
  stronger.

The nearest row is found exactly, by comparing all rows in batches. The memory is `_BLOCK` x rows of
float32. If several rows are nearest, the first one is returned; shuffle the table if its order
matters.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fedsynth_common.array_types import BoolArray, Float32Array, Float64Array, Int64Array

Scale = Literal["range", "rank"]

_BLOCK = 32


@dataclass(frozen=True)
class Gower:
    """A distance between rows of `Features.cells`, fitted on a table.

    Attributes:
        categorical: which columns are compared by equality.
        knots: for each column the sorted values that map to evenly spaced points of [0, 1]; empty
            for categories.
    """

    categorical: BoolArray
    knots: tuple[Float64Array, ...]

    @classmethod
    def fit(cls, cells: Float64Array, categorical: BoolArray, scale: Scale) -> "Gower":
        """Fit the scales on `cells` (n x d, NaN = missing)."""
        return cls(
            categorical,
            tuple(
                np.empty(0) if flag else _knots(cells[:, j], scale)
                for j, flag in enumerate(categorical.tolist())
            ),
        )

    def points(self, cells: Float64Array) -> Float32Array:
        """The cells scaled and transposed to (d x n): numbers in [0, 1], codes, -1 for missing."""
        points = np.empty(cells.shape[::-1], dtype=np.float32)
        for j, knots in enumerate(self.knots):
            column = cells[:, j]
            points[j] = column if self.categorical[j] else _scaled(column, knots)
        points[np.isnan(points)] = -1
        return points

    def nearest(
        self, queries: Float64Array, table: Float64Array, columns: list[int] | None = None
    ) -> tuple[Float64Array, Int64Array]:
        """The distance to, and the index of, the row of `table` nearest to each row of `queries`.

        Only the given `columns` count; by default all columns count.
        """
        keep = list(range(len(self.knots))) if columns is None else columns
        left, right = self.points(queries), self.points(table)
        distances = np.empty(len(queries))
        indices = np.empty(len(queries), dtype=np.int64)
        for start in range(0, len(queries), _BLOCK):
            block = self._distances(left[:, start : start + _BLOCK], right, keep)
            best = block.argmin(axis=1)
            indices[start : start + _BLOCK] = best
            distances[start : start + _BLOCK] = block[np.arange(len(best)), best]
        return distances, indices

    def _distances(
        self,
        left: Float32Array,
        right: Float32Array,
        keep: list[int],
    ) -> Float32Array:
        total = np.zeros((left.shape[1], right.shape[1]), dtype=np.float32)
        gap = np.empty_like(total)
        differs = np.empty(total.shape, dtype=bool)
        for j in keep:
            if self.categorical[j]:
                np.not_equal(left[j][:, None], right[j], out=differs)
                total += differs
            else:
                np.subtract(left[j][:, None], right[j], out=gap)
                np.abs(gap, out=gap)
                total += np.minimum(gap, 1, out=gap)  # a missing cell lies at -1
        return total


def _knots(column: Float64Array, scale: Scale) -> Float64Array:
    values = np.sort(column[~np.isnan(column)])
    if not len(values):
        return np.zeros(1)
    if scale == "range":
        return np.asarray(np.unique(values[[0, -1]]))
    return np.asarray(values)


def _scaled(column: Float64Array, knots: Float64Array) -> Float64Array:
    """Scale numbers to [0, 1], linearly between knots; equal knots get their mean rank."""
    if len(knots) == 2:
        return np.asarray(np.clip((column - knots[0]) / (knots[1] - knots[0]), 0, 1))
    values, first, counts = np.unique(knots, return_index=True, return_counts=True)
    if len(values) == 1:
        return np.where(np.isnan(column), np.nan, np.sign(column - values[0]) / 2 + 0.5)
    scaled = np.interp(column, values, (first + counts / 2) / len(knots))
    return np.where(np.isnan(column), np.nan, scaled)
