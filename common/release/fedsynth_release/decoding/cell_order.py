"""The fine cells of a number in their order inside each code, and which of them a position stands for.

A position in [0, 1) inside a code is a share of the code's mass: the lowest cells first.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array, UInt16Array
from fedsynth_common.schema.domain import FineDomain


@dataclass(frozen=True, eq=False)
class CellOrder:
    """The cells of one column.

    Attributes:
        cells: fine cells by code and, inside a code, from the lowest to the highest, (cells,).
        codes: the code of each, (cells,).
        starts, ends: the code of each plus the share of the code's mass below it, and up to its end.
        held: whether it has mass, (cells,).
        place: the place of each fine cell among `cells`, (cells,).
        last: the place of the last cell of each code that has mass, (codes,).
    """

    cells: Int64Array
    codes: Int64Array
    starts: Float64Array
    ends: Float64Array
    held: BoolArray
    place: Int64Array
    last: Int64Array

    @classmethod
    def of(cls, domain: FineDomain, view: UInt16Array, shape: Float64Array) -> Self:
        """The order of a column of numbers; a missing cell is the last of its code."""
        rest = np.setdiff1d(np.arange(domain.width), domain.in_order)
        order = np.concatenate([domain.in_order, rest])
        cells = order[np.argsort(view[order], kind="stable")]
        codes, mass = view[cells].astype(np.int64), shape[cells]
        total = np.bincount(codes, weights=mass)
        below = np.cumsum(mass) - mass
        first = np.flatnonzero(np.diff(codes, prepend=-1))
        before = np.clip((below - below[first][codes]) / total[codes], 0.0, 1.0)
        upto = np.minimum(before + mass / total[codes], 1.0)
        last = np.zeros(len(total), dtype=np.int64)
        np.maximum.at(last, codes[mass > 0], np.flatnonzero(mass > 0))
        return cls(
            cells=cells,
            codes=codes,
            starts=codes + before,
            ends=codes + upto,
            held=mass > 0,
            place=np.argsort(cells, kind="stable"),
            last=last,
        )

    def at(self, codes: Int64Array, positions: Float64Array) -> tuple[Int64Array, Float64Array]:
        """The fine cell of each position in its code (rows,), and the position in [0, 1) inside it.

        A cell without mass is never the answer.
        """
        point = codes + positions
        place = np.searchsorted(self.ends, point, side="right")
        place = np.minimum(place, self.last[codes])  # rounding may carry a point beyond
        width = np.maximum(self.ends[place] - self.starts[place], 1e-300)
        inside = np.clip((point - self.starts[place]) / width, 0.0, np.nextafter(1.0, 0.0))
        return self.cells[place], inside

    def position(self, cells: Int64Array, inside: Float64Array) -> Float64Array:
        """The positions in their codes, in [0, 1], of positions inside cells (rows,)."""
        place = self.place[cells]
        point = self.starts[place] + inside * (self.ends[place] - self.starts[place])
        return np.asarray(np.clip(point - self.codes[place], 0.0, 1.0))

    def span(self, allowed: Float64Array) -> Float64Array:
        """Between which positions the allowed cells of each code lie, (2, codes).

        `allowed` is the share of each fine cell that is allowed, (cells,). A code of which nothing is
        allowed may be anywhere.
        """
        some = (allowed[self.cells] > 0) & self.held
        low, high = np.full((2, len(self.last)), np.nan)
        np.fmin.at(low, self.codes[some], (self.starts - self.codes)[some])
        np.fmax.at(high, self.codes[some], (self.ends - self.codes)[some])
        return np.stack([np.nan_to_num(low, nan=0.0), np.nan_to_num(high, nan=1.0)])
