"""The plain figures of the demonstration table that `fedsynth demo` prints.

They are shares, means, a correlation, and two findings of the experiment itself: people in poor
health are admitted more often, and people who pay for care see a doctor less often than people who
get it free. Two are about what follows what: whoever was admitted in a year is admitted more often in
the next, and people without a visit stay without one. One mean depends on a few large values. It is
included on purpose, because noise changes such a mean most.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedsynth_common.tables import as_number

HEALTH, PERSON = "self_rated_health", "person_id"


@dataclass(frozen=True)
class Figure:
    """One figure that a reader of the table would look up first."""

    name: str
    of: Callable[[pd.DataFrame], float]
    digits: int = 1


def _mean(column: str) -> Callable[[pd.DataFrame], float]:
    """Mean of a column."""
    return lambda frame: float(np.nanmean(as_number(frame[column])))


def _percent(
    column: str, value: str | float, among: tuple[str, str] | None = None
) -> Callable[[pd.DataFrame], float]:
    """The percentage of rows with a value, among all rows or those where another column has one."""

    def percent(frame: pd.DataFrame) -> float:
        rows = frame if among is None else frame[frame[among[0]] == among[1]]
        return float((rows[column] == value).mean()) * 100 if len(rows) else float("nan")

    return percent


def _percent_next(
    column: str, value: str | float, after: str | float
) -> Callable[[pd.DataFrame], float]:
    """The percentage of years with a value, among those whose previous year had the value `after`."""

    def percent(frame: pd.DataFrame) -> float:
        person, year = frame[PERSON].astype("str"), as_number(frame["study_year"])
        before = pd.Series(frame[column].to_numpy(), index=[person, year + 1])
        before = before[~before.index.duplicated()]
        earlier = before.reindex(pd.MultiIndex.from_arrays([person, year])).to_numpy()
        rows = frame[earlier == after]
        return float((rows[column] == value).mean()) * 100 if len(rows) else float("nan")

    return percent


def _rank_correlation(first: str, second: str) -> Callable[[pd.DataFrame], float]:
    """Spearman's correlation."""
    return lambda frame: float(
        pd.Series(as_number(frame[first])).corr(
            pd.Series(as_number(frame[second])), method="spearman"
        )
    )


FIGURES = (
    Figure("mean age", _mean("age")),
    Figure("women, %", _percent("sex", "female")),
    Figure("admitted to hospital, %", _percent("admitted", "yes")),
    Figure("  of those in poor health, %", _percent("admitted", "yes", (HEALTH, "poor"))),
    Figure("  of those in excellent health, %", _percent("admitted", "yes", (HEALTH, "excellent"))),
    Figure("  of those admitted the year before", _percent_next("admitted", "yes", "yes")),
    Figure("  of those not admitted then", _percent_next("admitted", "yes", "no")),
    Figure("no visit to a doctor, %", _percent("doctor_visits", 0)),
    Figure("  where care is free, %", _percent("doctor_visits", 0, ("coinsurance", "0%"))),
    Figure(
        "  where the patient pays 95 %, %", _percent("doctor_visits", 0, ("coinsurance", "95%"))
    ),
    Figure("  of those without one the year before", _percent_next("doctor_visits", 0, 0)),
    Figure("mean visits", _mean("doctor_visits")),
    Figure(
        "visits ~ drug dollars, rank corr.", _rank_correlation("doctor_visits", "drug_dollars"), 2
    ),
)
