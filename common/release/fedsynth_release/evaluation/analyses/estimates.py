"""Fits one analysis to one table with statsmodels, and gives estimates with 95 % intervals.

Where a person has several rows, standard errors are those of clusters of rows (Liang and Zeger
1986), since the rows of a person are not independent.
"""

import warnings
from typing import Any

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import InputError
from fedsynth_common.extras import how_to_install
from fedsynth_release.evaluation.analyses.declared import (
    Analysis,
    Cox,
    Linear,
    Logistic,
    Proportions,
)
from fedsynth_release.evaluation.analyses.design import Rows

LEVEL = 0.95
Fit = list[tuple[float, float, float] | None]
"""An estimate with its interval for each column of the matrix; None where there is none."""


def need_statsmodels() -> None:
    """Refuse to begin without the library.

    Raises:
        InputError: it is not installed; the message says how to install it.
    """
    try:
        import statsmodels.api  # noqa: F401
    except ModuleNotFoundError:
        how = how_to_install("analyses")
        raise InputError(f"--analysis: needs statsmodels, which comes with: {how}") from None


def fitted(analysis: Analysis, rows: Rows, matrix: Float64Array) -> tuple[Fit, str]:
    """Estimates of one table, and why there are none (empty if there are)."""
    size = matrix.shape[1]
    if size == 0 or len(rows.outcome) <= size + 1:
        return [None] * size, "there are too few usable rows"
    if not isinstance(analysis, Linear | Logistic | Cox):
        return _groups(analysis, rows, matrix), ""
    if isinstance(analysis, Logistic | Cox) and len(np.unique(rows.outcome)) < 2:
        return [None] * size, "every usable row has the same outcome"
    constant = np.ones((len(matrix), 0 if isinstance(analysis, Cox) else 1))
    if np.linalg.matrix_rank(np.hstack([constant, matrix])) < size + constant.shape[1]:
        return [None] * size, "one term follows from the others"
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result, first = _model(analysis, rows, matrix)
    except (np.linalg.LinAlgError, ValueError, ZeroDivisionError, OverflowError):
        return [None] * size, "the model cannot be fitted"
    if not getattr(result, "mle_retvals", {"converged": True})["converged"]:
        return [None] * size, "the model does not converge"
    bounds = np.asarray(result.conf_int(1 - LEVEL))[first:]
    table = np.column_stack([np.asarray(result.params)[first:], bounds])
    return [tuple(row) if np.isfinite(row).all() else None for row in table.tolist()], ""


def _model(analysis: Linear | Logistic | Cox, rows: Rows, matrix: Float64Array) -> tuple[Any, int]:
    """The fitted model, and the place of the first coefficient of a term."""
    import statsmodels.api as sm

    clusters: dict[str, Any] = {}
    if rows.persons is not None:
        clusters = {"cov_type": "cluster", "cov_kwds": {"groups": rows.persons}}
    if isinstance(analysis, Cox):
        model = sm.PHReg(rows.time, matrix, status=rows.outcome, ties="efron")
        return model.fit(disp=0, groups=rows.persons), 0
    constant = sm.add_constant(matrix, has_constant="add")
    if isinstance(analysis, Linear):
        return sm.OLS(rows.outcome, constant).fit(**clusters), 1
    return sm.Logit(rows.outcome, constant).fit(disp=0, maxiter=100, **clusters), 1


def _groups(analysis: Analysis, rows: Rows, matrix: Float64Array) -> Fit:
    """The mean of each group (t interval), or the share (Wilson 1927)."""
    shares = isinstance(analysis, Proportions)
    return [_group(rows.where(member > 0), shares) for member in matrix.T]


def _group(rows: Rows, share: bool) -> tuple[float, float, float] | None:
    from scipy import stats
    from statsmodels.stats.proportion import proportion_confint

    found, size = rows.outcome, len(rows.outcome)
    mean = float(found.mean())
    variance = float(found.var(ddof=1)) / size
    held = size
    if rows.persons is not None:
        off = np.bincount(rows.persons, weights=found - mean)
        held = len(np.unique(rows.persons))
        if held < 2:
            return None
        clustered = float((off**2).sum()) / size**2 * held / (held - 1)
        size = max(1, round(size * variance / clustered)) if clustered > 0 else held
        variance = clustered
    if share:
        low, high = proportion_confint(mean * size, size, 1 - LEVEL, method="wilson")
        return mean, float(low), float(high)
    half = float(stats.t.ppf((1 + LEVEL) / 2, held - 1)) * variance**0.5
    return mean, mean - half, mean + half
