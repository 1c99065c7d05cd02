"""Builds a table with relations that no pair of columns shows: four noisy exclusive ors.

In each triple (a, b, c) of yes/no columns, c is `a xor b` with one value in ten flipped. Any two of
the three columns are almost independent. A method that uses only pairs therefore draws c at random,
and a method that represents more can predict c. The table also has a group without meaning and a
number that depends on one c.
"""

import numpy as np
import pandas as pd

ROWS = 50_000
TRIPLES = 4
FLIPPED = 0.1


def exclusive_ors(rows: int = ROWS, seed: int = 7) -> pd.DataFrame:
    """`rows` records of a0, b0, c0 ... a3, b3, c3, group, x; the same for the same seed."""
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {}
    answer = np.zeros(rows, dtype=bool)
    for triple in range(TRIPLES):
        first, second = (rng.random(rows) < share for share in rng.uniform(0.35, 0.65, 2))
        flipped = rng.random(rows) < FLIPPED
        third = first ^ second ^ flipped
        answer = third if triple == 0 else answer
        for name, values in zip("abc", (first, second, third), strict=True):
            columns[f"{name}{triple}"] = np.where(values, "yes", "no")
    columns["group"] = np.array(list("pqrst"))[rng.integers(0, 5, rows)]
    columns["x"] = np.round(rng.normal(size=rows) + 0.5 * answer, 2)
    return pd.DataFrame(columns)
