"""Levels on which marginals are compared.

Total variation needs finite domains. Numbers are cut at the deciles of a *reference* table (the
real training rows), so that every level holds about a tenth of the real mass; categories are
compared as they stand. The cuts are taken from real rows: evaluation is not private by itself, and
anything computed here that leaves a site has to be charged like any other release.

Levels of a column:

- number (dates, times and durations as counts of their granularity): the intervals (-inf, e1],
  (e1, e2], ..., (ek, inf) between the distinct deciles e1 < ... < ek, then *missing*. Intervals are
  closed on the right, so that an atom at the minimum (the zeros of an amount) is a level of its own.
- category: the categories of the public schema in order, then *other* (every category that the
  schema does not name: generators cannot know them by name), then *missing*.
- boolean: false, true, missing; a label that the schema does not know counts as missing.

Cells of a table read from CSV are text, cells of a synthetic table are typed; both are read
through `as_text` and `as_ordinal`, so the two give the same levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fedsynth_common.encoding.values import as_ordinal
from fedsynth_common.errors import InputError
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, ModelledColumn, Schema
from fedsynth_common.schema.columns import OTHER
from fedsynth_common.tables import as_text


def cell_column(frame: pd.DataFrame, name: str) -> pd.Series:
    """The named column, or an InputError that says which one is missing."""
    if name not in frame.columns:
        raise InputError(f"evaluation: the table has no column {name!r} although its schema does")
    return frame[name]


def named_levels(column: ModelledColumn) -> tuple[str, ...]:
    """The texts that have a level of their own, in order; empty for numbers.

    `other` is always among a category's levels here, declared or not: evaluation never refuses a
    synthetic table for a label that the schema does not know.
    """
    if isinstance(column, CategoricalColumn):
        return (*column.categories, *(() if OTHER in column.categories else (OTHER,)))
    if isinstance(column, BooleanColumn):
        return (column.false, column.true)
    return ()


def numbers(cells: pd.Series, column: ModelledColumn) -> npt.NDArray[np.float64]:
    """Cells of a column without named levels as numbers; NaN where missing or not readable."""
    if isinstance(column, CategoricalColumn | BooleanColumn):
        raise TypeError(f"column {column.name!r} has levels")
    values = as_ordinal(cells, column)
    return np.where(np.isfinite(values), values, np.nan)


def level_codes(cells: pd.Series, column: ModelledColumn) -> npt.NDArray[np.int64]:
    """Index of each cell in `named_levels`; -1 is missing."""
    levels = named_levels(column)
    text = as_text(cells)
    codes = np.asarray(pd.Index(levels).get_indexer(pd.Index(text)), dtype=np.int64)
    if isinstance(column, CategoricalColumn):
        codes[(codes < 0) & text.notna().to_numpy()] = levels.index(OTHER)
    return codes


@dataclass(frozen=True)
class Discretiser:
    """Levels of every modelled column, fitted on a reference table.

    Attributes:
        columns: The columns in schema order.
        edges: Inner edges per column; empty for categories.
        widths: Number of levels per column, the missing level included.
    """

    columns: tuple[ModelledColumn, ...]
    edges: tuple[npt.NDArray[np.float64], ...]
    widths: tuple[int, ...]

    @classmethod
    def fit(cls, schema: Schema, reference: pd.DataFrame, bins: int = 10) -> "Discretiser":
        """Quantiles of `reference` for numbers, the schema's levels for everything else."""
        columns = schema.modelled
        edges = tuple(_edges(cell_column(reference, c.name), c, bins) for c in columns)
        widths = tuple(
            (len(named_levels(c)) or len(e) + 1) + 1 for c, e in zip(columns, edges, strict=True)
        )
        return cls(columns, edges, widths)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of `transform`."""
        return tuple(column.name for column in self.columns)

    def transform(self, frame: pd.DataFrame) -> npt.NDArray[np.int64]:
        """Codes (rows x columns); column j is in 0 .. widths[j]-1, its last code is *missing*."""
        codes = np.empty((len(frame), len(self.columns)), dtype=np.int64)
        for j, (column, edges) in enumerate(zip(self.columns, self.edges, strict=True)):
            raw = _codes(cell_column(frame, column.name), column, edges)
            codes[:, j] = np.where(raw < 0, self.widths[j] - 1, raw)
        return codes


def _edges(cells: pd.Series, column: ModelledColumn, bins: int) -> npt.NDArray[np.float64]:
    if named_levels(column):
        return np.empty(0)
    values = numbers(cells, column)
    values = values[~np.isnan(values)]
    if not len(values):
        return np.empty(0)
    return np.unique(np.quantile(values, np.arange(1, bins) / bins))


def _codes(
    cells: pd.Series, column: ModelledColumn, edges: Sequence[float] | npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    if named_levels(column):
        return level_codes(cells, column)
    values = numbers(cells, column)
    return np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="left"))
