"""How far off a table is in what people calculate: means, spreads, quantiles, zeros, correlations.

Every figure is 0 for a perfect table. Single columns: the worst column, because a mean that is wrong in
one column is wrong for whoever uses this column. Pairs: the mean over the pairs of numbers that are
correlated in the real rows (|r| of at least `CORRELATED`), because all others would hide them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Float64Array
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.amounts import ComparedAmounts, compared_amounts
from fedsynth_release.evaluation.result_parts import Finite, Part

AMOUNTS = ("numeric", "integer", "duration")
"""Kinds of columns that people calculate with."""
CORRELATED = 0.3


class NumberErrors(Part):
    """Errors of the numbers of one table.

    Attributes:
        mean: of the worst column, in real standard deviations.
        sd: of the worst column, as a share of the real standard deviation.
        quantiles: mean over the columns and the quantiles of 1, 25, 50, 75 and 99 %, in real
            standard deviations.
        p99: of the worst column whose quantiles of 99 % are positive: |log2(synthetic / real)|.
        zeros: difference of the share of zeros, of the worst column.
        missing: difference of the share of missing cells, of the worst column of any kind.
        pearson: mean difference of Pearson's r over the correlated pairs; None without any.
        spearman: the same of Spearman's rank correlation, over pairs that it finds correlated.
    """

    mean: Finite
    sd: Finite
    quantiles: Finite
    p99: Finite
    zeros: Finite
    missing: Finite
    pearson: Finite | None
    spearman: Finite | None


def number_errors(real: Float64Array, other: Float64Array, schema: Schema) -> NumberErrors | None:
    """The errors of a table; None where it has no column of numbers.

    Args:
        real: cells of the real rows (rows, columns), NaN where missing (`Features.cells`).
        other: cells of the table.
        schema: of both; its modelled columns are the columns.
    """
    places = [j for j, column in enumerate(schema.modelled) if column.kind in AMOUNTS]
    compared = [compared_amounts(real[:, j], other[:, j]) for j in places]
    held = [amounts for amounts in compared if amounts is not None]
    if not held:
        return None
    missing = np.abs(np.isnan(real).mean(axis=0) - np.isnan(other).mean(axis=0))
    frames = [pd.DataFrame(cells[:, places]) for cells in (real, other)]
    return NumberErrors(
        mean=max(amounts.mean_off for amounts in held),
        sd=max(amounts.spread_off for amounts in held),
        quantiles=float(np.mean([_quantiles_off(amounts) for amounts in held])),
        p99=max(_p99_off(amounts) for amounts in held),
        zeros=max(abs(amounts.synthetic.zeros - amounts.real.zeros) for amounts in held),
        missing=float(missing.max()),
        pearson=_correlations_off(frames),
        spearman=_correlations_off([frame.rank() for frame in frames]),
    )


def _quantiles_off(amounts: ComparedAmounts) -> float:
    gaps = np.subtract(amounts.synthetic.quantiles, amounts.real.quantiles)
    return float(np.abs(gaps).mean() / amounts.real.sd) if amounts.real.sd else 0.0


def _p99_off(amounts: ComparedAmounts) -> float:
    real, other = amounts.real.quantiles[-1], amounts.synthetic.quantiles[-1]
    return abs(float(np.log2(other / real))) if min(real, other) > 0 else 0.0


def _correlations_off(frames: Sequence[pd.DataFrame]) -> float | None:
    """Mean difference over the pairs of columns that are correlated in the first frame."""
    real, other = (frame.corr().to_numpy() for frame in frames)
    pairs = np.triu(np.abs(np.nan_to_num(real)) >= CORRELATED, 1)
    if not pairs.any():
        return None
    return float(np.abs(real - np.nan_to_num(other))[pairs].mean())
