"""What changed between cohorts of one table, from its records themselves: for their holder alone.

Nothing here is differentially private, and the result says so. The columns are cut into levels as an
evaluation cuts them; levels with few records become one.

* *A column.* Pearson's chi-square test that both sides have the same shares.
* *A pair.* The test that both sides have the same odds ratios: the log-linear model without a term of
  all three (side and both columns) is fitted, and Pearson's statistic compared with the chi-square law
  of (k_a - 1)(k_b - 1) degrees of freedom (Bishop, Fienberg and Holland 1975). A column that changed by
  itself changes no odds ratio. Cells where the model expects few records are left out of the sum while
  the degrees of freedom stay, so that the law remains an upper bound.

Over all tests together Holm's procedure bounds the share of comparisons with any false entry.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.stats import chi2, chi2_contingency

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.schema import ModelledColumn, Schema
from fedsynth_release.code_labels import edge_texts
from fedsynth_release.drift import Drift, Moved, Tested, findings, largest, tested_columns
from fedsynth_release.evaluation.discretise import Discretiser, named_levels

FEWEST = 5.0
"""Records that the smaller side of a level, or of a cell, must be expected to have (Cochran 1954)."""
MOST_LEVELS = 5
"""Levels of a column in a pair."""
ROUNDS, CLOSE = 200, 1e-6


class ExactDrift(Drift):
    """Computed without noise. As the notice is a field of its own, no release takes such a file."""

    beyond: ClassVar[str] = "chance"
    notice: str


def exact_drift(
    frame: pd.DataFrame, now: BoolArray, schema: Schema, cohorts: Sequence[str], notice: str
) -> ExactDrift:
    """Compare the rows of a cohort (`now`) with the other rows, which are those of earlier ones.

    Args:
        frame: the rows of both sides.
        now: which rows are of the newest cohort.
        schema: of the table; the column that cuts it is left out.
        cohorts: the names of those of both sides, the newest last.
        notice: what the result says about who may see it.
    """
    tested = tested_columns(schema)
    fine, coarse = (Discretiser.fit(schema, frame, bins) for bins in (10, MOST_LEVELS - 1))
    codes, few = fine.transform(frame), coarse.transform(frame)
    singles = {c: _column(codes[:, c], now, fine.widths[c]) for c in tested}
    levels = {c: _levels(few[:, c], now, MOST_LEVELS) for c in tested}
    doubles = {
        (a, b): found
        for a, b in combinations(tested, 2)
        if (found := _pair(levels[a], levels[b], now)) is not None
    }
    names = [column.name for column in schema.modelled]

    def moved(column: int) -> tuple[Moved, ...]:
        return _moved(codes[:, column], now, fine, column)

    return ExactDrift(**dict(findings(names, singles, doubles, cohorts, moved)), notice=notice)


def _levels(codes: Int64Array, now: BoolArray, most: int) -> Int64Array:
    """The codes with those that are rare on one side, or are too many, put into one level."""
    width = int(codes.max(initial=0)) + 1
    total = np.bincount(codes, minlength=width)
    share = min(now.mean(), 1 - now.mean())
    order = np.argsort(-total, kind="stable")
    kept = order[total[order] * share >= FEWEST]
    if len(kept) > most or len(kept) < np.count_nonzero(total):
        kept = kept[: most - 1]
        if len(kept) and (total.sum() - total[kept].sum()) * share < FEWEST:
            kept = kept[:-1]
    view = np.full(width, len(kept), dtype=np.int64)
    view[kept] = np.arange(len(kept))
    return view[codes]


def _counts(codes: Int64Array, now: BoolArray, width: int) -> Float64Array:
    """Records of each level: before, then now."""
    return np.stack([np.bincount(codes[side], minlength=width) for side in (~now, now)]).astype(
        np.float64
    )


def _column(codes: Int64Array, now: BoolArray, width: int) -> Tested:
    """p-value and size of the change of a column."""
    levels = _levels(codes, now, width)
    table = _counts(levels, now, int(levels.max()) + 1)
    table = table[:, table.sum(axis=0) > 0]
    shares = table / table.sum(axis=1, keepdims=True)
    size = round(float(np.abs(shares[1] - shares[0]).sum()) / 2, 4)
    if table.shape[1] < 2:
        return 1.0, size
    return float(chi2_contingency(table, correction=False).pvalue), size


def _pair(a: Int64Array, b: Int64Array, now: BoolArray) -> Tested | None:
    """p-value and size of the change of a dependence; None where too few records say something."""
    wide = int(a.max()) + 1, int(b.max()) + 1
    observed = _counts(a * wide[1] + b, now, wide[0] * wide[1]).reshape(2, *wide)
    expected = without_third_order(observed)
    enough = expected >= FEWEST
    if min(wide) < 2 or not enough.any():
        return None
    parts = (observed - expected)[enough] ** 2 / expected[enough]
    p = float(chi2.sf(parts.sum(), (wide[0] - 1) * (wide[1] - 1)))
    apart = np.abs(observed[1] - expected[1]).sum() / 2 / max(1.0, observed[1].sum())
    return p, round(float(apart), 4)


def without_third_order(observed: Float64Array) -> Float64Array:
    """The table with the same three two-way margins whose odds ratios are equal on both sides.

    Iterative proportional fitting (Deming and Stephan 1940).

    >>> table = np.array([[[10.0, 20.0], [30.0, 60.0]], [[40.0, 10.0], [40.0, 10.0]]])
    >>> bool(np.allclose(without_third_order(table), table))
    True
    """
    fitted = np.ones_like(observed)
    for _ in range(ROUNDS):
        before = fitted
        for axis in range(3):
            have, want = fitted.sum(axis=axis), observed.sum(axis=axis)
            ratio = np.divide(want, have, out=np.zeros_like(have), where=have > 0)
            fitted = fitted * np.expand_dims(ratio, axis)
        if np.abs(fitted - before).max() < CLOSE * max(1.0, observed.sum()):
            break
    return fitted


def _moved(
    codes: Int64Array, now: BoolArray, discretiser: Discretiser, column: int
) -> tuple[Moved, ...]:
    """The levels whose shares moved most."""
    table = _counts(codes, now, discretiser.widths[column])
    before, after = table / table.sum(axis=1, keepdims=True)
    names = _names(discretiser.columns[column], discretiser.edges[column])
    return largest(names, before, after)


def _names(column: ModelledColumn, edges: Float64Array) -> list[str]:
    """A text for each level, the missing one last."""
    if levels := named_levels(column):
        return [*levels, "missing"]
    ends = edge_texts(column, edges)
    if not ends:
        return ["present", "missing"]
    between = [f"above {a}, up to {b}" for a, b in pairwise(ends)]
    return [f"up to {ends[0]}", *between, f"above {ends[-1]}", "missing"]
