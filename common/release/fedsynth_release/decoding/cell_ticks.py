"""Draws a tick for every fine cell of an ordered column: one look-up, one uniform number, one addition.

A tick is drawn by its rank among the values that leaves may decode to: a cell's ranks follow each
other, whatever gaps atoms or conditions leave between its ticks.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.schema.domain import MISSING, FineDomain
from fedsynth_common.schema.tick_set import TickSet

EXACT = 1 << 53
"""Counts up to this are exact as floats."""


@dataclass(frozen=True, eq=False)
class CellTicks:
    """What each cell of a column decodes to.

    Attributes:
        low: Tick of an atom, `MISSING` of the missing cell, of a leaf its first value or, with gaps,
            the rank of that, (cells,).
        count: How many values each cell has, at least 1, (cells,).
        gaps: The values, where they do not follow each other inside every leaf; else None.
        atoms: Number of atoms, the first cells.
        leaves: Number of leaves, the next cells.
    """

    low: Int64Array
    count: Int64Array
    gaps: TickSet | None
    atoms: int
    leaves: int

    @classmethod
    def of(cls, domain: FineDomain, held: TickSet) -> Self:
        """The ticks of a domain whose leaves decode to the values in `held`."""
        ranks = held.rank(domain.ticks)
        sizes = np.diff(ranks)
        first = held.at(ranks[:-1])
        some = sizes > 0
        gaps = bool((held.at(ranks[1:] - 1) - first != sizes - 1)[some].any())
        missing = np.full(int(domain.missing is not None), MISSING)
        low = np.concatenate([domain.atom_ticks, ranks[:-1] if gaps else first, missing])
        count = np.ones(len(low), dtype=np.int64)
        count[domain.atoms : domain.atoms + domain.leaves] = np.maximum(sizes, 1)
        return cls(low, count, held if gaps else None, domain.atoms, domain.leaves)

    def draw(self, cells: Int64Array, rng: np.random.Generator) -> Int64Array:
        """A value of each cell (n,), all that it has equally likely; arbitrary where it has none."""
        largest = int(self.count.max())
        if largest > EXACT:
            return self._values(cells, rng.integers(0, self.count[cells]))
        if largest == 1:
            return self._values(cells, 0)
        return self.at(cells, rng.random(len(cells)))

    def at(self, cells: Int64Array, inside: Float64Array) -> Int64Array:
        """The value at a position in [0, 1) among those of each cell (n,), the lowest first."""
        reach = np.nextafter(self.count.astype(np.float64), 0.0)
        return self._values(cells, (inside * reach[cells]).astype(np.int64))

    def inside(self, cells: Int64Array, values: Int64Array) -> Float64Array:
        """Where in [0, 1) among the values of its cell each value (n,) is; the inverse of `at`."""
        leaf = (cells >= self.atoms) & (cells < self.atoms + self.leaves)
        ranks = values if self.gaps is None else self.gaps.rank(values)
        share = (ranks - self.low[cells] + 0.5) / self.count[cells]
        return np.where(leaf, np.clip(share, 0.0, np.nextafter(1.0, 0.0)), 0.5)

    def _values(self, cells: Int64Array, ranks: Int64Array | int) -> Int64Array:
        """The values of these ranks in their cells."""
        values = self.low[cells] + ranks
        if self.gaps is not None:
            leaf = (cells >= self.atoms) & (cells < self.atoms + self.leaves)
            values[leaf] = self.gaps.at(values[leaf])
        return values


def leaf_values(domain: FineDomain) -> TickSet:
    """What the leaves of a number decode to: all its values but the atoms, which have their own cells.

    A leaf that holds nothing but atoms decodes to its first tick.
    """
    first, last = domain.ticks[:-1], domain.ticks[1:]
    every = TickSet(domain.ticks[:1], domain.ticks[-1:])
    if domain.step > 1:
        grid = np.arange(domain.ticks[0], domain.ticks[-1], domain.step)
        every = TickSet(grid, grid + 1)
    atoms = every & TickSet.of(domain.atom_ticks.tolist())
    held = every.rank(last) - every.rank(first)
    bare = first[atoms.rank(last) - atoms.rank(first) == held]
    return every.without(set(domain.atom_ticks.tolist()) - set(bare.tolist()))
