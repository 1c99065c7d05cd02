"""k-anonymity by Mondrian: every record shares its published description with at least k - 1 others.

Strict multidimensional Mondrian (LeFevre, DeWitt and Ramakrishnan 2006, figure 2): start with all
records in one group; cut a group at the median of the quasi-identifier with the widest normalised
range, or of the next widest if the cut would leave less than k records on one side; stop where no
cut is allowed. Levels of categories are ordered by their place in the schema, missing cells come before
everything.

A group is published as its box: the range of each number and the set of levels of each category in
it. So that one and the same attack runs on every table, a record is drawn from its group's box: a
number evenly from the range (on the schema's grid), a level evenly from the set, missing with the
group's share of missing cells. All modelled columns except the schema's target are quasi-identifiers
unless told otherwise; the rest are published as they are, the paper's sensitive attributes.

Drawing from the box hides the box itself, which an attacker would have. Risks measured on this table
are therefore a lower bound of what k-anonymity leaves, and reductions against it are modest claims.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from fedsynth_common.encoding.values import series_of
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    ModelledColumn,
    NumericColumn,
    Schema,
)
from fedsynth_release.evaluation.discretise import cell_column, level_codes, named_levels, numbers
from fedsynth_release.evaluation.references.pseudonymised import pseudonymised

Ranks = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def k_anonymised(
    train: pd.DataFrame,
    schema: Schema,
    rng: np.random.Generator,
    *,
    k: int = 5,
    quasi_identifiers: Sequence[str] | None = None,
) -> pd.DataFrame:
    """As many rows as `train`, each drawn from the box of its group of at least `k`.

    Args:
        train: the real training rows.
        schema: their public schema.
        rng: of the draws within boxes; the groups are deterministic.
        k: smallest group.
        quasi_identifiers: columns to generalise; default: all modelled ones but the target.

    Raises:
        InputError: fewer rows than `k`, or no quasi-identifier is left.
    """
    wanted = [
        column
        for column in schema.modelled
        if (
            column.name != schema.target
            if quasi_identifiers is None
            else column.name in quasi_identifiers
        )
    ]
    if not wanted or len(train) < k:
        raise InputError(f"k-anonymity needs a quasi-identifier and at least {k} rows")
    values = [_values(train, column) for column in wanted]
    groups = partition(np.column_stack([_ranks(v) for v in values]), k)
    made = pseudonymised(train, schema)
    for column, cells in zip(wanted, values, strict=True):
        drawn = np.empty(len(train))
        for group in groups:
            drawn[group] = _draw(cells[group], column, rng)
        made[column.name] = _published(drawn, column)
    return made


def partition(ranks: Ranks, k: int) -> list[Rows]:
    """Row numbers of the groups (each at least `k` rows) of rows with integer `ranks` (n x d).

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


def _cut(ranks: Ranks, extent: Ranks, k: int) -> npt.NDArray[np.bool_] | None:
    """Which rows go left, by the widest column that allows it."""
    widths = np.ptp(ranks, axis=0) / extent
    for j in np.argsort(-widths, kind="stable").tolist():
        if len(ranks) < 2 * k or not widths[j]:
            return None
        column = ranks[:, j]
        left = column <= np.partition(column, (len(column) - 1) // 2)[(len(column) - 1) // 2]
        if k <= left.sum() <= len(ranks) - k:
            return np.asarray(left)
        left = column < column[left].max()  # many equal values at the median: cut below them
        if k <= left.sum() <= len(ranks) - k:
            return np.asarray(left)
    return None


def _values(train: pd.DataFrame, column: ModelledColumn) -> Floats:
    """Numbers or level codes, NaN = missing."""
    cells = cell_column(train, column.name)
    if not named_levels(column):
        return numbers(cells, column)
    codes = level_codes(cells, column)
    return np.where(codes < 0, np.nan, codes)


def _ranks(values: Floats) -> Ranks:
    """Dense ranks; missing cells are 0, before everything."""
    filled = np.where(np.isnan(values), -np.inf, values)
    return np.unique(filled, return_inverse=True)[1].astype(np.int64)


def _draw(cells: Floats, column: ModelledColumn, rng: np.random.Generator) -> Floats:
    present = cells[~np.isnan(cells)]
    if not len(present):
        return cells
    if named_levels(column):
        drawn = rng.choice(np.unique(present), size=len(cells))
    else:
        drawn = rng.uniform(present.min(), present.max(), size=len(cells))
        drawn = drawn.round(column.decimals if isinstance(column, NumericColumn) else 0)
    missing = rng.random(len(cells)) >= len(present) / len(cells)
    return np.where(missing, np.nan, drawn)


def _published(drawn: Floats, column: ModelledColumn) -> pd.Series:
    missing = np.isnan(drawn)
    if not isinstance(column, CategoricalColumn | BooleanColumn):
        decimals = column.decimals if isinstance(column, NumericColumn) else 0
        ticks = (np.where(missing, 0, drawn) * 10.0**decimals).round().astype(np.int64)
        return series_of(ticks, missing, column)
    levels = named_levels(column)
    texts = np.array([*levels, None], dtype=object)
    return pd.Series(texts[np.where(missing, len(levels), drawn).astype(int)], dtype="str")
