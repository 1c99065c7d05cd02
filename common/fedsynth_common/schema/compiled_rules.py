"""The rules of a schema in the three forms in which they are asked about any number of records.

Records are a mapping from the place of a modelled column to its values (ticks, or codes of texts;
`MISSING` where there is none), as they are read from a table or drawn from a generator. Four forms
are enough for all rules: an order of two columns, a total and its parts, an implication between two
columns, and a list of combinations (`one_hot` is one). `unique` is about ids, which are never
modelled. A comparison with a missing cell breaks no rule, as in SQL's CHECK.

`rule_compiler.py` turns the declared rules into these forms. Neither file needs a table library.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import BoolArray, Int64Array
from fedsynth_common.schema.domain import MISSING
from fedsynth_common.schema.tick_set import TickSet

Cells = Mapping[int, Int64Array]


@dataclass(frozen=True, eq=False)
class Membership:
    """A set of values of one column; `negated` means all values that are not in it."""

    place: int
    members: TickSet
    missing: bool
    negated: bool = False

    def holds(self, values: Int64Array) -> BoolArray:
        """Which values are in the set."""
        absent = values == MISSING
        inside = np.where(absent, self.missing, self.members.contains(np.where(absent, 0, values)))
        return inside ^ self.negated

    def allowed(self, low: int, high: int, *, inverse: bool = False) -> tuple[TickSet, bool]:
        """The values in `[low, high)` that are in the set (or are not), and whether missing is."""
        turned = self.negated ^ inverse
        members = (
            self.members.outside(low, high) if turned else self.members & TickSet([low], [high])
        )
        return members, self.missing ^ turned


@dataclass(frozen=True, eq=False)
class CompiledInequality:
    """low * low_unit + gap <= high * high_unit, unless one is missing or `when` does not hold."""

    name: str
    low: int
    high: int
    gap: int
    units: tuple[int, int] = (1, 1)
    when: Membership | None = None

    @property
    def places(self) -> tuple[int, ...]:
        """Columns it is about."""
        condition = () if self.when is None else (self.when.place,)
        return (self.low, self.high, *condition)

    def holds(self, cells: Cells) -> BoolArray:
        """Which records keep it."""
        free = False if self.when is None else ~self.when.holds(cells[self.when.place])
        return np.asarray(free | self.in_order(cells))

    def in_order(self, cells: Cells) -> BoolArray:
        """Which records have the two columns in order, whether or not they must."""
        low, high = cells[self.low], cells[self.high]
        absent = (low == MISSING) | (high == MISSING)
        apart = np.where(absent, 0, high) * self.units[1] - np.where(absent, 0, low) * self.units[0]
        return np.asarray(absent | (apart >= self.gap))


@dataclass(frozen=True, eq=False)
class CompiledSum:
    """places[0] * units[0] is the sum of all other places times their units, unless one is missing."""

    name: str
    places: tuple[int, ...]
    units: tuple[int, ...]

    def holds(self, cells: Cells) -> BoolArray:
        """Which records keep it."""
        amounts, absent = self._amounts(cells)
        return np.asarray(absent | (amounts[0] == amounts[1:].sum(axis=0)))

    def total(self, cells: Cells) -> tuple[Int64Array, BoolArray]:
        """What the total has to be, and for which records the parts say so."""
        amounts, absent = self._amounts(cells)
        wanted = amounts[1:].sum(axis=0)
        return wanted // self.units[0], ~absent & (wanted % self.units[0] == 0)

    def _amounts(self, cells: Cells) -> tuple[Int64Array, BoolArray]:
        """Amounts in one unit, (columns, records), and which records miss one."""
        ticks = np.stack([cells[place] for place in self.places])
        absent = ticks == MISSING
        return np.where(absent, 0, ticks) * np.array(self.units)[:, None], absent.any(axis=0)


@dataclass(frozen=True, eq=False)
class CompiledImplication:
    """Where `when` holds, `then` holds."""

    name: str
    when: Membership
    then: Membership

    @property
    def places(self) -> tuple[int, ...]:
        """Columns it is about."""
        return (self.when.place, self.then.place)

    def holds(self, cells: Cells) -> BoolArray:
        """Which records keep it."""
        return ~self.when.holds(cells[self.when.place]) | self.then.holds(cells[self.then.place])


@dataclass(frozen=True, eq=False)
class CompiledCombinations:
    """The cells of `places` are a row of `table` (K, columns)."""

    name: str
    places: tuple[int, ...]
    table: Int64Array

    def holds(self, cells: Cells) -> BoolArray:
        """Which records keep it."""
        return self.index(cells) >= 0

    def index(self, cells: Cells) -> Int64Array:
        """The row of the table that each record is; -1 where it is none."""
        given = np.stack([cells[place] for place in self.places], axis=1)
        every = np.concatenate([self.table, given])
        row = np.unique(every, axis=0, return_inverse=True)[1].ravel()
        known = np.full(int(row.max()) + 1, -1, dtype=np.int64)
        known[row[: len(self.table)]] = np.arange(len(self.table))
        return known[row[len(self.table) :]]


CompiledRule = CompiledInequality | CompiledSum | CompiledImplication | CompiledCombinations
