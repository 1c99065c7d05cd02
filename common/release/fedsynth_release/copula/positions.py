"""Where inside its code the value of a number lies, drawn together for columns that rise together.

A generator draws codes. Most of what two columns have in common can lie inside them: the highest code
of a skewed amount holds half of its variance. The positions inside the codes are therefore drawn from
a normal distribution with the columns' correlations, given that each variable lies in its code:

    Z ~ N(0, R) given low_j(code j) <= Z_j < high_j(code j) for every column j,

by Gibbs sampling, one column after the other (Geweke 1991). The codes stay, and so do the columns'
distributions: the generator's codes need not be those of a normal distribution, so Z is a little uneven
inside a code; a monotone map for each code (`Evened`), learned from drawn records, takes that back.

Every record is drawn by itself: its distribution does not depend on how many others are drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.special import ndtr, ndtri

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_release.copula.bivariate import FAR
from fedsynth_release.copula.evened import Evened

SWEEPS = 3
LOOSE = 0.8
"""A code narrower than this part of what is left of a column's spread, given the others, is not swept:
the others say nothing about where in it a value lies."""


@dataclass(frozen=True, eq=False)
class Positions:
    """The law of the positions.

    Attributes:
        ranks: for each column and code, the shares of the column below and up to the code; (0, 1) for
            the missing one: each (2, codes).
        correlations: of the columns, positive definite, (columns, columns).
        evened: for each column, the map that makes positions even inside each code; None as long as
            it is not known.
    """

    ranks: Sequence[Float64Array]
    correlations: Float64Array
    evened: Sequence[Evened] | None = None

    @cached_property
    def precision(self) -> Float64Array:
        """The inverse of the correlations, (columns, columns)."""
        return np.asarray(np.linalg.inv(self.correlations))

    def part(self, columns: Sequence[int]) -> Self:
        """The law of some of the columns, whatever the others are."""
        evened = None if self.evened is None else [self.evened[j] for j in columns]
        kept = self.correlations[np.ix_(columns, columns)]
        return replace(
            self, ranks=[self.ranks[j] for j in columns], correlations=kept, evened=evened
        )

    @cached_property
    def loose(self) -> list[BoolArray]:
        """For each column, which of its codes are wide enough to be swept, (codes,)."""
        left = np.diag(self.precision) ** -0.5
        width = [np.diff(np.clip(ndtri(ranks), -4, 4), axis=0)[0] for ranks in self.ranks]
        return [wide > LOOSE * spread for wide, spread in zip(width, left, strict=True)]

    def draw(
        self,
        codes: Int64Array,
        rng: np.random.Generator,
        spans: Sequence[Float64Array | None] | None = None,
        known: Float64Array | None = None,
    ) -> Float64Array:
        """Positions inside the codes, in [0, 1), (rows, columns).

        Args:
            codes: of the columns, (rows, columns).
            rng: decides the positions.
            spans: for each column, between which positions of each code the value must lie, (2, codes);
                None for a column that may lie anywhere.
            known: positions that are given and stay, NaN elsewhere, (rows, columns).
        """
        low, high = np.empty(codes.shape), np.empty(codes.shape)
        for j, ranks in enumerate(self.ranks):
            ends = ranks if spans is None or (span := spans[j]) is None else self._within(j, span)
            low[:, j], high[:, j] = ends[0][codes[:, j]], ends[1][codes[:, j]]
        if known is not None:
            given = ~np.isnan(known)
            for j in np.flatnonzero(given.any(axis=0)).tolist():
                rows = given[:, j]
                rank = self._ranks_at(j, codes[rows, j], known[rows, j])
                low[rows, j] = high[rows, j] = rank
        drawn = self._swept(codes, low, high, rng)
        return self._evened(codes, drawn)

    def _swept(
        self, codes: Int64Array, low: Float64Array, high: Float64Array, rng: np.random.Generator
    ) -> Float64Array:
        """Normal variables between their ends (as ranks), (rows, columns)."""
        start = low + rng.random(low.shape) * (high - low)
        z, first, last = (np.clip(ndtri(part), -FAR, FAR) for part in (start, low, high))
        moved = [
            np.flatnonzero(loose[codes[:, j]] & (low[:, j] < high[:, j]))
            for j, loose in enumerate(self.loose)
        ]
        for _ in range(SWEEPS):
            for j, rows in enumerate(moved):
                spread = self.precision[j, j] ** -0.5
                weights = -self.precision[j] / self.precision[j, j]
                weights[j] = 0.0
                mean = z[rows] @ weights
                low_end, high_end = ((part[rows, j] - mean) / spread for part in (first, last))
                chance = rng.random(len(rows))
                z[rows, j] = mean + spread * _between(low_end, high_end, chance)
        return np.asarray(np.clip(z, first, last))

    def _within(self, j: int, span: Float64Array) -> Float64Array:
        """The ends of each code of a column (as ranks) if its position is confined to `span`."""
        codes = np.arange(span.shape[1])
        return np.stack([self._ranks_at(j, codes, ends) for ends in span])

    def _ranks_at(self, j: int, codes: Int64Array, position: Float64Array) -> Float64Array:
        """The ranks that positions in their codes have."""
        if self.evened is not None:
            position = self.evened[j].before(codes, position)
        low, high = self.ranks[j][:, codes]
        return np.asarray(np.clip(low + position * (high - low), low, high))

    def _evened(self, codes: Int64Array, z: Float64Array) -> Float64Array:
        positions = np.empty(z.shape)
        for j, ranks in enumerate(self.ranks):
            low, high = ranks[:, codes[:, j]]
            inside = (ndtr(z[:, j]) - low) / np.maximum(high - low, 1e-300)
            inside = np.clip(inside, 0.0, np.nextafter(1.0, 0.0))
            if self.evened is not None:
                inside = self.evened[j].after(codes[:, j], inside)
            positions[:, j] = inside
        return positions


def _between(low: Float64Array, high: Float64Array, chance: Float64Array) -> Float64Array:
    """A standard normal variable given that it lies between two ends, by inversion."""
    turned = low > 0  # in the lower tail the distribution function keeps its digits
    low, high = np.where(turned, -high, low), np.where(turned, -low, high)
    below, upto = ndtr(low), ndtr(high)
    drawn = ndtri(np.maximum(below + chance * (upto - below), 1e-300))
    drawn = np.minimum(np.maximum(drawn, low), high)
    return np.asarray(np.where(turned, -drawn, drawn))
