"""Makes a table of independent columns, which is the floor of fidelity.

Each column is drawn from the training rows independently of the other columns. Single columns are
thus right and all associations between columns are lost. A synthetic table whose pairs are further
from the real ones than those of this table represents pairs worse than no knowledge about pairs
would. The table is not private, because it copies cells.
"""

import numpy as np
import pandas as pd

from fedsynth_common.errors import InputError


def independent_columns(train: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw `n` rows whose columns are drawn (with replacement) independently of each other.

    Args:
        train: The real training rows, at least one.
        n: The number of rows; 0 gives an empty table with the same columns.
        rng: The randomness of the draws.

    Raises:
        InputError: `train` is empty or `n` negative.
    """
    if not len(train) or n < 0:
        raise InputError(f"cannot draw {n} rows from a table of {len(train)}")
    return pd.DataFrame(
        {name: train[name].array.take(rng.integers(len(train), size=n)) for name in train.columns}
    )
