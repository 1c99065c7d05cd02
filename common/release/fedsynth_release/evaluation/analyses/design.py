"""Makes the rows of an analysis: its outcome, its terms as numbers, and who belongs to whom.

Categories become a column of zeros and ones for each level but the first. The levels and their order
come from the public schema, so that both tables have the same coefficients. A level that fewer than
`FEWEST` usable rows of either table have is left out with its rows, in both tables: a coefficient of
so few rows says nothing, and both models have to be the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.schema import BooleanColumn, ModelledColumn, Schema
from fedsynth_release.evaluation.analyses.declared import Analysis, Cox, Means, Proportions
from fedsynth_release.evaluation.discretise import cell_column, level_codes, named_levels, numbers

FEWEST = 10
"""The fewest rows of a level in each table."""


@dataclass(frozen=True)
class Rows:
    """The usable rows of one table.

    Attributes:
        outcome: the number, or 1 where the outcome is one of the declared values.
        time: of a Cox model, the time until the event or the end of observation.
        codes: level of each term or group, a column each; 0 for numbers.
        amounts: the number of each term, a column each; 0 for categories.
        persons: who the row belongs to; None where each row is a person of its own.
        dropped: rows that were left out because a cell is missing.
    """

    outcome: Float64Array
    time: Float64Array
    codes: Int64Array
    amounts: Float64Array
    persons: Int64Array | None
    dropped: int

    def where(self, kept: BoolArray) -> "Rows":
        """Some of the rows."""
        persons = None if self.persons is None else self.persons[kept]
        arrays = (self.outcome[kept], self.time[kept], self.codes[kept], self.amounts[kept])
        return replace(
            self,
            outcome=arrays[0],
            time=arrays[1],
            codes=arrays[2],
            amounts=arrays[3],
            persons=persons,
        )


@dataclass(frozen=True)
class Design:
    """Both tables as one analysis needs them.

    Attributes:
        labels: what each column of a matrix is about.
        real, synthetic: the rows.
        matrices: the terms of these rows as numbers, without a constant.
        left_out: levels that too few rows have.
    """

    labels: tuple[str, ...]
    real: Rows
    synthetic: Rows
    matrices: tuple[Float64Array, Float64Array]
    left_out: tuple[str, ...]


def design_of(
    analysis: Analysis, real: pd.DataFrame, synthetic: pd.DataFrame, schema: Schema
) -> Design:
    """The rows of both tables. Groups of means and shares have a column for every level."""
    names: tuple[str, ...]
    if grouped := isinstance(analysis, Means | Proportions):
        names = () if analysis.by is None else (analysis.by,)
    else:
        names = analysis.terms
    columns = [_modelled(schema, name) for name in names]
    tables = [_rows(analysis, frame, columns, schema) for frame in (real, synthetic)]
    tables, kept, left_out = _without_rare(tables, columns)
    labels: list[str] = []
    parts: list[list[Float64Array]] = [[], []]
    for j, column in enumerate(columns):
        levels = named_levels(column)
        for level in kept[j] if grouped else kept[j][1:]:
            versus = "" if grouped else f" (against {levels[kept[j][0]]})"
            labels.append(f"{column.name} = {levels[level]}{versus}")
            for part, rows in zip(parts, tables, strict=True):
                part.append((rows.codes[:, j] == level).astype(np.float64))
        if not levels:
            labels.append(column.name)
            for part, rows in zip(parts, tables, strict=True):
                part.append(rows.amounts[:, j])
    if grouped and not columns:
        labels.append("all rows")
        for part, rows in zip(parts, tables, strict=True):
            part.append(np.ones(len(rows.outcome)))
    first, second = (_matrix(p, rows) for p, rows in zip(parts, tables, strict=True))
    return Design(tuple(labels), tables[0], tables[1], (first, second), left_out)


def _matrix(parts: Sequence[Float64Array], rows: Rows) -> Float64Array:
    return np.column_stack(parts) if parts else np.empty((len(rows.outcome), 0))


def _modelled(schema: Schema, name: str) -> ModelledColumn:
    return next(column for column in schema.modelled if column.name == name)


def _rows(
    analysis: Analysis, frame: pd.DataFrame, columns: Sequence[ModelledColumn], schema: Schema
) -> Rows:
    if isinstance(analysis, Cox):
        outcome = _answers(frame, _modelled(schema, analysis.event), analysis.values)
        time = numbers(cell_column(frame, analysis.time), _modelled(schema, analysis.time))
    else:
        column = _modelled(schema, analysis.outcome)
        values = getattr(analysis, "values", None)
        outcome = (
            numbers(cell_column(frame, column.name), column)
            if values is None
            else _answers(frame, column, values)
        )
        time = np.zeros(len(frame))
    codes = np.zeros((len(frame), len(columns)), dtype=np.int64)
    amounts = np.zeros((len(frame), len(columns)))
    for j, column in enumerate(columns):
        cells = cell_column(frame, column.name)
        if named_levels(column):
            codes[:, j] = level_codes(cells, column)
        else:
            amounts[:, j] = numbers(cells, column)
    usable = ~np.isnan(outcome) & ~np.isnan(time) & ~np.isnan(amounts).any(axis=1)
    usable &= (codes >= 0).all(axis=1)
    whole = Rows(outcome, time, codes, amounts, _persons(frame, schema), int((~usable).sum()))
    return whole.where(usable)


def _persons(frame: pd.DataFrame, schema: Schema) -> Int64Array | None:
    if schema.person_key is None or schema.person_key not in frame:
        return None
    found = np.asarray(pd.factorize(frame[schema.person_key])[0], dtype=np.int64)
    return found if len(np.unique(found)) < len(found) else None


def _answers(frame: pd.DataFrame, column: ModelledColumn, values: Sequence[str]) -> Float64Array:
    """1 where the cell is one of the values, 0 where it is another, NaN where it is missing."""
    cells, levels = cell_column(frame, column.name), named_levels(column)
    if not levels:
        found = numbers(cells, column)
        yes = np.isin(found, [float(value) for value in values]).astype(np.float64)
        return np.where(np.isnan(found), np.nan, yes)
    if not values and isinstance(column, BooleanColumn):
        values = (column.true,)
    codes = level_codes(cells, column)
    yes = np.isin(codes, [levels.index(value) for value in values]).astype(np.float64)
    return np.where(codes < 0, np.nan, yes)


def _without_rare(
    tables: list[Rows], columns: Sequence[ModelledColumn]
) -> tuple[list[Rows], list[list[int]], tuple[str, ...]]:
    """The tables without rare levels, the levels that are left of each column, and those that are not.

    Levels go until every one that is left has enough rows in both tables.
    """
    kept = [list(range(len(named_levels(column)))) for column in columns]
    gone: list[str] = []
    while True:
        rare = [
            (j, level)
            for j, levels in enumerate(kept)
            for level in levels
            if min(int((rows.codes[:, j] == level).sum()) for rows in tables) < FEWEST
        ]
        if not rare:
            return tables, kept, tuple(gone)
        for j, level in rare:
            kept[j].remove(level)
            if any((rows.codes[:, j] == level).any() for rows in tables):
                gone.append(f"{columns[j].name} = {named_levels(columns[j])[level]}")
            tables = [rows.where(rows.codes[:, j] != level) for rows in tables]
