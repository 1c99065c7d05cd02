"""The fine domain of a column: the cells 0..W-1 that a record's value can fall into.

It is a function of the public schema alone, so all sites get the same cells without talking. The
layout of the codes is fixed:

    numbers      atoms (sorted) | leaves (ascending) | missing
    categorical  categories in declared order | other | missing
    boolean      false | true | missing

A number is handled as a whole number of ticks (1 for integers, 10**-decimals otherwise), and so are
dates, times and durations (a tick is their granularity). The range
is cut into at most 256 leaves `[t_j, t_{j+1})` whose edges are ticks, so every leaf holds at least
one representable value; a range of up to 256 ticks has one leaf per tick. Where the column declares a
step, only every so many ticks are values, and leaves are cut between those. Leaves are spaced
linearly, or, for `scale = "log"`, evenly in log(t - low + c) with c = max(low, span / 1e5, 1):
a plain logarithm for ranges that start above 0, linear only in the lowest hundred-thousandth else.
A range on both sides of 0 is two such scales, one up and one down from 0 (debts and credits).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.schema.columns import (
    OTHER,
    BooleanColumn,
    CategoricalColumn,
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
    OrderedColumn,
    Scale,
    other_among,
)
from fedsynth_common.schema.temporal import DateColumn, DatetimeColumn, iso_tick
from fedsynth_common.schema.ticks import decimals_of

MAX_LEAVES = 256
MISSING = int(np.iinfo(np.int64).min)
"""A missing cell among the values of a column; no tick and no code is that low."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FineDomain:
    """The cells of one column.

    Attributes:
        name: The column.
        width: Number of cells W.
        ordered: Whether the column has leaves in an order (numbers, dates, durations).
        atoms: Number of atom cells (codes 0..atoms-1).
        leaves: Number of leaf cells (codes atoms..atoms+leaves-1); 0 unless ordered.
        missing: Code of the missing cell, if nullable.
        other: Code of the `other` cell, if any.
        labels: Texts of the category cells in code order; empty for numbers.
        decimals: Digits after the point of a tick; 0 for integers.
        atom_ticks: The atoms in ticks, ascending.
        step: Ticks from one value of the leaves to the next; the first is the first edge.
        ticks: Leaf edges in ticks (leaves + 1); leaf j holds ticks t_j..t_{j+1}-1.
    """

    name: str
    width: int
    ordered: bool
    atoms: int = 0
    leaves: int = 0
    missing: int | None = None
    other: int | None = None
    labels: tuple[str, ...] = ()
    decimals: int = 0
    step: int = 1
    atom_ticks: Int64Array
    ticks: Int64Array

    @property
    def edges(self) -> Float64Array:
        """Leaf edges as values (leaves + 1); empty unless ordered."""
        return np.asarray(self.ticks / 10.0**self.decimals, dtype=np.float64)

    @property
    def reach(self) -> tuple[int, int]:
        """The first tick of any cell, and the one after the last; atoms may lie out of the bounds."""
        if not self.ordered:
            return 0, len(self.labels)
        first, last = int(self.ticks[0]), int(self.ticks[-1])
        if self.atoms:
            return min(first, int(self.atom_ticks[0])), max(last, int(self.atom_ticks[-1]) + 1)
        return first, last

    @property
    def in_order(self) -> Int64Array:
        """The cells of a number by position: every atom before the leaf that it would fall into."""
        leaf = np.searchsorted(self.ticks, self.atom_ticks, side="right") - 1
        place = np.concatenate([leaf, np.arange(self.leaves) + 0.5])
        return np.argsort(place, kind="stable")


@lru_cache(maxsize=8192)
def domain_of(column: ModelledColumn) -> FineDomain:
    """The fine domain of one column.

    >>> from fedsynth_common.schema import IntegerColumn
    >>> domain_of(IntegerColumn(name="age", minimum=0, maximum=99, nullable=True)).width
    101
    """
    if isinstance(column, CategoricalColumn):
        return _categorical(column)
    if isinstance(column, BooleanColumn):
        return _labelled(column.name, (column.false, column.true), None, column.nullable)
    return _number(column)


def _categorical(column: CategoricalColumn) -> FineDomain:
    labels, other = column.categories, None
    if column.other:
        # a listed category that reads "other" or "Other" is the cell: two such cells side by side
        # could not be told apart after decoding
        label = other_among(labels)
        labels = labels if label else (*labels, OTHER)
        other = labels.index(label or OTHER)
    return _labelled(column.name, labels, other, column.nullable)


