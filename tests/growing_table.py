"""A table that grows by a quarter at a time, in which a change can be planted."""

import numpy as np
import pandas as pd

from fedsynth_common.schema import BooleanColumn, CategoricalColumn, Cohorts, IdColumn, Schema

SCHEMA = Schema(
    name="admissions",
    columns=(
        CategoricalColumn(name="ward", categories=("a", "b", "c"), other=False),
        CategoricalColumn(name="drug", categories=("w", "x", "y", "z"), other=False),
        BooleanColumn(name="smoker"),
        BooleanColumn(name="died"),
        IdColumn(name="arrived"),
    ),
    target="died",
    cohorts=Cohorts(column="arrived", every="quarter"),
)
QUARTERS = ("2025Q1", "2025Q2", "2025Q3", "2025Q4", "2026Q1", "2026Q2")
FIFTH = 4


def cohort(number, rows=3000, doubled=False, turned=False, seed=0):
    """The records of one quarter: drug x is rare, and smokers die more often.

    With `doubled` drug x is twice as frequent, with `turned` smokers die less often.
    """
    rng = np.random.default_rng([seed, number])
    rare = 0.12 if not doubled else 0.24
    smoker = rng.random(rows) < 0.4
    risk = np.where(smoker != turned, 0.55, 0.25)
    year, quarter = 2025 + number // 4, number % 4
    return pd.DataFrame(
        {
            "ward": rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2]),
            "drug": rng.choice(["w", "x", "y", "z"], rows, p=[0.5 - rare, rare, 0.3, 0.2]),
            "smoker": np.where(smoker, "true", "false"),
            "died": np.where(rng.random(rows) < risk, "true", "false"),
            "arrived": f"{year}-{3 * quarter + 2:02d}-15",
        },
        dtype="str",
    )


def growing(cohorts=len(QUARTERS), planted=None, sites=("north", "south"), rows=3000, **change):
    """The table of each site; from the cohort `planted` on with a change."""
    return {
        site: pd.concat(
            [
                cohort(k, rows, seed=s, **(change if planted is not None and k >= planted else {}))
                for k in range(cohorts)
            ],
            ignore_index=True,
        )
        for s, site in enumerate(sites)
    }
