"""Draws the fine cell of every code in constant time: the alias method, one table per code.

Each cell of a code owns a slot of equal length. A slot that is too long for its cell's share gives the
rest to one other cell, its alias, so that a draw is one uniform number, one look-up and one comparison
(Walker 1977, "An efficient method for generating discrete random variables with general
distributions"; tables as in Vose 1991). A search in the cumulative shares costs three times as much.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from fedsynth_common.array_types import Float64Array, Int64Array, UInt16Array


@dataclass(frozen=True, eq=False)
class CellDraws:
    """The slots of one column's codes.

    Attributes:
        cells: Fine cells by code, (cells,).
        first: Where the cells of each code begin, (codes,).
        reach: Number of cells of each code, less a last bit: no draw reaches the next code, (codes,).
        share: Part of each slot that its own cell keeps, (cells,).
        alias: Place among `cells` of the cell that gets the rest of a slot, (cells,).
        single: Whether every code has one cell.
    """

    cells: UInt16Array
    first: Int64Array
    reach: Float64Array
    share: Float64Array
    alias: Int64Array
    single: bool

    @classmethod
    def of(cls, view: npt.NDArray[np.integer], shape: Float64Array) -> Self:
        """The slots of a view and of its shape, which sums to 1 inside each code."""
        cells = np.argsort(view, kind="stable")
        sizes = np.bincount(view)
        first = np.cumsum(sizes) - sizes
        share, alias = np.ones(len(cells)), np.arange(len(cells))
        for start, size in zip(first[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
            part = slice(start, start + size)
            share[part], here = _slots(shape[cells[part]])
            alias[part] = start + here
        reach = np.nextafter(sizes.astype(np.float64), 0.0)
        return cls(cells.astype(np.uint16), first, reach, share, alias, bool(sizes.max() == 1))

    def draw(self, codes: UInt16Array, rng: np.random.Generator) -> UInt16Array:
        """A fine cell of each code (n,); of a cell without mass never."""
        if self.single:
            return self.cells[codes]
        point = rng.random(len(codes)) * self.reach[codes]
        slot = point.astype(np.int64)
        place = self.first[codes] + slot
        return self.cells[np.where(point - slot < self.share[place], place, self.alias[place])]


def _slots(shape: Float64Array) -> tuple[Float64Array, Int64Array]:
    """Part that each slot keeps and the place of its alias, for shares (n,) that sum to about 1."""
    share = shape * (len(shape) / shape.sum())
    alias = np.full(len(shape), int(shape.argmax()))
    small, large = [np.flatnonzero(part).tolist() for part in (share < 1, share >= 1)]
    while small and large:
        less, more = small.pop(), large[-1]
        alias[less] = more
        share[more] -= 1.0 - share[less]
        if share[more] < 1:
            small.append(large.pop())
    # what rounding left over is full, but for cells without mass
    left = np.array(small + large, dtype=np.int64)
    share[left] = shape[left] > 0
    return share, alias
