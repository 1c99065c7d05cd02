"""A monotone map for each code of a column, after which positions inside the code are even.

It is the distribution function of the positions in a sample, straight between its quantiles.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array

KNOTS = 17
LEAST = 8 * KNOTS
"""Positions from which a code's map is learned; a rarer code keeps its positions as they are."""


@dataclass(frozen=True, eq=False)
class Evened:
    """The maps of one column: quantiles of the positions in each code, ascending, (codes, KNOTS)."""

    quantiles: Float64Array

    @classmethod
    def of(cls, codes: Int64Array, positions: Float64Array, width: int) -> Self:
        """The maps that make these positions (rows,) even in each of `width` codes."""
        levels = np.linspace(0.0, 1.0, KNOTS)
        quantiles = np.tile(levels, (width, 1))
        order = np.argsort(codes, kind="stable")
        parts = np.split(positions[order], np.cumsum(np.bincount(codes, minlength=width))[:-1])
        for code, inside in enumerate(parts):
            if len(inside) >= LEAST:
                found = np.quantile(inside, levels[1:-1])
                # strictly ascending, so that the map has an inverse
                quantiles[code, 1:-1] = np.clip(
                    found, levels[1:-1] * 1e-3, 1 - levels[-2:0:-1] * 1e-3
                )
        return cls(np.maximum.accumulate(quantiles + np.arange(KNOTS) * 1e-9, axis=1))

    def after(self, codes: Int64Array, positions: Float64Array) -> Float64Array:
        """Even positions in [0, 1) for drawn ones, (rows,)."""
        ends, part = self._part(codes, positions)
        share = (positions - ends[0]) / np.maximum(ends[1] - ends[0], 1e-300)
        even = (part + np.clip(share, 0.0, 1.0)) / (KNOTS - 1)
        return np.minimum(even, np.nextafter(1.0, 0.0))

    def before(self, codes: Int64Array, even: Float64Array) -> Float64Array:
        """The inverse of `after`, for positions in [0, 1]."""
        part = np.minimum((even * (KNOTS - 1)).astype(np.int64), KNOTS - 2)
        low, high = self.quantiles[codes, part], self.quantiles[codes, part + 1]
        return np.asarray(low + (even * (KNOTS - 1) - part) * (high - low))

    def _part(
        self, codes: Int64Array, positions: Float64Array
    ) -> tuple[tuple[Float64Array, Float64Array], Int64Array]:
        """Between which quantiles a position lies, and the number of the first of them."""
        flat = (self.quantiles + 2.0 * np.arange(len(self.quantiles))[:, None]).ravel()
        place = np.searchsorted(flat, positions + 2.0 * codes, side="right") - 1
        part = np.clip(place - codes * KNOTS, 0, KNOTS - 2)
        return (self.quantiles[codes, part], self.quantiles[codes, part + 1]), part
