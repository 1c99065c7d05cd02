"""How far a column is likely to be from the real records, as far as noisy measurements show it.

Without real records, the distance of `evaluation.fidelity` cannot be measured. Everything that makes
it is known, however, and is added up here:

* the noise that is left in the shares of the codes;
* the generator's distance from the measured shares;
* inside a code, the noise of the cells that the code was made of. A number is compared at its
  deciles, and most of these lie inside a code. A rare category is drawn by its noisy share;
* inside a cell, nothing is known. Half of a cell that holds several values can lie on the wrong side
  of a decile;
* the chance of drawing: the drawn records are a sample.

All is expectation: a normal error of standard deviation s is sqrt(2 / π) s on average, and the
distance is half the sum over all levels.
"""

import math
from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.schema import FineDomain, ModelledColumn, domain_of
from fedsynth_release.decoding import Codebook
from fedsynth_release.histogram_noise import run_length, sum_noise

MEAN_ERROR = math.sqrt(2 / math.pi)
"""Mean absolute value of a normal error of standard deviation 1."""
_RARE = 0.3
"""A share that is 0 has this much of the error of a large one: shares below 0 are cut."""


@dataclass(frozen=True)
class MeasuredShares:
    """One measured column.

    Attributes:
        domain: its fine cells.
        view, shape: its codes (`decoding.Codebook`).
        shares: measured shares of the codes, (codes,).
        error: standard deviation of one of them.
        cell_error: standard deviation of the share of one fine cell.
        records: number of records that are drawn.
    """

    domain: FineDomain
    view: Int64Array
    shape: Float64Array
    shares: Float64Array
    error: float
    cell_error: float
    records: float

    @classmethod
    def of(
        cls,
        column: ModelledColumn,
        codebook: Codebook,
        index: int,
        measured: tuple[Float64Array, float, float],
        records: float,
    ) -> "MeasuredShares":
        """The column at `index`; `measured` are its shares, their error and that of a cell."""
        view = codebook.views[index].astype(np.int64)
        return cls(domain_of(column), view, codebook.shapes[index], *measured, records)

    @property
    def in_order(self) -> Int64Array:
        """The cells of a number by position, without *missing*."""
        cells = self.domain.in_order
        return np.asarray(
            cells[cells != (-1 if self.domain.missing is None else self.domain.missing)]
        )

    @property
    def mass(self) -> Float64Array:
        """The share of each fine cell, (cells,)."""
        return np.asarray(self.shares[self.view] * self.shape)

    @property
    def values(self) -> Float64Array:
        """The middle of each cell of a number in ticks; 0 for *missing*, (cells,)."""
        value, edges = np.zeros(self.domain.width), self.domain.ticks.astype(np.float64)
        leaves = slice(self.domain.atoms, self.domain.atoms + self.domain.leaves)
        value[: self.domain.atoms] = self.domain.atom_ticks
        value[leaves] = (edges[:-1] + edges[1:] - 1) / 2
        return value

    def errors(self) -> Float64Array:
        """The error of each code's share, smaller where a share near 0 cannot fall below it."""
        if not self.error:
            return np.zeros_like(self.shares)
        return np.asarray(self.error * np.minimum(1.0, self.shares / self.error + _RARE))


def expected_distance(column: MeasuredShares, generator: Float64Array) -> float:
    """The expected total variation distance of one column from the real records.

    Args:
        column: what was measured.
        generator: the generator's share of each code, (codes,).
    """
    off = _number_off(column) if column.domain.ordered else _category_off(column)
    learned = 0.5 * float(np.abs(column.shares - generator).sum())
    return min(1.0, 0.5 * MEAN_ERROR * off + learned)


def _category_off(column: MeasuredShares) -> float:
    """The sum of the deviations of all categories."""
    sizes = np.bincount(column.view)[column.view]
    inside = np.where(sizes > 1, np.minimum(column.cell_error, column.mass), 0.0)
    noise = (column.errors()[column.view]) ** 2 / sizes + inside**2
    return float(np.sqrt(noise + _chance(column.mass, column.records)).sum())


def _chance(share: Float64Array, records: float) -> Float64Array:
    return np.asarray(share * np.maximum(0.0, 1 - share) / records)


def _number_off(column: MeasuredShares) -> float:
    """The sum of the deviations between neighbouring deciles, and that of *missing*."""
    cells = column.in_order
    mass, codes = column.mass[cells], column.view[cells]
    below = np.cumsum(mass) / max(float(mass.sum()), 1e-9)
    cuts = np.unique(np.searchsorted(below, np.arange(1, 10) / 10))
    ends = np.unique(np.concatenate([cuts, [len(mass) - 1]]))
    off, start = 0.0, 0
    for end in ends.tolist():
        if end < start:
            continue
        off += _interval_off(column, mass, codes, start, end + 1)
        start = end + 1
    if column.domain.missing is not None:
        code = int(column.view[column.domain.missing])
        chance = float(_chance(column.shares[code : code + 1], column.records)[0])
        off += math.sqrt(float(column.errors()[code]) ** 2 + chance)
    return off


def _interval_off(
    column: MeasuredShares, mass: Float64Array, codes: Int64Array, start: int, end: int
) -> float:
    """The deviation of the share of the cells from `start` up to `end`, which lie in a row."""
    run, variance = run_length(column.domain), 0.0
    inside = codes[start:end]
    for code in np.unique(inside).tolist():
        whole, here = np.count_nonzero(codes == code), np.count_nonzero(inside == code)
        share = float(mass[start:end][inside == code].sum())
        total = float(column.shares[code])
        variance += (column.error * min(1.0, share / max(total, 1e-9))) ** 2
        if here < whole:
            cells = np.array(min(here, whole - here))
            noise = float(sum_noise(cells, column.cell_error, run))
            variance += min(noise, total / 4) ** 2
    several = _holds_several(column)[column.in_order[[max(0, start - 1), end - 1]]]
    variance += float(((mass[[max(0, start - 1), end - 1]] / 4) ** 2 * several).sum())
    share = float(mass[start:end].sum())
    return math.sqrt(variance + share * max(0.0, 1 - share) / column.records)


def _holds_several(column: MeasuredShares) -> Float64Array:
    """1 for each cell that holds more than one value, else 0, (cells,)."""
    domain, found = column.domain, np.zeros(column.domain.width)
    wide = np.diff(domain.ticks) > domain.step
    found[domain.atoms : domain.atoms + domain.leaves] = wide
    return found
