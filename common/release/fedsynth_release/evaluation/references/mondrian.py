"""Makes a k-anonymous table by Mondrian: each published description fits at least k records.

This is strict multidimensional Mondrian (LeFevre, DeWitt and Ramakrishnan 2006, figure 2). It
starts with all records in one group. A group is cut at the median of the quasi-identifier with the
widest normalised range. If the cut would leave fewer than k records on one side, the next widest is
used; if no cut is allowed, the group stays. Levels of categories are ordered by their place in the
schema, and missing cells come before all others.

In k-anonymity a group is published as a box: the range of each number and the set of levels of each
category in the group. Attacks need a table of records, so each record is drawn from the box of its
group: a number uniformly from the range (on the schema's grid), a level uniformly from the set, and
a missing cell with the group's share of missing cells. By default all modelled columns except the
schema's target are quasi-identifiers. The other columns are the sensitive attributes of the paper
and are published as they are.

A real attacker would know the boxes, and this table does not show them. The risk measured on this
table is therefore a lower bound of the risk of k-anonymity.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    ModelledColumn,
    Schema,
)
from fedsynth_common.schema.ticks import decimals_of
from fedsynth_release.decoding.values import series_of
from fedsynth_release.evaluation.discretise import cell_column, level_codes, named_levels, numbers
from fedsynth_release.evaluation.references.pseudonymised import pseudonymised


def k_anonymised(
    train: pd.DataFrame,
    schema: Schema,
    rng: np.random.Generator,
    *,
    k: int = 5,
    quasi_identifiers: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Draw as many rows as `train` has, each from the box of its group of at least `k` rows.

    Args:
        train: the real training rows.
        schema: the public schema of the rows.
        rng: the randomness of the draws from boxes; the groups do not depend on it.
        k: the smallest size of a group.
        quasi_identifiers: the columns to generalise; by default all modelled columns except the
            target.

    Raises:
        InputError: there are fewer rows than `k`, or there is no quasi-identifier.
    """
    generalised = [
        column
        for column in schema.modelled
        if (
            column.name != schema.target
            if quasi_identifiers is None
            else column.name in quasi_identifiers
        )
    ]
    if not generalised or len(train) < k:
        raise InputError(f"k-anonymity needs a quasi-identifier and at least {k} rows")
    values = [_values(train, column) for column in generalised]
    groups = partition(np.column_stack([_ranks(v) for v in values]), k)
    published = pseudonymised(train, schema)
    for column, cells in zip(generalised, values, strict=True):
        drawn = np.empty(len(train))
        for group in groups:
            drawn[group] = _draw(cells[group], column, rng)
        published[column.name] = _published(drawn, column)
    return published


def partition(ranks: Int64Array, k: int) -> list[Int64Array]:
    """The row numbers of each group of at least `k` rows; `ranks` (n x d) are the rows' values.

    >>> [group.tolist() for group in partition(np.array([[0], [0], [5], [9]]), 2)]
    [[0, 1], [2, 3]]
    """
    extent = np.maximum(np.ptp(ranks, axis=0), 1)
    open_groups, groups = [np.arange(len(ranks))], []
    while open_groups:
        group = open_groups.pop()
        halves = _cut(ranks[group], extent, k)
        if halves is None:
            groups.append(group)
        else:
            open_groups += [group[~halves], group[halves]]
    return groups


def _cut(ranks: Int64Array, extent: Int64Array, k: int) -> BoolArray | None:
    """Which rows are below a cut by the widest column that allows one; None if none does."""
    widths = np.ptp(ranks, axis=0) / extent
    for j in np.argsort(-widths, kind="stable").tolist():
        if len(ranks) < 2 * k or not widths[j]:
            return None
        column = ranks[:, j]
        left = column <= np.partition(column, (len(column) - 1) // 2)[(len(column) - 1) // 2]
        if k <= left.sum() <= len(ranks) - k:
            return np.asarray(left)
        left = column < column[left].max()  # if many values equal the median, cut below them
        if k <= left.sum() <= len(ranks) - k:
            return np.asarray(left)
    return None


def _values(train: pd.DataFrame, column: ModelledColumn) -> Float64Array:
    """The cells of a column as numbers or codes of levels; missing cells are NaN."""
    cells = cell_column(train, column.name)
    if not named_levels(column):
        return numbers(cells, column)
    codes = level_codes(cells, column)
    return np.where(codes < 0, np.nan, codes)


def _ranks(values: Float64Array) -> Int64Array:
    """The dense ranks of the values; missing cells have rank 0, before all others."""
    filled = np.where(np.isnan(values), -np.inf, values)
    return np.unique(filled, return_inverse=True)[1].astype(np.int64)


def _draw(cells: Float64Array, column: ModelledColumn, rng: np.random.Generator) -> Float64Array:
    present = cells[~np.isnan(cells)]
    if not len(present):
        return cells
    if named_levels(column):
        drawn = rng.choice(np.unique(present), size=len(cells))
    else:
        drawn = rng.uniform(present.min(), present.max(), size=len(cells))
        drawn = drawn.round(decimals_of(column))
    missing = rng.random(len(cells)) >= len(present) / len(cells)
    return np.where(missing, np.nan, drawn)


def _published(drawn: Float64Array, column: ModelledColumn) -> pd.Series:
    missing = np.isnan(drawn)
    if not isinstance(column, CategoricalColumn | BooleanColumn):
        decimals = decimals_of(column)
        ticks = (np.where(missing, 0, drawn) * 10.0**decimals).round().astype(np.int64)
        return series_of(ticks, missing, column)
    levels = named_levels(column)
    texts = np.array([*levels, None], dtype=object)
    return pd.Series(texts[np.where(missing, len(levels), drawn).astype(int)], dtype="str")
