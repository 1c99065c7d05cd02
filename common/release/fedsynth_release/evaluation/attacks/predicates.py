"""Predicates that single out a row of a table, such as "age >= 97 and ward = 'C'".

There are two families. Both are written from the published table alone (Giomi et al. 2023, section
3.2):

- univariate: the smallest and the largest value of each number (<=, >=), and every value or level
  that occurs exactly once (=), or a missing cell that occurs exactly once;
- multivariate: the values of three random columns in a random published row. Levels and missing
  cells are compared with =. Numbers above the column's median are compared with >= and others with
  <=, because extreme values are rare.

A predicate is used if exactly one row of the published table (without repeated rows) satisfies it.
"""

from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array

EQUAL, AT_MOST, AT_LEAST = 0, 1, 2

MULTIVARIATE_COLUMNS = 3
_ATTEMPTS_PER_PREDICATE = 100
_BATCH = 500
_SAMPLE = 500  # rows on which most candidates fail already


@dataclass(frozen=True)
class Predicate:
    """A conjunction of `column operator value`; EQUAL with NaN means "is missing"."""

    terms: tuple[tuple[int, int, float], ...]

    def matches(self, cells: Float64Array) -> BoolArray:
        """Which rows satisfy the predicate."""
        matched = np.ones(len(cells), dtype=bool)
        for column, operator, value in self.terms:
            matched &= _term(cells[:, column], operator, value)
        return matched

    @property
    def key(self) -> tuple[tuple[int, int, str], ...]:
        """A key that is equal for equal predicates, although NaN is not equal to itself."""
        return tuple((column, operator, repr(value)) for column, operator, value in self.terms)


def _term(column: Float64Array, operator: int, value: float) -> BoolArray:
    if operator == AT_MOST:
        return np.asarray(column <= value)
    if operator == AT_LEAST:
        return np.asarray(column >= value)
    return np.asarray(np.isnan(column) if np.isnan(value) else column == value)


def distinct(cells: Float64Array) -> Float64Array:
    """The rows without repetitions, in the order of their first occurrence.

    The result is column-major, which makes `matches` fast.
    """
    filled = np.where(np.isnan(cells), -np.inf, cells)
    _, first = np.unique(filled, axis=0, return_index=True)
    return np.asfortranarray(cells[np.sort(first)])


def counts(predicates: list[Predicate], cells: Float64Array, parts: int = 1) -> Int64Array:
    """The number of rows that satisfy each predicate, (p x parts).

    The rows are counted in `parts` parts; row i belongs to part i modulo `parts`.
    """
    table = np.empty((len(predicates), parts), dtype=np.int64)
    for place, predicate in enumerate(predicates):
        met = np.flatnonzero(predicate.matches(cells))
        table[place] = np.bincount(met % parts, minlength=parts)
    return table


def univariate(
    cells: Float64Array, categorical: BoolArray, limit: int, rng: np.random.Generator
) -> list[Predicate]:
    """At most `limit` predicates on one column that single out a row of `cells`."""
    unique: list[Predicate] = []
    for j, flag in enumerate(categorical.tolist()):
        present = cells[~np.isnan(cells[:, j]), j]
        if len(present) == len(cells) - 1:
            unique.append(Predicate(((j, EQUAL, float("nan")),)))
        values, times = np.unique(present, return_counts=True)
        if not flag and len(values):
            ends = ((AT_MOST, 0), (AT_LEAST, -1))
            unique += [
                Predicate(((j, op, float(values[end])),)) for op, end in ends if times[end] == 1
            ]
        unique += [Predicate(((j, EQUAL, float(value)),)) for value in values[times == 1]]
    return [unique[place] for place in rng.permutation(len(unique))[:limit]]


def multivariate(
    cells: Float64Array, categorical: BoolArray, limit: int, rng: np.random.Generator
) -> list[Predicate]:
    """At most `limit` predicates on three columns that single out a row of `cells`."""
    medians = np.array([_median(cells[:, j]) for j in range(cells.shape[1])])
    sample = cells[rng.permutation(len(cells))[:_SAMPLE]]
    unique: dict[object, Predicate] = {}
    for _ in range(-(-_ATTEMPTS_PER_PREDICATE * limit // _BATCH)):
        for predicate in _candidates(cells, sample, categorical, medians, rng):
            if predicate.key not in unique and np.count_nonzero(predicate.matches(cells)) == 1:
                unique[predicate.key] = predicate
                if len(unique) == limit:
                    return list(unique.values())
    return list(unique.values())


def _candidates(
    cells: Float64Array,
    sample: Float64Array,
    categorical: BoolArray,
    medians: Float64Array,
    rng: np.random.Generator,
) -> list[Predicate]:
    """A batch of random predicates, except those that several rows of `sample` satisfy."""
    width = min(MULTIVARIATE_COLUMNS, cells.shape[1])
    rows = rng.integers(len(cells), size=(_BATCH, 1))
    columns = np.sort(rng.random((_BATCH, cells.shape[1])).argsort(axis=1)[:, :width], axis=1)
    values = cells[rows, columns]
    above = np.where(values > medians[columns], AT_LEAST, AT_MOST)
    operators = np.where(categorical[columns] | np.isnan(values), EQUAL, above)
    met = np.ones((_BATCH, len(sample)), dtype=bool)
    for term in range(width):
        x = sample.T[columns[:, term]]
        value, operator = values[:, [term]], operators[:, [term]]
        same = (x == value) | (np.isnan(x) & np.isnan(value))
        beyond = np.where(operator == AT_LEAST, x >= value, x <= value)
        met &= np.where(operator == EQUAL, same, beyond)
    return [
        Predicate(
            tuple(zip(*(part[i].tolist() for part in (columns, operators, values)), strict=True))
        )
        for i in np.flatnonzero(met.sum(axis=1) <= 1).tolist()
    ]


def _median(column: Float64Array) -> float:
    present = column[~np.isnan(column)]
    return float(np.median(present)) if len(present) else 0.0
