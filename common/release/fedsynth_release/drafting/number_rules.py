"""Looks for columns that are equal, that differ by a narrow factor, or that add up to another.

Two columns are proposed as equal if they are in nearly every row that has both; as equal under a
condition if they are in nearly every row in which a third column of listed values has certain values,
and not otherwise; and with a ratio if one is the other times a narrow factor. Bounds are rounded
outwards to two digits, so that no row's own factor is published. Nothing is proposed that shuffled
rows would not break.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import ceil, comb, floor, log10

import numpy as np

from fedsynth_common.array_types import Int64Array
from fedsynth_common.schema.columns import (
    BooleanColumn,
    CategoricalColumn,
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
)
from fedsynth_common.schema.domain import MISSING
from fedsynth_common.schema.rules import Difference, Ratio, Rule, Sum, When
from fedsynth_common.schema.ticks import decimals_of

LEAST = 100
"""Rows with both cells."""
NEARLY = 0.99
"""Share of rows in which a rule must hold to be looked at further."""
OFTEN = 0.2
"""Share of equal rows from which a condition for their being equal is looked for."""
BY_CHANCE = 0.5
"""Share of shuffled rows that may be within the bounds of a factor."""
EQUAL_BY_CHANCE = 0.9
"""Share of shuffled rows that may be equal: a score that is mostly 0 has many."""
WIDEST = 1.5
"""Largest quotient of the bounds of a factor."""
MOST_LEVELS = 20
MOST_SUMS = 60_000
"""Sums that are tried; of wide tables only those of few parts."""
SAMPLE = 200
"""Rows on which most of them fail."""

Values = Mapping[str, Int64Array]
Listed = CategoricalColumn | BooleanColumn


def number_rule(
    one: ModelledColumn,
    other: ModelledColumn,
    values: Values,
    listed: Sequence[Listed],
    rng: np.random.Generator,
) -> Rule | None:
    """The rule that two numbers, or two dates of one granularity, seem to keep, if there is one."""
    first, second = values[one.name], values[other.name]
    both = (first != MISSING) & (second != MISSING)
    if both.sum() < LEAST:
        return None
    finest = max(decimals_of(one), decimals_of(other))
    first = first[both] * 10 ** (finest - decimals_of(one))
    second = second[both] * 10 ** (finest - decimals_of(other))
    equal, shuffled = first == second, rng.permutation(second)
    if np.ptp(first) == 0 or (first == shuffled).mean() > EQUAL_BY_CHANCE:
        return None
    if equal.mean() >= NEARLY:
        return _equal(f"{one.name} is {other.name}", one, other, None)
    if equal.mean() >= OFTEN:
        for column in listed:
            if (when := _condition(column, values[column.name][both], equal)) is not None:
                name = f"{one.name} is {other.name}, by {column.name}"
                return _equal(name, one, other, when)
    numbers = IntegerColumn | NumericColumn
    if isinstance(one, numbers) and isinstance(other, numbers):
        return _ratio(one, other, (first, second, shuffled))
    return None


def _equal(name: str, one: ModelledColumn, other: ModelledColumn, when: When | None) -> Difference:
    return Difference(
        name=name[:200], column=other.name, minus=one.name, minimum=0, maximum=0, when=when
    )


def _condition(column: Listed, levels: Int64Array, equal: np.ndarray) -> When | None:
    """The values of a column under which the rows are equal, if they explain most equal rows."""
    labels = _labels(column)
    if len(labels) > MOST_LEVELS:
        return None
    held = []
    for level, label in enumerate(labels):
        rows = levels == level
        if rows.sum() >= LEAST and equal[rows].mean() >= NEARLY:
            held.append((label, rows))
    if not held or len(held) == len(labels):
        return None
    within = np.logical_or.reduce([rows for _, rows in held])
    if equal[within].sum() < 0.9 * equal.sum():
        return None
    return When(column=column.name, values=tuple(label for label, _ in held))


def _labels(column: Listed) -> tuple[str, ...]:
    if isinstance(column, BooleanColumn):
        return (column.false, column.true)
    return column.categories


def _ratio(
    one: ModelledColumn, other: ModelledColumn, rows: tuple[Int64Array, Int64Array, Int64Array]
) -> Ratio | None:
    """A narrow factor between two columns of positive numbers with the same decimals."""
    first, second, shuffled = rows
    if min(first.min(), second.min()) < 0 or (first > 0).sum() < LEAST:
        return None
    some = first > 0
    factors = second[some] / first[some]
    low, high = np.quantile(factors, [(1 - NEARLY) / 2, (1 + NEARLY) / 2])
    if low <= 0:
        return None
    low, high = _outwards(float(low), floor), _outwards(float(high), ceil)
    chance = shuffled[some] / first[some]
    if high > WIDEST * low or ((chance >= low) & (chance <= high)).mean() > BY_CHANCE:
        return None
    name = f"{other.name} as a multiple of {one.name}"[:200]
    return Ratio(name=name, column=other.name, of=one.name, minimum=low, maximum=high)


def _outwards(factor: float, rounded: Callable[[float], int]) -> float:
    """A factor rounded to two digits, down or up."""
    unit = 10.0 ** (floor(log10(factor)) - 1)
    return float(f"{rounded(factor / unit) * unit:.12g}")


def sum_rules(columns: Sequence[ModelledColumn], values: Values) -> list[Rule]:
    """Totals and their parts, two to four, among columns of numbers that have the same decimals."""
    numbers = [c for c in columns if isinstance(c, IntegerColumn | NumericColumn)]
    found: list[Rule] = []
    for decimals in sorted({decimals_of(column) for column in numbers}):
        alike = [c.name for c in numbers if decimals_of(c) == decimals]
        alike = [name for name in alike if np.ptp(_present(values[name])) > 0]
        cells = [values[name] for name in alike]
        for parts in (2, 3, 4):
            if comb(len(alike), parts) * len(alike) > MOST_SUMS:
                break
            taken = {name for rule in found if isinstance(rule, Sum) for name in (rule.total,)}
            for chosen in combinations(range(len(alike)), parts):
                for total in range(len(alike)):
                    if total in chosen or alike[total] in taken:
                        continue
                    if _adds_up(cells[total], np.stack([cells[k] for k in chosen])):
                        names = tuple(alike[k] for k in chosen)
                        title = f"{alike[total]} = {' + '.join(names)}"[:200]
                        found.append(Sum(name=title, total=alike[total], parts=names))
                        taken.add(alike[total])
    return found


def _present(cells: Int64Array) -> Int64Array:
    held = cells[cells != MISSING]
    return held if len(held) else np.zeros(1, dtype=np.int64)


def _adds_up(total: Int64Array, parts: Int64Array) -> bool:
    """Whether parts, each of which matters, add up to the total in nearly every row."""
    both = (total[:SAMPLE] != MISSING) & (parts[:, :SAMPLE] != MISSING).all(axis=0)
    if (total[:SAMPLE][both] != parts[:, :SAMPLE][:, both].sum(axis=0)).sum() > SAMPLE * (
        1 - NEARLY
    ):
        return False
    both = (total != MISSING) & (parts != MISSING).all(axis=0)
    if both.sum() < LEAST or (total[both] == parts[:, both].sum(axis=0)).mean() < NEARLY:
        return False
    return bool(((parts[:, both] != 0).mean(axis=1) > 1 - NEARLY).all())
