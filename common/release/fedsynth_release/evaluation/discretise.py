"""Turns the cells of a table into levels, on which marginals are compared.

The total variation distance needs columns with finitely many values. Numbers are cut at the deciles
of a *reference* table (the real training rows), so that each level contains about a tenth of the
real rows. Categories are used as they are. The cuts are computed from real rows without noise, so
an evaluation is not private. Anything computed here that leaves a site has to be charged like any
other release.

The levels of a column are:

- for a number (and for dates, times and durations as counts of their granularity): the intervals
  (-inf, e1], (e1, e2], ..., (ek, inf) between the distinct deciles e1 < ... < ek, then *missing*.
  The intervals are closed on the right, so that a frequent minimum (the zeros of an amount) is a
  level of its own.
- for a category: the categories of the public schema in order, then *other* (all categories that
  the schema does not name, which no generator can know), then *missing*.
- for a boolean: false, true, missing. A label that the schema does not know counts as missing.

The cells of a table from a CSV file are texts, and the cells of a synthetic table are typed. Both
are read through `as_text` and `as_ordinal`, so they give the same levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.encoding.values import as_ordinal
from fedsynth_common.encoding.written import without_marks
from fedsynth_common.errors import InputError
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, ModelledColumn, Schema
from fedsynth_common.schema.columns import OTHER, other_among
from fedsynth_common.tables import as_text


def cell_column(frame: pd.DataFrame, name: str) -> pd.Series:
    """The named column of a table; if it is missing, an InputError names it."""
    if name not in frame.columns:
        raise InputError(f"evaluation: the table has no column {name!r} although its schema does")
    return frame[name]


def named_levels(column: ModelledColumn) -> tuple[str, ...]:
    """The texts that have a level of their own, in order; empty for numbers.

    `other` is always a level of a category here, even if the schema does not declare it. An
    evaluation thus never refuses a synthetic table because of a label that the schema does not
    know.
    """
    if isinstance(column, CategoricalColumn):
        return (*column.categories, *(() if other_among(column.categories) else (OTHER,)))
    if isinstance(column, BooleanColumn):
        return (column.false, column.true)
    return ()


def numbers(cells: pd.Series, column: ModelledColumn) -> Float64Array:
    """Cells of a column without named levels as numbers; missing or unreadable cells are NaN."""
    if isinstance(column, CategoricalColumn | BooleanColumn):
        raise TypeError(f"column {column.name!r} has levels")
    values = as_ordinal(cells, column)
    return np.where(np.isfinite(values), values, np.nan)


def level_codes(cells: pd.Series, column: ModelledColumn) -> Int64Array:
    """The index of each cell in `named_levels`; a missing cell has -1."""
    levels = named_levels(column)
    text = as_text(without_marks(cells, column))
    codes = np.asarray(pd.Index(levels).get_indexer(pd.Index(text)), dtype=np.int64)
    if isinstance(column, CategoricalColumn):
        unknown = (codes < 0) & text.notna().to_numpy()
        codes[unknown] = levels.index(other_among(levels) or OTHER)
    return codes


@dataclass(frozen=True)
class Discretiser:
    """The levels of every modelled column, fitted on a reference table.

    Attributes:
        columns: The columns in schema order.
        edges: The inner edges of the intervals, by column; empty for categories.
        widths: The number of levels of each column, including the missing level.
    """

    columns: tuple[ModelledColumn, ...]
    edges: tuple[Float64Array, ...]
    widths: tuple[int, ...]

    @classmethod
    def fit(cls, schema: Schema, reference: pd.DataFrame, bins: int = 10) -> "Discretiser":
        """Use the quantiles of `reference` for numbers, and the schema's levels for others."""
        columns = schema.modelled
        edges = tuple(_edges(cell_column(reference, c.name), c, bins) for c in columns)
        widths = tuple(
            (len(named_levels(c)) or len(e) + 1) + 1 for c, e in zip(columns, edges, strict=True)
        )
        return cls(columns, edges, widths)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that `transform` returns."""
        return tuple(column.name for column in self.columns)

    def transform(self, frame: pd.DataFrame) -> Int64Array:
        """The codes (rows x columns); column j is in 0..widths[j]-1, whose last is *missing*."""
        codes = np.empty((len(frame), len(self.columns)), dtype=np.int64)
        for j, (column, edges) in enumerate(zip(self.columns, self.edges, strict=True)):
            raw = _codes(cell_column(frame, column.name), column, edges)
            codes[:, j] = np.where(raw < 0, self.widths[j] - 1, raw)
        return codes


def _edges(cells: pd.Series, column: ModelledColumn, bins: int) -> Float64Array:
    if named_levels(column):
        return np.empty(0)
    values = numbers(cells, column)
    values = values[~np.isnan(values)]
    if not len(values):
        return np.empty(0)
    return np.unique(np.quantile(values, np.arange(1, bins) / bins))


def _codes(
    cells: pd.Series, column: ModelledColumn, edges: Sequence[float] | Float64Array
) -> Int64Array:
    if named_levels(column):
        return level_codes(cells, column)
    values = numbers(cells, column)
    return np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="left"))