def _labelled(name: str, labels: tuple[str, ...], other: int | None, nullable: bool) -> FineDomain:
    none = np.zeros(0, dtype=np.int64)
    return FineDomain(
        name=name,
        width=len(labels) + nullable,
        ordered=False,
        missing=len(labels) if nullable else None,
        other=other,
        labels=labels,
        atom_ticks=none,
        ticks=none,
    )


def _number(column: OrderedColumn) -> FineDomain:
    low, high, *atoms = _bounds(column)
    scale = "linear" if isinstance(column, DateColumn | DatetimeColumn) else column.scale
    step = _step(column)
    ticks = grid_ticks(low, high, scale, step)
    atom_ticks = np.array(sorted(atoms), dtype=np.int64)
    cells = len(atoms) + len(ticks) - 1
    for array in (ticks, atom_ticks):
        array.flags.writeable = False  # domains are shared through the cache
    return FineDomain(
        name=column.name,
        width=cells + column.nullable,
        ordered=True,
        atoms=len(atoms),
        leaves=len(ticks) - 1,
        missing=cells if column.nullable else None,
        decimals=decimals_of(column),
        step=step,
        atom_ticks=atom_ticks,
        ticks=ticks,
    )


def _bounds(column: OrderedColumn) -> list[int]:
    """Minimum, maximum and atoms in ticks."""
    declared = (column.minimum, column.maximum, *column.atoms)
    if isinstance(column, DateColumn | DatetimeColumn):
        ticks = (iso_tick(str(text), column.granularity) for text in declared)
        return [tick for tick in ticks if tick is not None]  # the column has checked them
    unit = 10 ** decimals_of(column)
    return [round(float(number) * unit) if unit > 1 else int(number) for number in declared]


def _step(column: OrderedColumn) -> int:
    """The step of a number in ticks; 1 where none is declared."""
    if not isinstance(column, NumericColumn | IntegerColumn) or column.step is None:
        return 1
    unit: int = 10 ** decimals_of(column)
    return round(column.step * unit)


def grid_ticks(low: int, high: int, scale: Scale, step: int) -> Int64Array:
    """Tick edges where only `low`, `low + step`, ... `high` are values; each but the last is one.

    >>> grid_ticks(10, 50, "linear", 10).tolist()
    [10, 20, 30, 40, 50, 51]
    """
    first = low // step  # the logarithm is of the value itself, up to a step
    edges = low + step * (leaf_ticks(first, first + (high - low) // step, scale) - first)
    return np.append(edges[:-1], high + 1)


def leaf_ticks(low: int, high: int, scale: Scale, leaves: int = MAX_LEAVES) -> Int64Array:
    """Strictly increasing tick edges from `low` to `high + 1`, at most `leaves` leaves.

    >>> leaf_ticks(0, 9, "linear", leaves=5).tolist()
    [0, 2, 4, 6, 8, 10]
    >>> leaf_ticks(0, 999, "log", leaves=5).tolist()
    [0, 3, 15, 63, 252, 1000]
    >>> leaf_ticks(-99, 999, "log", leaves=5).tolist()
    [-99, -9, 0, 9, 99, 1000]
    """
    span = high + 1 - low
    if span <= leaves:
        return np.arange(low, high + 2, dtype=np.int64)
    if scale == "linear":
        return np.array([low + i * span // leaves for i in range(leaves + 1)], dtype=np.int64)
    if low >= 0:
        return _log_ticks(low, high, leaves)
    if high < 0:
        return 1 - _log_ticks(-high, -low, leaves)[::-1]
    decades = np.log1p([-low, high])
    below = min(max(1, round(leaves * decades[0] / decades.sum())), leaves - 1, -low)
    below = max(below, leaves - (high + 1))  # a side has no more leaves than ticks
    negative, positive = _log_ticks(1, -low, below), _log_ticks(0, high, leaves - below)
    return np.concatenate([1 - negative[::-1], positive[1:]])


def _log_ticks(low: int, high: int, leaves: int) -> Int64Array:
    """Edges from `low` >= 0 to `high + 1`, even in the logarithm; `leaves` is at most their distance."""
    span = high + 1 - low
    offset = max(low, span / 1e5, 1)
    edges = [low]
    for left in range(leaves, 0, -1):
        here = edges[-1] - low + offset
        step = here * ((span + offset) / here) ** (1 / left)
        # at least one tick forward, and one tick kept for every leaf still to come
        edges.append(min(max(edges[-1] + 1, low + round(step - offset)), high + 2 - left))
    return np.array(edges, dtype=np.int64)
