"""The share of a column's variance that lies within persons, and its associations over time.

Persons differ from each other, and a person differs from event to event. If the share within persons is
too large, a table has too few persons who are ill every year and too few who never are. The share is
that of the analysis of variance: the mean square around each person's mean, as a part of it plus the
variance of the persons' means that the mean square does not explain. Persons with a single event
count for the means only.
"""

import numpy as np
from scipy.stats import rankdata

from fedsynth_common.array_types import Float64Array
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.association import association
from fedsynth_release.evaluation.discretise import named_levels, numbers
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.histories.model_rows import HistoryRows, event_columns

LAGS = (1, 2, 3)
_PAIRS = 20


def within_shares(rows: HistoryRows) -> Float64Array:
    """For each event column the share within persons, 0 to 1.

    NaN for categories, for the order of events and without data.
    """
    order = rows.schema.histories.order if rows.schema.histories else ""
    return np.array(
        [
            within_share(numbers(rows.frame[column.name], column), rows.person)
            if column.name != order and not named_levels(column)
            else np.nan
            for column in event_columns(rows.schema)
        ]
    )


def within_share(values: Float64Array, person: np.ndarray) -> float:
    """The share of one column; NaN if no person has two values or nothing varies.

    >>> within_share(np.array([1.0, 1.0, 5.0, 5.0]), np.array([0, 0, 1, 1]))
    0.0
    >>> within_share(np.array([1.0, 5.0, 1.0, 5.0]), np.array([0, 0, 1, 1]))
    1.0
    """
    known = ~np.isnan(values)
    values, person = values[known], person[known]
    counts = np.bincount(person)
    counts = counts[counts > 0]
    if not len(values) or not (counts > 1).any():
        return float("nan")
    _, group = np.unique(person, return_inverse=True)
    means = np.bincount(group, values) / counts
    within = float(((values - means[group]) ** 2).sum()) / (len(values) - len(counts))
    between = (
        float(means.var(ddof=1)) - within * float((1 / counts).mean()) if len(counts) > 1 else 0
    )
    total = within + max(between, 0.0)
    return within / total if total > 0 else float("nan")


def memory(rows: HistoryRows) -> list[tuple[float | None, ...]]:
    """For each event column its association with itself at lags 1, 2, 3; None for under 20 pairs.

    Of numbers it is the correlation of their ranks, which a few large values do not decide.
    """
    columns = event_columns(rows.schema)
    schema = Schema(name=rows.schema.name, columns=columns)
    cells = Features.fit(schema, rows.frame).cells(rows.frame)
    found = []
    for values, column in zip(cells.T, columns, strict=True):
        levels, strengths = bool(named_levels(column)), []
        values = values if levels else rankdata(values, nan_policy="omit")
        for lag in LAGS:
            earlier, later = (values[side] for side in rows.pairs(lag))
            enough = int((~(np.isnan(earlier) | np.isnan(later))).sum()) >= _PAIRS
            strengths.append(association(earlier, later, levels, levels) if enough else None)
        found.append(tuple(strengths))
    return found
