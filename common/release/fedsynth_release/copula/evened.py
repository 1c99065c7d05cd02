"""A monotone map for each code of a column, after which positions inside the code are even.

It is the distribution function of the positions in a sample, straight between its quantiles. These are
closer to each other at both ends of a code: the last hundredth of the highest code of an amount can
decide its standard deviation.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array

_TAIL = 2.0 ** -np.arange(9, 4, -1)
LEVELS = np.concatenate([[0.0], _TAIL, np.arange(1, 16) / 16, 1 - _TAIL[::-1], [1.0]])
KNOTS = len(LEVELS)
LEAST = 200
"""Positions from which a code's map is learned; a rarer code keeps its positions as they are."""


@dataclass(frozen=True, eq=False)
class Evened:
    """The maps of one column: quantiles of the positions in each code, ascending, (codes, KNOTS)."""

    quantiles: Float64Array

    @classmethod
    def of(cls, codes: Int64Array, positions: Float64Array, width: int) -> Self:
        """The maps that make these positions (rows,) even in each of `width` codes."""
        quantiles = np.tile(LEVELS, (width, 1))
        order = np.argsort(codes, kind="stable")
        parts = np.split(positions[order], np.cumsum(np.bincount(codes, minlength=width))[:-1])
        for code, inside in enumerate(parts):
            if len(inside) >= LEAST:
                found = np.quantile(inside, LEVELS[1:-1])
                # strictly ascending, so that the map has an inverse
                quantiles[code, 1:-1] = np.clip(
                    found, LEVELS[1:-1] * 1e-3, 1 - LEVELS[-2:0:-1] * 1e-3
                )
        return cls(np.maximum.accumulate(quantiles + np.arange(KNOTS) * 1e-9, axis=1))

    def after(self, codes: Int64Array, positions: Float64Array) -> Float64Array:
        """Even positions in [0, 1) for drawn ones, (rows,)."""
        ends, part = self._part(codes, positions)
        share = (positions - ends[0]) / np.maximum(ends[1] - ends[0], 1e-300)
        even = LEVELS[part] + np.clip(share, 0.0, 1.0) * (LEVELS[part + 1] - LEVELS[part])
        return np.asarray(np.minimum(even, np.nextafter(1.0, 0.0)))

    def before(self, codes: Int64Array, even: Float64Array) -> Float64Array:
        """The inverse of `after`, for positions in [0, 1]."""
        part = np.clip(np.searchsorted(LEVELS, even, side="right") - 1, 0, KNOTS - 2)
        low, high = self.quantiles[codes, part], self.quantiles[codes, part + 1]
        share = (even - LEVELS[part]) / (LEVELS[part + 1] - LEVELS[part])
        return np.asarray(low + share * (high - low))

    def _part(
        self, codes: Int64Array, positions: Float64Array
    ) -> tuple[tuple[Float64Array, Float64Array], Int64Array]:
        """Between which quantiles a position lies, and the number of the first of them."""
        flat = (self.quantiles + 2.0 * np.arange(len(self.quantiles))[:, None]).ravel()
        place = np.searchsorted(flat, positions + 2.0 * codes, side="right") - 1
        part = np.clip(place - codes * KNOTS, 0, KNOTS - 2)
        return (self.quantiles[codes, part], self.quantiles[codes, part + 1]), part
