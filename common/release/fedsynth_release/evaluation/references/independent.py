"""Independent columns: every column right, no column knows of another.

The floor of fidelity. Each column is resampled from the training rows on its own, so single columns
are perfect and every association is gone. A synthetic table whose pairs are further from the truth
than this one's is worse than knowing nothing about pairs. Not private: it copies cells.
"""

import numpy as np
import pandas as pd

from fedsynth_common.errors import InputError


def independent_columns(train: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """`n` rows whose columns are drawn (with replacement) independently of each other.

    Args:
        train: The real training rows, at least one.
        n: Rows to draw; 0 gives an empty table with the same columns.
        rng: Source of the draws.

    Raises:
        InputError: `train` is empty or `n` negative.
    """
    if not len(train) or n < 0:
        raise InputError(f"cannot draw {n} rows from a table of {len(train)}")
    return pd.DataFrame(
        {name: train[name].array.take(rng.integers(len(train), size=n)) for name in train.columns}
    )
